package twin

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

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
