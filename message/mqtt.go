package message

import (
	"net/url"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// maxProperties bounds the application properties of a message; the topic of
// 65,535 bytes that they come in bounds them as well.
const maxProperties = 1000

// ParseBag reads the property bag of a topic into m: what follows "events", with
// or without the slash before it (device-protocol sheet, 2.1). The texts of m are
// then part of bag. The fault, for an escape that is none and for too many
// properties, is ArgumentInvalid.
func (m *Message) ParseBag(bag string) error {
	bag = strings.TrimPrefix(bag, "/")
	bag = strings.TrimPrefix(bag, "?")
	bag = strings.TrimSuffix(bag, "/")
	for bag != "" {
		var pair string
		pair, bag, _ = strings.Cut(bag, "&")
		if pair == "" {
			continue
		}
		name, value, has := strings.Cut(pair, "=")
		name, err := unescape(name)
		if err != nil {
			return err
		}
		if value, err = unescape(value); err != nil {
			return err
		}
		if err := m.take(name, value, !has); err != nil {
			return err
		}
	}
	return nil
}

// unescape decodes percent escapes. A plus is a plus.
func unescape(s string) (string, error) {
	text, err := url.PathUnescape(s)
	if err != nil {
		return "", fault.New(fault.ArgumentInvalid, "the property bag of the topic has a broken escape: %w", err)
	}
	return text, nil
}

// take puts what a device says into its place.
func (m *Message) take(name, value string, null bool) error {
	if strings.HasPrefix(name, "$.") || name == spellings[Ack].mqtt {
		for k := range spellings {
			if spellings[k].mqtt == name {
				m.System[k] = value
				return nil
			}
		}
		if ignoredMQTT(name) {
			return nil
		}
	}
	if name == "" || stamped(name) {
		return nil
	}
	if len(m.Properties) == maxProperties {
		return fault.New(fault.ArgumentInvalid, "the message has more than %d properties", maxProperties)
	}
	m.set(Property{Name: name, Value: value, Null: null})
	return nil
}

// bagOrder is the order in which a bag to a device has the system properties
// (device-protocol sheet, 3.1). Two of the SDKs look for the first "%24".
var bagOrder = [...]Key{MessageID, Expiry, To, CorrelationID, UserID, ContentType, ContentEncoding, CreationTime, Ack}

// AppendBag appends the property bag of a cloud-to-device message. It is never
// empty, because System[To] must not be; every name has its "=".
func (m *Message) AppendBag(b []byte) []byte {
	begin := len(b)
	for _, k := range bagOrder {
		if v := m.System[k]; v != "" {
			b = appendPair(b, begin, spellings[k].mqtt, v)
		}
	}
	for i := range m.Properties {
		b = appendPair(b, begin, m.Properties[i].Name, m.Properties[i].Value)
	}
	return b
}

func appendPair(b []byte, begin int, name, value string) []byte {
	if len(b) > begin {
		b = append(b, '&')
	}
	b = appendEscaped(b, name)
	b = append(b, '=')
	return appendEscaped(b, value)
}

// appendEscaped escapes all but what no URI gives a meaning: a blank is %20, for
// one SDK takes a plus for a blank (device-protocol sheet, R5).
func appendEscaped(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// TimeLayout is the form of every time in what goes to devices: one SDK takes
// no other (device-protocol sheet, R6).
const TimeLayout = "2006-01-02T15:04:05.0000000Z"

// FormatTime gives a time in that form.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeLayout) }
