package query

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// token is a piece of the query text.
type token struct {
	kind       kind
	start, end int
	num        float64 // of a number
	str        string  // of a text, decoded
}

// scanner is what the dialects share: a text, how far it is read, and the token
// that was read last. After an error there is only end, so that parsers unwind
// without asking at every step.
type scanner struct {
	text  string
	pos   int // where the next token is looked for
	tok   token
	depth int // of nesting, as the parser counts it
	err   *Error
}

// isUTF8 fails if the text is none; noun is what the text is.
func (l *scanner) isUTF8(noun string) bool {
	if !utf8.ValidString(l.text) {
		at := strings.IndexFunc(l.text, func(r rune) bool { return r == utf8.RuneError })
		l.fail(at, "", "the %s is not UTF-8", noun)
	}
	return l.err == nil
}

// deeper counts a level of nesting; the caller leaves it with depth--.
func (l *scanner) deeper() {
	if l.depth++; l.depth > maxDepth {
		l.fail(l.tok.start, "", "the condition is nested more than %d deep", maxDepth)
	}
}

func (l *scanner) fail(offset int, hint, format string, args ...any) {
	if l.err == nil {
		l.err = &Error{Offset: offset, Message: fmt.Sprintf(format, args...), Hint: hint, text: l.text}
	}
	l.pos = len(l.text)
	l.tok = token{kind: end, start: len(l.text), end: len(l.text)}
}

func (l *scanner) at(s string) bool { return strings.HasPrefix(l.text[l.pos:], s) }

// skipBlanks passes white space and comments.
func (l *scanner) skipBlanks() {
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == ' ' || '\t' <= c && c <= '\r':
			l.pos++
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(l.text[l.pos:])
			if !unicode.IsSpace(r) {
				return
			}
			l.pos += size
		case c == '/' && l.at("/*"):
			n := strings.Index(l.text[l.pos+2:], "*/")
			if n < 0 {
				l.fail(l.pos, "end it with */", "the comment is not closed")
				return
			}
			l.pos += 2 + n + 2
		default:
			return
		}
	}
}

// quotedText passes the text between quotes of the kind at pos, and decodes it.
// If doubled, that quote written twice stands for itself. !ok means that the text
// is not closed; a bad escape has failed by itself.
func (l *scanner) quotedText(doubled bool) (decoded string, ok bool) {
	quote := l.text[l.pos]
	l.pos++
	var room []byte // stays nil while the text can be used as it stands
	from := l.pos   // begin of the piece not yet in room
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case doubled && c == quote && l.pos+1 < len(l.text) && l.text[l.pos+1] == quote:
			room = append(room, l.text[from:l.pos+1]...)
			l.pos += 2
			from = l.pos
		case c == quote:
			decoded = l.text[from:l.pos]
			if room != nil {
				decoded = string(append(room, decoded...))
			}
			l.pos++
			return decoded, true
		case c == '\\':
			room = append(room, l.text[from:l.pos]...)
			if room = l.escape(room); l.err != nil {
				return "", true
			}
			from = l.pos
		default:
			l.pos++
		}
	}
	return "", false
}

// escape decodes the escape sequence at pos onto dst.
func (l *scanner) escape(dst []byte) []byte {
	if r, ok := l.hexEscape(); ok {
		return utf8.AppendRune(dst, l.secondHalf(r))
	}
	if l.pos+1 < len(l.text) && strings.IndexByte(`'"\`, l.text[l.pos+1]) >= 0 {
		l.pos += 2
		return append(dst, l.text[l.pos-1])
	}
	l.fail(l.pos, `there are \', \", \\ and \u with four hexadecimal digits; a backslash is written \\`, "unknown escape")
	return dst
}

// secondHalf completes r with the escape that follows if r is the first half
// of a surrogate pair. Half a pair is the replacement character, as in JSON.
func (l *scanner) secondHalf(r rune) rune {
	if !utf16.IsSurrogate(r) {
		return r
	}
	mark := l.pos
	low, _ := l.hexEscape()
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		l.pos = mark
	}
	return r
}

// hexEscape reads \uXXXX.
func (l *scanner) hexEscape() (rune, bool) {
	if !l.at(`\u`) || len(l.text) < l.pos+6 {
		return 0, false
	}
	n, err := strconv.ParseUint(l.text[l.pos+2:l.pos+6], 16, 16)
	if err != nil {
		return 0, false
	}
	l.pos += 6
	return rune(n), true
}

func (l *scanner) digits(is func(byte) bool) int {
	start := l.pos
	for l.pos < len(l.text) && is(l.text[l.pos]) {
		l.pos++
	}
	return l.pos - start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func (l *scanner) sign(k kind, size int) {
	l.tok = token{kind: k, start: l.pos, end: l.pos + size}
	l.pos += size
}

// quoted shows a piece of the query in a message, shortened.
func quoted(s string) string {
	const most = 40
	n := 0
	for i := range s {
		if n == most {
			s = s[:i] + "…"
			break
		}
		n++
	}
	return strconv.Quote(s)
}
