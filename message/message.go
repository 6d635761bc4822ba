// Package message is what devices send and are sent: telemetry and
// cloud-to-device messages, with their properties, in all their spellings.
//
// A [Message] has system properties, which are known by name, application
// properties, and a body that nobody but the two ends understands. An [Event]
// is a message as the hub keeps it: with what the hub has stamped on it. Each
// transport spells the properties in its own way; mqtt.go, http.go and json.go
// have one each, and keys.go has the names. Routes and queues are elsewhere.
package message

import (
	"strings"
	"time"
	"unicode"

	"github.com/hubtwin/hubtwin/fault"
)

// Limits in bytes, counted as [Message.Size] does (messaging-and-auth sheet, 1).
const (
	MaxD2C = 256 << 10 // of a message from a device, and of a batch over HTTPS
	MaxC2D = 64 << 10  // of a message to a device
)

// maxMessageID is the most characters of a message id.
const maxMessageID = 128

// Message is what one side sends to the other. The zero Message is empty.
type Message struct {
	System     System
	Properties []Property // of the application, each name once
	Body       []byte
}

// System has the value of each system property, "" for those that are not
// there.
type System [keys]string

// Property is an application property.
type Property struct {
	Name  string
	Value string
	Null  bool // over MQTT a name may come without a value; Value is "" then
}

// Size is what the limits count: the body, the values of system properties, and
// the names and values of application properties.
func (m *Message) Size() int {
	n := len(m.Body)
	for i := range m.System {
		n += len(m.System[i])
	}
	for i := range m.Properties {
		n += len(m.Properties[i].Name) + len(m.Properties[i].Value)
	}
	return n
}

// Property gives an application property. Names are the same whatever their
// case (messaging-and-auth sheet, 1).
func (m *Message) Property(name string) (p Property, ok bool) {
	if i := m.place(name); i >= 0 {
		return m.Properties[i], true
	}
	return Property{}, false
}

// Set puts an application property in the place of one with the same name, or
// behind all others.
func (m *Message) Set(name, value string) { m.set(Property{Name: name, Value: value}) }

func (m *Message) set(p Property) {
	if i := m.place(p.Name); i >= 0 {
		m.Properties[i] = p
		return
	}
	m.Properties = append(m.Properties, p)
}

func (m *Message) place(name string) int {
	for i := range m.Properties {
		if strings.EqualFold(m.Properties[i].Name, name) {
			return i
		}
	}
	return -1
}

// Check refuses what a message must not have: an id that is too long or not
// printable, a value of iothub-ack that is none of the four, and more than max
// bytes. The documents allow fewer characters in an id; clients send others. The
// faults are ArgumentInvalid and MessageTooLarge.
func (m *Message) Check(max int) error {
	if id := m.System[MessageID]; len(id) > maxMessageID || strings.ContainsFunc(id, notPrintable) {
		return fault.New(fault.ArgumentInvalid, "the message id %.150q must be of at most %d printable characters", id, maxMessageID)
	}
	switch m.System[Ack] {
	case "", AckNone, AckPositive, AckNegative, AckFull:
	default:
		return fault.New(fault.ArgumentInvalid, "iothub-ack is %.50q; it may be %s, %s, %s or %s", m.System[Ack], AckNone, AckPositive, AckNegative, AckFull)
	}
	if n := m.Size(); n > max {
		return fault.New(fault.MessageTooLarge, "the message has %d bytes with its properties, %d may be", n, max)
	}
	return nil
}

// The values of the property Ack: for which outcomes of a cloud-to-device
// message its sender wants feedback.
const (
	AckNone     = "none"
	AckPositive = "positive"
	AckNegative = "negative"
	AckFull     = "full"
)

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

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
