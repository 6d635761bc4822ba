package message

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// maxProperties bounds the application properties of a message; the topic of
// 65,535 bytes that they come in bounds them as well.
const maxProperties = 1000

// ParseBag reads the property bag of a topic into m: what follows "events", with
// or without the slash before it (device-protocol sheet, 2.1). The texts of m may
// be part of bag. The fault, for an escape that is none, for what is not UTF-8
// and for too many properties, is ArgumentInvalid.
func (m *Message) ParseBag(bag string) error {
	bag = strings.TrimPrefix(bag, "/")
	bag = strings.TrimPrefix(bag, "?")
	bag = strings.TrimSuffix(bag, "/")
	texts := unescaper{most: len(bag)}
	for bag != "" {
		var pair string
		pair, bag, _ = strings.Cut(bag, "&")
		if pair == "" {
			continue
		}
		name, value, has := strings.Cut(pair, "=")
		value = texts.unescape(value)
		if k, ok := mqttKey(name); ok {
			m.System[k] = value
			continue
		}
		if err := m.takeMQTT(texts.unescape(name), value, !has); err != nil {
			return err
		}
	}
	if texts.broken {
		return fault.New(fault.ArgumentInvalid, "the property bag of the topic is not percent-encoded UTF-8")
	}
	return nil
}

// takeMQTT puts what is under an unescaped name into its place.
func (m *Message) takeMQTT(name, value string, null bool) error {
	if k, ok := mqttKey(name); ok { // other letters were escaped than the dollar sign
		m.System[k] = value
		return nil
	}
	if name == "" || ignoredMQTT(name) || stamped(name) {
		return nil
	}
	return m.take(Property{Name: name, Value: value, Null: null})
}

// take puts an application property that came from outside into its place.
func (m *Message) take(p Property) error {
	if len(m.Properties) == maxProperties {
		return fault.New(fault.ArgumentInvalid, "the message has more than %d properties", maxProperties)
	}
	m.set(p)
	return nil
}

// unescaper decodes percent escapes; a plus is a plus. All texts that it makes
// share one allocation of most bytes.
type unescaper struct {
	text   strings.Builder
	most   int
	broken bool // a text had an escape that is none, or was not UTF-8
}

func (u *unescaper) unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		u.broken = u.broken || !utf8.ValidString(s)
		return s
	}
	if u.text.Cap() == 0 {
		u.text.Grow(u.most)
	}
	begin := u.text.Len()
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) || nibble(s[i+1]) > 15 || nibble(s[i+2]) > 15 {
				u.broken = true
				return ""
			}
			c = nibble(s[i+1])<<4 | nibble(s[i+2])
			i += 2
		}
		u.text.WriteByte(c)
	}
	text := u.text.String()[begin:]
	u.broken = u.broken || !utf8.ValidString(text)
	return text
}

// nibble is the value of a hexadecimal digit, more than 15 for what is none.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 255
}

// bagOrder is the order in which a bag to a device has the system properties
// (device-protocol sheet, 3.1). Two of the SDKs look for the first "%24".
var bagOrder = [...]Key{MessageID, Expiry, To, CorrelationID, UserID, ContentType, ContentEncoding, CreationTime, Ack}

// AppendBag appends the property bag of a cloud-to-device message. It is never
// empty, because System[To] must not be; every name has its "=".
func (m *Message) AppendBag(b []byte) []byte {
	begin := len(b)
	for _, k := range bagOrder {
		if v := m.toDevice(k); v != "" {
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

// toDevice is the value of a system property as devices read it. A time has just
// seven fraction digits, or is left out: one SDK ends the connection for every
// other form (device-protocol sheet, R6).
func (m *Message) toDevice(k Key) string {
	v := m.System[k]
	if v == "" || k != Expiry && k != CreationTime {
		return v
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil || t.IsZero() {
		return ""
	}
	return device.FormatTime(t)
}
