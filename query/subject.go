package query

import (
	"bytes"
	"encoding/binary"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/message"
)

// Subject is what conditions look at: one message. It reads the body when a
// condition first asks for it, and keeps it for the next condition; so one
// goroutine at a time may use it, and the Event must stay as it is.
type Subject struct {
	Event *message.Event
	// Twin is that of the device, or of the module for a module's message: a
	// *twin.Twin or a [Document]. It may be nil; then all of it is undefined.
	Twin interface {
		Lookup(path []string) (json string, ok bool)
	}

	body jsonTree
	read bool // body was parsed
	good bool // and is JSON
}

// presence is where a path leads.
type presence uint8

const (
	unusable presence = iota // there is nothing to look into
	absent
	present
)

func (s *Subject) property(p *property) Value {
	if p.name[0] == '$' {
		if v, ok := s.Event.Lookup(p.name[1:]); ok || p.braces {
			if !ok {
				return Value{}
			}
			return textValue(v)
		}
	}
	a, ok := s.Event.Property(p.name)
	switch {
	case !ok:
		return Value{}
	case a.Null:
		return Value{Kind: Null}
	default:
		return textValue(a.Value)
	}
}

// find gives the JSON text that m leads to.
func (s *Subject) find(m *jsonPath) (json string, found presence) {
	switch {
	case len(m.path) == 0:
		return "", unusable
	case m.twin:
		return s.findInTwin(m)
	case !s.read:
		s.read, s.good = true, s.body.parse(bodyText(s.Event))
	}
	if !s.good {
		return "", unusable
	}
	if json, ok := s.body.find(m.path, false); ok {
		return json, present
	}
	return "", absent
}

// findInTwin takes names as they are spelled as far as the twin has them so, which
// is cheap, and after that in any case.
func (s *Subject) findInTwin(m *jsonPath) (json string, found presence) {
	if s.Twin == nil {
		return "", unusable
	}
	for n := len(m.names); n > 0; n-- {
		json, ok := s.Twin.Lookup(m.names[:n])
		if ok && n < len(m.path) {
			var tree jsonTree
			ok = tree.parse([]byte(json))
			if ok {
				json, ok = tree.find(m.path[n:], true)
			}
			if !ok {
				break
			}
		}
		if ok {
			return json, present
		}
	}
	return "", absent
}

// bodyText is the body in UTF-8, if the message says that it is JSON in one of
// the encodings that conditions know (B2), else nil. It may share memory with the
// body.
func bodyText(e *message.Event) []byte {
	switch e.JSONEncoding() {
	case "utf-8":
		body, _ := bytes.CutPrefix(e.Body, []byte("\xef\xbb\xbf"))
		if utf8.Valid(body) {
			return body
		}
		return bytes.ToValidUTF8(body, []byte("\ufffd"))
	case "utf-16":
		return utf16Text(e.Body)
	case "utf-32":
		return utf32Text(e.Body)
	}
	return nil
}

// byteOrder is big endian if the mark of that order begins b, else little endian;
// the mark is no part of the text.
func byteOrder(b []byte, bigMark, littleMark string) (binary.ByteOrder, []byte) {
	if rest, ok := bytes.CutPrefix(b, []byte(bigMark)); ok {
		return binary.BigEndian, rest
	}
	rest, _ := bytes.CutPrefix(b, []byte(littleMark))
	return binary.LittleEndian, rest
}

func utf16Text(b []byte) []byte {
	order, b := byteOrder(b, "\xfe\xff", "\xff\xfe")
	text := make([]byte, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		r := rune(order.Uint16(b))
		if utf16.IsSurrogate(r) && len(b) >= 4 {
			if whole := utf16.DecodeRune(r, rune(order.Uint16(b[2:]))); whole != utf8.RuneError {
				r, b = whole, b[2:]
			}
		}
		text = utf8.AppendRune(text, r) // half a pair becomes the replacement character
	}
	return text
}

func utf32Text(b []byte) []byte {
	order, b := byteOrder(b, "\x00\x00\xfe\xff", "\xff\xfe\x00\x00")
	text := make([]byte, 0, len(b)/4)
	for ; len(b) >= 4; b = b[4:] {
		// What is no code point becomes the replacement character.
		text = utf8.AppendRune(text, rune(min(order.Uint32(b), utf8.MaxRune+1)))
	}
	return text
}

// memberValue reads the value of a member of a body or twin. A text that is shaped
// like a time is undefined (B2).
func memberValue(json string) Value {
	v := ValueOf(json)
	if v.Kind == String && timeShaped(v.Text) {
		return Value{}
	}
	return v
}

// timeShaped tells whether s is an ISO 8601 date and time, with or without a zone.
func timeShaped(s string) bool {
	if len(s) < len("2006-01-02T15:04:05") || len(s) > 40 || s[10] != 'T' {
		return false
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}
