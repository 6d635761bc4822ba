package twin

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner walks over JSON text, which must be valid UTF-8, without building
// anything. After a mistake it stands still: peek gives 0 and more gives false,
// so loops over members end by themselves and one test afterwards is enough.
type scanner struct {
	text    string
	at      int
	stopped bool // the text is not JSON, at or before place at
	spaces  int  // bytes of white space met so far
}

func (s *scanner) fail() { s.stopped = true }

// peek passes white space and gives the byte that follows, 0 at the end.
func (s *scanner) peek() byte {
	if s.stopped {
		return 0
	}
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.spaces++
		default:
			return c
		}
	}
	return 0
}

// end demands that nothing follows.
func (s *scanner) end() {
	if s.peek() != 0 || s.at < len(s.text) {
		s.fail()
	}
}

// first enters the object or array that begins here, and says whether it has a
// first member or element.
func (s *scanner) first(closing byte) bool {
	s.at++
	if s.peek() == closing {
		s.at++
		return false
	}
	return !s.stopped
}

// more passes the comma before another member or element, or the closing
// bracket behind the last.
func (s *scanner) more(closing byte) bool {
	switch s.peek() {
	case ',':
		s.at++
		return true
	case closing:
		s.at++
	default:
		s.fail()
	}
	return false
}

// key passes a key and its colon and gives the key, decoded.
func (s *scanner) key() string {
	if s.peek() != '"' {
		s.fail()
		return ""
	}
	raw, plain := s.str()
	if s.peek() != ':' {
		s.fail()
		return ""
	}
	s.at++
	if plain {
		return raw[1 : len(raw)-1]
	}
	return unquote(raw)
}

// str passes the string that begins here. plain says that it has no escapes.
func (s *scanner) str() (raw string, plain bool) {
	plain = true
	for i := s.at + 1; i < len(s.text); {
		switch c := s.text[i]; {
		case c == '"':
			raw = s.text[s.at : i+1]
			s.at = i + 1
			return raw, plain
		case c == '\\':
			_, n := escape(s.text[i:])
			if n == 0 {
				s.fail()
				return `""`, true
			}
			i += n
			plain = false
		case c < ' ':
			s.fail()
			return `""`, true
		default:
			i++
		}
	}
	s.fail()
	return `""`, true
}

// number passes the number that begins here. whole says that it is written as
// an integer: without fraction and exponent.
func (s *scanner) number() (raw string, whole bool) {
	start := s.at
	whole = true
	s.accept("-")
	if !s.accept("0") && s.digits() == 0 {
		s.fail()
	}
	if s.accept(".") {
		whole = false
		if s.digits() == 0 {
			s.fail()
		}
	}
	if s.accept("eE") {
		whole = false
		s.accept("+-")
		if s.digits() == 0 {
			s.fail()
		}
	}
	return s.text[start:s.at], whole
}

func (s *scanner) accept(chars string) bool {
	if s.at < len(s.text) && strings.IndexByte(chars, s.text[s.at]) >= 0 {
		s.at++
		return true
	}
	return false
}

func (s *scanner) digits() (n int) {
	for ; s.at < len(s.text) && isDigit(s.text[s.at]); s.at++ {
		n++
	}
	return n
}

// word passes true, false or null.
func (s *scanner) word() string {
	for _, word := range [...]string{"true", "false", null} {
		if strings.HasPrefix(s.text[s.at:], word) {
			s.at += len(word)
			return word
		}
	}
	s.fail()
	return ""
}

// skip passes any one value. It goes as deep as the text does without
// recursion, for the values it is used on have no limit of depth.
func (s *scanner) skip() {
	var room [64]byte
	open := room[:0] // the closing brackets still to come
	for {
		switch c := s.peek(); {
		case c == '{' && s.first('}'):
			open = append(open, '}')
			s.key()
			continue
		case c == '[' && s.first(']'):
			open = append(open, ']')
			continue
		case c == '{' || c == '[':
			// It was empty, and first has passed it.
		case c == '"':
			s.str()
		case c == '-' || isDigit(c):
			s.number()
		default:
			s.word()
		}
		for len(open) > 0 && !s.more(open[len(open)-1]) && !s.stopped {
			open = open[:len(open)-1]
		}
		if s.stopped || len(open) == 0 {
			return
		}
		if open[len(open)-1] == '}' {
			s.key()
		}
	}
}

// isJSON says whether text is exactly one JSON value.
func isJSON(text string) bool {
	s := scanner{text: text}
	s.skip()
	s.end()
	return !s.stopped
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// escape decodes the escape sequence that text begins with, and says how long
// it is. A pair of surrogates is one sequence; half a pair is none, and n is 0,
// as it is for any other fault.
func escape(text string) (r rune, n int) {
	if len(text) < 2 {
		return 0, 0
	}
	switch c := text[1]; c {
	case '"', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	}
	r = unit(text)
	if !utf16.IsSurrogate(r) {
		if r < 0 {
			return 0, 0
		}
		return r, 6
	}
	r = utf16.DecodeRune(r, unit(text[6:]))
	if r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// unit is the number in the \uXXXX that text begins with, or -1.
func unit(text string) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	var r rune
	for i := 2; i < 6; i++ {
		digit := strings.IndexByte("0123456789abcdef", text[i]|0x20)
		if digit < 0 || text[i] < '0' {
			return -1
		}
		r = r<<4 | rune(digit)
	}
	return r
}

// unquote decodes a string that was scanned.
func unquote(raw string) string {
	var b strings.Builder
	b.Grow(len(raw))
	for i := 1; i < len(raw)-1; {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			i++
			continue
		}
		r, n := escape(raw[i:])
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// compact is raw without white space between its tokens.
func compact(raw string) string {
	var b strings.Builder
	b.Grow(len(raw))
	s := scanner{text: raw}
	for s.peek() != 0 {
		start := s.at
		if raw[start] == '"' {
			s.str()
		} else {
			s.at++
		}
		b.WriteString(raw[start:s.at])
	}
	return b.String()
}

// weigh is the size of a scalar or array by the formula of twin-semantics
// section 5. It needs no syntax: the keys of objects count as strings do, and
// brackets count nothing. Any text has a weight, so that a damaged store cannot
// stop it.
func weigh(raw string) (size int) {
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			length, controls, n := measure(raw[i:])
			size += length - controls
			i += n
		case c == '-' || isDigit(c):
			size += 8
			for i++; i < len(raw) && strings.IndexByte("+-.eE0123456789", raw[i]) >= 0; {
				i++
			}
		case c == 't' || c == 'f':
			size += 4
			i += len("true")
		default:
			i++ // brackets, commas, colons, and the e of false
		}
	}
	return size
}

// measure gives the decoded length in bytes of the string that raw begins with,
// how many of these are control characters (C0, DEL and C1), and the length of
// its text.
func measure(raw string) (length, controls, n int) {
	for n = 1; n < len(raw); {
		c := raw[n]
		switch {
		case c == '"':
			return length, controls, n + 1
		case c == '\\':
			r, used := escape(raw[n:])
			n += max(used, 1)
			length += utf8.RuneLen(r)
			if isControl(r) {
				controls += utf8.RuneLen(r)
			}
		case c == 0x7f:
			controls++
			length++
			n++
		case c == 0xc2 && n+1 < len(raw) && raw[n+1] < 0xa0:
			controls += 2
			length += 2
			n += 2
		default:
			length++
			n++
		}
	}
	return length, controls, n
}

func isControl(r rune) bool { return r < 0x20 || 0x7f <= r && r < 0xa0 }
