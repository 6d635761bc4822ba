package query

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// conditionLexer cuts a condition into tokens, one at a time. The longest token
// wins, and names take most characters: 3-1 and a+b are names.
type conditionLexer struct{ scanner }

// next moves to the next token.
func (l *conditionLexer) next() {
	l.skipBlanks()
	if l.pos == len(l.text) {
		l.tok = token{kind: end, start: l.pos, end: l.pos}
		return
	}
	start := l.pos
	switch c := l.text[start]; {
	case c == '\'' || c == '"':
		s, ok := l.quotedText(false)
		switch {
		case !ok:
			l.fail(start, "text begins and ends with a quote; inside, that quote is written with a backslash: \\'", "unterminated string")
		case l.err == nil:
			l.tok = token{kind: text, start: start, end: l.pos, str: s}
		}
	case c == '$' && l.word(start+1, true) > start+1:
		l.pos = l.word(start+1, true)
		l.tok = token{kind: system, start: start, end: l.pos}
	case l.word(start, false) > start:
		l.pos = l.word(start, false)
		l.wordToken(start)
	default:
		l.symbol(c)
	}
}

// notInWords are the ASCII characters that end a name, besides white space.
const notInWords = `()<>@,;:\"/?={}[]`

// word is the end of the name that begins at pos. A != behind a name is not part
// of it, though names may have exclamation marks. In paths there are brackets.
func (l *conditionLexer) word(pos int, brackets bool) int {
	for i, r := range l.text[pos:] {
		switch {
		case brackets && (r == '[' || r == ']'):
		case unicode.IsSpace(r), r < utf8.RuneSelf && strings.IndexByte(notInWords, byte(r)) >= 0,
			strings.HasPrefix(l.text[pos+i:], "!="):
			return pos + i
		}
	}
	return len(l.text)
}

// wordSigns are operators whose characters names may have: alone they are
// operators.
var wordSigns = map[string]kind{"+": plus, "-": minus, "*": star, "%": percent, "||": joint}

var literalWords = map[string]kind{"true": trueWord, "false": falseWord, "null": nullWord, "undefined": undefinedWord}

// wordToken makes the token of the word from start to pos.
func (l *conditionLexer) wordToken(start int) {
	word := l.text[start:l.pos]
	l.tok = token{kind: name, start: start, end: l.pos}
	if k, ok := wordSigns[word]; ok {
		l.tok.kind = k
	} else if k, ok := literalWords[word]; ok { // in lower case only
		l.tok.kind = k
	} else if k := reservedKind(word); k == and || k == or || k == not {
		l.tok.kind = k
	} else if n, ok := wordNumber(word); ok {
		l.tok.kind, l.tok.num = number, n
	}
}

// wordNumber reads a word as a number. What is too large is infinite.
func wordNumber(word string) (float64, bool) {
	if hex, ok := strings.CutPrefix(strings.ToLower(word), "0x"); ok {
		n, err := strconv.ParseUint(hex, 16, 64)
		return float64(n), err == nil
	}
	if strings.Trim(word, "0123456789.eE+-") != "" || strings.IndexByte("eE+", word[0]) >= 0 {
		return 0, false
	}
	if dot := strings.IndexByte(word, '.'); dot >= 0 && (dot+1 == len(word) || !isDigit(word[dot+1])) {
		return 0, false
	}
	n, err := strconv.ParseFloat(word, 64)
	return n, err == nil || errors.Is(err, strconv.ErrRange)
}

var conditionSigns = [utf8.RuneSelf]kind{
	',': comma, '(': leftParen, ')': rightParen, '{': leftBrace, '}': rightBrace,
	'/': slash, '=': equal, '<': less, '>': greater,
}

// symbol reads an operator or bracket that no name could have.
func (l *conditionLexer) symbol(c byte) {
	switch {
	case l.at("!="), l.at("<>"):
		l.sign(notEqual, 2)
	case l.at("<="):
		l.sign(lessEqual, 2)
	case l.at(">="):
		l.sign(greaterEqual, 2)
	case l.at("??"):
		l.sign(question, 2)
	case conditionSigns[c] != end:
		l.sign(conditionSigns[c], 1)
	default:
		l.fail(l.pos, conditionHints[string(c)], "unrecognized symbol '%c'", c)
	}
}
