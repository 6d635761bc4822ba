package twin

import "strings"

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
