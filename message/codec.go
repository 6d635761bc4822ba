package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The stored form of an event. docs/formats/message.md draws it.
//
//	version source time(8) stamps… mask(2) values… n (flag name value)… body
//
// Texts have their length before them, as a uvarint; times are Unix nanoseconds.
const codecVersion = 1

const nullValue = 1 // flag of a property

// ErrStored is wrapped by the error for bytes that are no stored message.
var ErrStored = errors.New("not a stored message")

// AppendBinary appends the stored form of e.
func (e *Event) AppendBinary(b []byte) []byte {
	b = append(b, codecVersion, byte(e.Source))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Enqueued.UnixNano()))
	for _, s := range [...]string{e.DeviceID, e.ModuleID, e.GenerationID, e.AuthMethod, e.ModelID} {
		b = appendText(b, s)
	}
	return e.Message.append(b)
}

func (m *Message) append(b []byte) []byte {
	var mask uint16
	for k, v := range m.System {
		if v != "" {
			mask |= 1 << k
		}
	}
	b = binary.BigEndian.AppendUint16(b, mask)
	for _, v := range m.System {
		if v != "" {
			b = appendText(b, v)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(m.Properties)))
	for _, p := range m.Properties {
		var flag byte
		if p.Null {
			flag = nullValue
		}
		b = appendText(appendText(append(b, flag), p.Name), p.Value)
	}
	return append(b, m.Body...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Decode reads what AppendBinary wrote. The texts of e and its body are copies.
func (e *Event) Decode(stored []byte) error {
	r := reader{text: string(stored)}
	if v := r.byte(); v != codecVersion && !r.broken {
		return fmt.Errorf("%w: version %d is not known", ErrStored, v)
	}
	*e = Event{Source: Source(r.byte())}
	e.Enqueued = time.Unix(0, int64(r.uint(8))).UTC()
	for _, s := range [...]*string{&e.DeviceID, &e.ModuleID, &e.GenerationID, &e.AuthMethod, &e.ModelID} {
		*s = r.string()
	}
	e.Message.read(&r)
	if r.broken || e.Source >= sources {
		*e = Event{}
		return fmt.Errorf("%w: it is broken", ErrStored)
	}
	return nil
}

// AppendBinary appends the stored form of m, which has no stamps.
func (m *Message) AppendBinary(b []byte) []byte { return m.append(append(b, codecVersion)) }

// Decode reads what AppendBinary wrote. The texts of m and its body are copies.
func (m *Message) Decode(stored []byte) error {
	r := reader{text: string(stored)}
	if v := r.byte(); v != codecVersion && !r.broken {
		return fmt.Errorf("%w: version %d is not known", ErrStored, v)
	}
	*m = Message{}
	if m.read(&r); r.broken {
		*m = Message{}
		return fmt.Errorf("%w: it is broken", ErrStored)
	}
	return nil
}

func (m *Message) read(r *reader) {
	mask := r.uint(2)
	for k := range m.System {
		if mask>>k&1 != 0 {
			m.System[k] = r.string()
		}
	}
	n := r.uvarint()
	// A property takes three bytes at least: n is not to be trusted with memory.
	if mask>>keys != 0 || n > uint64(len(r.text)/3) {
		r.broken = true
		return
	}
	if n > 0 {
		m.Properties = make([]Property, n)
	}
	for i := range m.Properties {
		p := &m.Properties[i]
		p.Null = r.byte() == nullValue
		p.Name, p.Value = r.string(), r.string()
	}
	m.Body = []byte(r.text)
}

// reader takes a stored form apart. Once it is broken it gives zeros.
type reader struct {
	text   string
	broken bool
}

func (r *reader) take(n uint64) string {
	if r.broken || n > uint64(len(r.text)) {
		r.broken, r.text = true, ""
		return ""
	}
	s := r.text[:n]
	r.text = r.text[n:]
	return s
}

func (r *reader) byte() byte { return byte(r.uint(1)) }

func (r *reader) uint(bytes int) (v uint64) {
	s := r.take(uint64(bytes))
	for i := range len(s) {
		v = v<<8 | uint64(s[i])
	}
	return v
}

func (r *reader) uvarint() (v uint64) {
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&127) << shift
		if b < 128 {
			return v
		}
	}
	r.broken, r.text = true, ""
	return 0
}

func (r *reader) string() string { return r.take(r.uvarint()) }

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
