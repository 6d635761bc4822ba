package message

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/fault"
)

const appHeader = "iothub-app-"

// readHeaders has the system headers in the form that net/http reads them.
var readHeaders = func() (list [keys]string) {
	for k := range spellings {
		if spellings[k].header != "" {
			list[k] = textproto.CanonicalMIMEHeaderKey(spellings[k].header)
		}
	}
	return list
}()

// FromHeader reads the properties of a message from the headers of a request
// (device-protocol sheet, 7.2). The case of an application property's name does
// not survive HTTP in Go: it becomes lower case, which means the same to routes.
// A header that comes twice counts once. The fault is ArgumentInvalid.
func (m *Message) FromHeader(h http.Header) error {
	for k, name := range readHeaders {
		if v := h[name]; name != "" && len(v) > 0 {
			m.System[k] = v[0]
		}
	}
	const prefix = "Iothub-App-"
	for name, values := range h {
		if rest, ok := strings.CutPrefix(name, prefix); ok && len(values) > 0 {
			if err := m.takeHTTP(strings.ToLower(rest), values[0]); err != nil {
				return err
			}
		}
	}
	// Their order did not survive either.
	slices.SortFunc(m.Properties, func(a, b Property) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// takeHTTP puts an application property into its place.
func (m *Message) takeHTTP(name, value string) error {
	if strings.ContainsFunc(name, notInProperty) || strings.ContainsFunc(value, notInValue) || name == "" {
		return fault.New(fault.ArgumentInvalid, "the property %.100q: over HTTP its name is made of ASCII letters, digits and %s, its value of printable ASCII characters", name, propertyPunctuation)
	}
	if stamped(name) {
		return nil
	}
	return m.take(Property{Name: name, Value: value})
}

const propertyPunctuation = "!#$%&'*+-.^_`|~"

func notInProperty(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune(propertyPunctuation, r)
}

// notInValue is less strict than the documents, which allow the characters of
// names only: applications send more.
func notInValue(r rune) bool { return r < ' ' || r > '~' }

// SetHeader writes the properties of a cloud-to-device message as the headers of
// an answer, in the spelling that clients compare byte by byte
// (device-protocol sheet, R11 and 7.3).
func (m *Message) SetHeader(h map[string]string) {
	for k := range spellings {
		name, v := spellings[k].header, m.toDevice(Key(k))
		if name != "" && v != "" && fitsHeader(v) {
			h[name] = v
		}
	}
	// One SDK reads these two without the prefix.
	for name, k := range map[string]Key{"ContentType": ContentType, "ContentEncoding": ContentEncoding} {
		if v := m.System[k]; v != "" && fitsHeader(v) {
			h[name] = v
		}
	}
	for _, p := range m.Properties {
		if !strings.ContainsFunc(p.Name, notInProperty) && fitsHeader(p.Value) {
			h[appHeader+p.Name] = p.Value
		}
	}
}

// fitsHeader tells whether a value may go into a header. What came by another
// transport need not; it is left out.
func fitsHeader(value string) bool { return !strings.ContainsFunc(value, notInValue) }

// BatchType is the content type of a batch over HTTPS.
const BatchType = "application/vnd.microsoft.iothub.json"

// maxBatch bounds the messages of a batch: empty ones count nothing towards its
// bytes, and take memory.
const maxBatch = 5000

// batched is a message of a batch.
type batched struct {
	Body       string            `json:"body"`
	Encoded    *bool             `json:"base64Encoded"`
	Properties map[string]string `json:"properties"`
}

// ParseBatch reads the messages of a batch (device-protocol sheet, 7.2), which
// have MaxD2C bytes together at most. The faults are DeserializationError,
// ArgumentInvalid and MessageTooLarge. What [Message.Check] refuses is for the
// caller to find.
func ParseBatch(body []byte) ([]Message, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if token, err := d.Token(); err != nil || token != json.Delim('[') {
		return nil, notABatch(err)
	}
	var list []Message
	total := 0
	for d.More() {
		var item batched
		if err := d.Decode(&item); err != nil {
			return nil, notABatch(err)
		}
		m, err := item.message()
		if err != nil {
			return nil, err
		}
		list = append(list, m)
		if total += m.Size(); total > MaxD2C || len(list) > maxBatch {
			return nil, fault.New(fault.MessageTooLarge, "a batch may have %d bytes with the properties of its messages, and %d messages", MaxD2C, maxBatch)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, notABatch(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, notABatch(errors.New("there is more behind the array"))
	}
	return list, nil
}

func notABatch(err error) error {
	const want = `a batch is a JSON array of {"body":"…","base64Encoded":true,"properties":{…}}`
	if err == nil {
		return fault.New(fault.DeserializationError, want)
	}
	return fault.New(fault.DeserializationError, want+": %w", err)
}

func (item *batched) message() (m Message, err error) {
	if item.Encoded != nil && !*item.Encoded {
		m.Body = []byte(item.Body)
	} else if m.Body, err = base64.StdEncoding.DecodeString(item.Body); err != nil {
		return m, fault.New(fault.ArgumentInvalid, "the body of a message of the batch is not base64: %w", err)
	}
	// In order, for the last of two names that mean the same wins.
	for _, name := range slices.Sorted(maps.Keys(item.Properties)) {
		if err := m.takeBatch(name, item.Properties[name]); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (m *Message) takeBatch(name, value string) error {
	if len(name) > len(appHeader) && strings.EqualFold(name[:len(appHeader)], appHeader) {
		return m.takeHTTP(name[len(appHeader):], value)
	}
	for k := range spellings {
		if spellings[k].header != "" && strings.EqualFold(name, spellings[k].header) {
			m.System[k] = value
		}
	}
	return nil
}
