package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// maxString is the largest length-prefixed string or binary field, in bytes
// (section 1.5.3).
const maxString = 65_535

const (
	errShort    = MalformedError("[2.2.3] body ends inside a field")
	errTrailing = MalformedError("[2.2.3] bytes are left after the last field")
	errZeroID   = MalformedError("[MQTT-2.3.1-1] packet identifier is zero")
)

// fields reads a body field by field. The first failure sticks, and what is read
// after it is empty, so a decoder checks once at its end.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
	f.rest = nil
}

// uint8 reads one byte.
func (f *fields) uint8() byte {
	if len(f.rest) < 1 {
		f.fail(errShort)
		return 0
	}
	b := f.rest[0]
	f.rest = f.rest[1:]
	return b
}

// uint16 reads a big-endian number of two bytes.
func (f *fields) uint16() uint16 {
	if len(f.rest) < 2 {
		f.fail(errShort)
		return 0
	}
	v := binary.BigEndian.Uint16(f.rest)
	f.rest = f.rest[2:]
	return v
}

// id reads a packet identifier.
func (f *fields) id() uint16 {
	id := f.uint16()
	if id == 0 {
		f.fail(errZeroID)
	}
	return id
}

// binary reads a length-prefixed field. It is never nil unless reading failed.
func (f *fields) binary() []byte {
	n := int(f.uint16())
	if f.err != nil || len(f.rest) < n {
		f.fail(errShort)
		return nil
	}
	b := f.rest[:n:n]
	f.rest = f.rest[n:]
	return b
}

// text reads a length-prefixed UTF-8 string.
func (f *fields) text() []byte {
	b := f.binary()
	if err := checkText(b); err != nil {
		f.fail(err)
		return nil
	}
	return b
}

// done ends a body that must have no more bytes.
func (f *fields) done() error {
	if len(f.rest) > 0 {
		f.fail(errTrailing)
	}
	return f.err
}

// checkText applies the rules of section 1.5.3. Control characters and
// non-characters, which a receiver may refuse, are let through.
func checkText(b []byte) error {
	if !utf8.Valid(b) {
		return MalformedError("[MQTT-1.5.3-1] string is not well-formed UTF-8")
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return MalformedError("[MQTT-1.5.3-2] string has the character U+0000")
	}
	return nil
}

// appendField writes a length-prefixed field of at most maxString bytes.
func appendField[S ~string | ~[]byte](dst []byte, s S) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}
