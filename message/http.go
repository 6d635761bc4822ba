package message

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/textproto"
	"strings"
	"time"

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
	sortProperties(m.Properties)
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
	if len(m.Properties) == maxProperties {
		return fault.New(fault.ArgumentInvalid, "the message has more than %d properties", maxProperties)
	}
	m.Set(name, value)
	return nil
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
	for k, v := range m.System {
		if name := spellings[k].header; name != "" && v != "" {
			h[name] = v
		}
	}
	// One SDK reads these two without the prefix.
	for name, k := range map[string]Key{"ContentType": ContentType, "ContentEncoding": ContentEncoding} {
		if v := m.System[k]; v != "" {
			h[name] = v
		}
	}
	for _, p := range m.Properties {
		// What has come by another transport may not fit a header.
		if !strings.ContainsFunc(p.Name, notInProperty) && !strings.ContainsFunc(p.Value, notInValue) {
			h[appHeader+p.Name] = p.Value
		}
	}
}

// BatchType is the content type of a batch over HTTPS.
const BatchType = "application/vnd.microsoft.iothub.json"

// ParseBatch reads the messages of a batch (device-protocol sheet, 7.2), which
// have MaxD2C bytes together at most. The faults are DeserializationError,
// ArgumentInvalid and MessageTooLarge.
func ParseBatch(body []byte) ([]Message, error) {
	var items []struct {
		Body       string            `json:"body"`
		Encoded    *bool             `json:"base64Encoded"`
		Properties map[string]string `json:"properties"`
	}
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, fault.New(fault.DeserializationError, `a batch is a JSON array of {"body":"…","base64Encoded":true,"properties":{…}}: %w`, err)
	}
	list := make([]Message, len(items))
	total := 0
	for i, item := range items {
		m := &list[i]
		if item.Encoded == nil || *item.Encoded {
			text, err := base64.StdEncoding.DecodeString(item.Body)
			if err != nil {
				return nil, fault.New(fault.ArgumentInvalid, "message %d of the batch: its body is not base64: %w", i+1, err)
			}
			m.Body = text
		} else {
			m.Body = []byte(item.Body)
		}
		for name, value := range item.Properties {
			if err := m.takeBatch(name, value); err != nil {
				return nil, err
			}
		}
		sortProperties(m.Properties)
		total += m.Size()
		if total > MaxD2C {
			return nil, fault.New(fault.MessageTooLarge, "the batch has more than %d bytes", MaxD2C)
		}
	}
	return list, nil
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

// ParseExpiry reads the expiry of a message to a device; zero if it has none.
// The fault is InvalidMessageExpiryTime.
func (m *Message) ParseExpiry() (time.Time, error) {
	text := m.System[Expiry]
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fault.New(fault.InvalidMessageExpiryTime, "the expiry %.60q is no time such as %s", text, "2030-01-01T00:00:00Z")
	}
	return t.UTC(), nil
}
