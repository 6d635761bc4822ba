package message

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/device"
)

// AppendJSON appends e as an object for people and programs, with the members
// that the service writes to storage: EnqueuedTimeUtc, Properties,
// SystemProperties and Body (messaging-and-auth sheet, 1.1 and 4.3). Body is the
// JSON value itself if the message says that it is JSON in UTF-8, and it is;
// else base64. There is no line end in it.
func (e *Event) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	return append(e.appendMembers(b), '}')
}

// appendMembers appends the members of that object without the braces.
func (e *Event) appendMembers(b []byte) []byte {
	b = append(b, `"EnqueuedTimeUtc":"`...)
	b = append(b, device.FormatTime(e.Enqueued)...)
	b = append(b, `","Properties":{`...)
	for i, p := range e.Properties {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, p.Name), ':')
		if p.Null {
			b = append(b, "null"...)
		} else {
			b = AppendString(b, p.Value)
		}
	}
	b = append(b, `},"SystemProperties":{`...)
	b = e.appendSystem(b)
	b = append(b, `},"Body":`...)
	return e.appendBody(b)
}

// Stored is an event at its place in a stream of the event log.
type Stored struct {
	Event
	Partition int
	Sequence  uint64 // in its partition
	Offset    uint64 // bytes before it in its partition
}

// AppendJSON appends s as an object: partition, sequenceNumber and offset, and
// the members of the event. There is no line end in it.
func (s *Stored) AppendJSON(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"partition":`...), int64(s.Partition), 10)
	b = strconv.AppendUint(append(b, `,"sequenceNumber":`...), s.Sequence, 10)
	b = strconv.AppendUint(append(b, `,"offset":"`...), s.Offset, 10)
	b = s.appendMembers(append(b, `",`...))
	return append(b, '}')
}

func (e *Event) appendSystem(b []byte) []byte {
	begin := len(b)
	member := func(name, value string) {
		if name == "" || value == "" {
			return
		}
		if len(b) > begin {
			b = append(b, ',')
		}
		b = append(AppendString(b, name), ':')
		b = AppendString(b, value)
	}
	for k := range spellings {
		member(spellings[k].json, e.System[k])
	}
	member("connectionDeviceId", e.DeviceID)
	member("connectionModuleId", e.ModuleID)
	member("connectionAuthMethod", e.AuthMethod)
	member("connectionDeviceGenerationId", e.GenerationID)
	member("dt-dataschema", e.ModelID)
	member("iothub-message-source", names[e.Source].stamp)
	member("enqueuedTime", device.FormatTime(e.Enqueued))
	return b
}

func (e *Event) appendBody(b []byte) []byte {
	if e.JSONBody() && utf8.Valid(e.Body) {
		// Without line ends, for files with an event on each line.
		buffer := bytes.NewBuffer(b)
		if json.Compact(buffer, e.Body) == nil {
			return buffer.Bytes()
		}
	}
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, e.Body)
	return append(b, '"')
}

// JSONBody tells whether the message says that its body is JSON in UTF-8.
func (m *Message) JSONBody() bool { return m.JSONEncoding() == "utf-8" }

// JSONEncoding is the encoding, in lower case, in which the message says that its
// body is JSON; "" if it does not say so: then nobody looks into it
// (messaging-and-auth sheet, 4.4). It may be one that is no encoding of text.
func (m *Message) JSONEncoding() string {
	kind, parameters, _ := strings.Cut(m.System[ContentType], ";")
	if !equalFold("application/json", strings.TrimSpace(kind)) {
		return ""
	}
	if encoding := m.System[ContentEncoding]; encoding != "" {
		return strings.ToLower(encoding)
	}
	_, charset, _ := strings.Cut(parameters, "=")
	return strings.ToLower(strings.TrimSpace(charset))
}

// AppendString appends s as a JSON string.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			text, _ := json.Marshal(s) // a string never fails
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
