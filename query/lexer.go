package query

import (
	"strconv"
	"strings"
	"unicode"

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
	// What only conditions have.
	name   // of an application property or a function
	system // a name after $
	leftBrace
	rightBrace
	joint    // ||
	question // ??
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

// lexer cuts a query into tokens, one at a time.
type lexer struct {
	scanner
	segs []string  // the keys of tok if it is a path; overwritten by the next path
	room [6]string // where segs begins
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
		l.stringToken()
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

// stringToken reads a string between quotes.
func (l *lexer) stringToken() {
	start := l.pos
	s, ok := l.quotedText(true)
	switch {
	case !ok:
		l.fail(start, "text begins and ends with a quote; inside, that quote is written twice", "the text is not closed")
	case l.err == nil:
		l.tok = token{kind: text, start: start, end: l.pos, str: s}
	}
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
