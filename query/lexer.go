package query

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is the kind of a token.
type kind uint8

const (
	end kind = iota
	path
	number
	text
	star
	comma
	leftParen
	rightParen
	leftBracket
	rightBracket
	plus
	minus
	slash
	percent
	equal
	notEqual
	less
	lessEqual
	greater
	greaterEqual
	other // a sign that no query has; the parser says what to write instead
	// The reserved words, which are no first key of a path.
	and
	as
	by
	falseWord
	from
	group
	in
	nin
	not
	nullWord
	or
	selectWord
	top
	trueWord
	undefinedWord
	where
)

var reserved = map[string]kind{
	"and": and, "as": as, "by": by, "false": falseWord, "from": from, "group": group,
	"in": in, "nin": nin, "not": not, "null": nullWord, "or": or, "select": selectWord,
	"top": top, "true": trueWord, "undefined": undefinedWord, "where": where,
}

// reservedKind finds a reserved word in any case; path means it is none.
func reservedKind(word string) kind {
	var lower [9]byte // "undefined" is the longest
	if len(word) < 2 || len(word) > len(lower) || word[0] == '$' {
		return path
	}
	for i := range len(word) {
		c := word[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	if k, ok := reserved[string(lower[:len(word)])]; ok {
		return k
	}
	return path
}

// token is a piece of the query text.
type token struct {
	kind       kind
	start, end int
	num        float64 // of a number
	str        string  // of a text, decoded
}

// lexer cuts a query into tokens, one at a time. After an error it gives only
// end, so that the parser unwinds without asking at every step.
type lexer struct {
	text string
	pos  int // where the next token is looked for
	tok  token
	segs []string  // the keys of tok if it is a path; overwritten by the next path
	room [6]string // where segs begins
	err  *Error
}

func (l *lexer) fail(offset int, hint, format string, args ...any) {
	if l.err == nil {
		l.err = &Error{Offset: offset, Message: fmt.Sprintf(format, args...), Hint: hint, text: l.text}
	}
	l.pos = len(l.text)
	l.tok = token{kind: end, start: len(l.text), end: len(l.text)}
}

// next moves to the next token.
func (l *lexer) next() {
	l.skipBlanks()
	if l.pos == len(l.text) {
		l.tok = token{kind: end, start: l.pos, end: l.pos}
		return
	}
	switch c := l.text[l.pos]; {
	case c == '\'' || c == '"':
		l.stringToken(c)
	case '0' <= c && c <= '9':
		l.numberToken()
	case c == '-':
		// Inside a name '-' is a letter like any other; before one it is a sign.
		l.sign(minus, 1)
	case c == '$', l.at("[["), l.nameChar(l.pos) > 0:
		l.pathToken()
	default:
		l.signToken(c)
	}
}

func (l *lexer) at(s string) bool { return strings.HasPrefix(l.text[l.pos:], s) }

// skipBlanks passes white space and comments.
func (l *lexer) skipBlanks() {
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

// notInNames are the ASCII characters that end an unescaped name, besides
// white space.
const notInNames = `.,'"!=<>*$#:(){}[]+/%`

var asciiNameChar = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c > ' ' && !strings.ContainsRune(notInNames, rune(c)) ||
			c < ' ' && !unicode.IsSpace(rune(c))
	}
	return t
}()

// nameChar is the size of the name character at pos, or 0 if there is none.
func (l *lexer) nameChar(pos int) int {
	if pos == len(l.text) {
		return 0
	}
	if c := l.text[pos]; c < utf8.RuneSelf {
		if asciiNameChar[c] {
			return 1
		}
		return 0
	}
	r, size := utf8.DecodeRuneInString(l.text[pos:])
	if unicode.IsSpace(r) {
		return 0
	}
	return size
}

// pathToken reads a path, or a reserved word.
func (l *lexer) pathToken() {
	start := l.pos
	l.segs = l.room[:0]
	plain := !l.at("[[") // the first key is not escaped
	for l.segment() && l.pos < len(l.text) && l.text[l.pos] == '.' {
		l.pos++
	}
	if l.err != nil {
		return
	}
	l.tok = token{kind: path, start: start, end: l.pos}
	if !plain {
		return
	}
	word := l.segs[0]
	switch k := reservedKind(word); {
	case strings.ContainsRune("‘’“”`", first(word)):
		l.fail(start, "put text between straight quotes: 'text'", "unexpected quote %q", first(word))
	case k == path:
	case len(l.segs) == 1:
		l.tok.kind = k
	default:
		l.fail(start, "write [["+word+"]]", "%q is a reserved word", word)
	}
}

func first(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// segment reads one key of a path into segs.
func (l *lexer) segment() bool {
	start := l.pos
	if l.at("[[") {
		n := strings.Index(l.text[start+2:], "]]")
		switch {
		case n < 0:
			l.fail(start, "end it with ]]", "the escaped name is not closed")
			return false
		case n == 0:
			l.fail(start, "", "the escaped name is empty")
			return false
		}
		l.segs = append(l.segs, l.text[start+2:start+2+n])
		l.pos = start + 2 + n + 2
		return true
	}
	if l.at("$") {
		l.pos++
	}
	name := l.pos
	for {
		n := l.nameChar(l.pos)
		if n == 0 {
			break
		}
		l.pos += n
	}
	switch word := l.text[start:l.pos]; {
	case l.pos == name:
		l.fail(l.pos, "names stand without blanks around '.'; odd ones in double square brackets: tags.[[a:b]]", "a name is missing")
		return false
	case len(l.segs) > 0 && len(word) == len("group") && reservedKind(word) == group:
		l.fail(start, "write [["+word+"]]", "%q is a reserved word", word)
		return false
	default:
		l.segs = append(l.segs, word)
		return true
	}
}

// numberToken reads a decimal or hexadecimal number.
func (l *lexer) numberToken() {
	start := l.pos
	var v float64
	var err error
	if l.at("0x") || l.at("0X") {
		l.pos += 2
		l.digits(isHex)
		var n uint64
		n, err = strconv.ParseUint(l.text[start+2:l.pos], 16, 64)
		v = float64(n)
	} else {
		l.decimal()
		v, err = strconv.ParseFloat(l.text[start:l.pos], 64)
	}
	if l.nameChar(l.pos) > 0 && l.text[l.pos] != '-' {
		l.fail(start, "a name that begins with a digit is written in double square brackets: [[5g]]", "the number runs into a name")
		return
	}
	if err != nil {
		l.fail(start, "", "%s is not a number a twin could hold", quoted(l.text[start:l.pos]))
		return
	}
	l.tok = token{kind: number, start: start, end: l.pos, num: v}
}

// decimal passes digits, a fraction and an exponent.
func (l *lexer) decimal() {
	l.digits(isDigit)
	if l.at(".") && l.pos+1 < len(l.text) && isDigit(l.text[l.pos+1]) {
		l.pos++
		l.digits(isDigit)
	}
	if !l.at("e") && !l.at("E") {
		return
	}
	mark := l.pos
	l.pos++
	if l.at("+") || l.at("-") {
		l.pos++
	}
	if l.digits(isDigit) == 0 {
		l.pos = mark
	}
}

func (l *lexer) digits(is func(byte) bool) int {
	start := l.pos
	for l.pos < len(l.text) && is(l.text[l.pos]) {
		l.pos++
	}
	return l.pos - start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// stringToken reads a string between quotes.
func (l *lexer) stringToken(quote byte) {
	start := l.pos
	l.pos++
	var decoded []byte // stays nil while the text can be used as it stands
	from := l.pos      // begin of the piece not yet in decoded
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == quote && l.pos+1 < len(l.text) && l.text[l.pos+1] == quote:
			decoded = append(decoded, l.text[from:l.pos+1]...)
			l.pos += 2
			from = l.pos
		case c == quote:
			l.tok = token{kind: text, start: start, end: l.pos + 1, str: l.text[from:l.pos]}
			if decoded != nil {
				l.tok.str = string(append(decoded, l.tok.str...))
			}
			l.pos++
			return
		case c == '\\':
			decoded = append(decoded, l.text[from:l.pos]...)
			if decoded = l.escape(decoded); l.err != nil {
				return
			}
			from = l.pos
		default:
			l.pos++
		}
	}
	l.fail(start, "text begins and ends with a quote; inside, that quote is written twice", "the text is not closed")
}

// escape decodes the escape sequence at pos onto dst.
func (l *lexer) escape(dst []byte) []byte {
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
func (l *lexer) secondHalf(r rune) rune {
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
func (l *lexer) hexEscape() (rune, bool) {
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

func (l *lexer) sign(k kind, size int) {
	l.tok = token{kind: k, start: l.pos, end: l.pos + size}
	l.pos += size
}

var signs = [utf8.RuneSelf]kind{
	'*': star, ',': comma, '(': leftParen, ')': rightParen, '[': leftBracket, ']': rightBracket,
	'+': plus, '/': slash, '%': percent, '=': equal, '<': less, '>': greater,
}

// signToken reads an operator or a bracket. Mistaken operators, such as ==,
// are one token, so that the error shows them whole.
func (l *lexer) signToken(c byte) {
	switch {
	case l.at("!="), l.at("<>"):
		l.sign(notEqual, 2)
	case l.at("<="):
		l.sign(lessEqual, 2)
	case l.at(">="):
		l.sign(greaterEqual, 2)
	case l.at("=="), l.at("=>"), l.at("=<"):
		l.sign(other, 2)
	default:
		k := signs[c]
		if k == end {
			k = other
		}
		l.sign(k, 1)
	}
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
