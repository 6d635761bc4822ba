package query

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/fault"
)

// Error says where a text is not a query, and what might help. It wraps the
// fault that callers see, so fault.Of and fault.Is take it as it is.
type Error struct {
	Offset  int    // bytes before the place
	Message string // what is wrong, one clause
	Hint    string // what to write instead, or ""

	text string // the query; "" if it was too long to be looked at
}

// Error gives the place, the message and the hint in one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.text != "" {
		line, column := e.Position()
		fmt.Fprintf(&b, "line %d, column %d: ", line, column)
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Unwrap gives the error as the caller's fault.
func (e *Error) Unwrap() error { return e.Fault() }

// Fault is the error as the hub answers it: ArgumentInvalid, with a message
// that begins with "BadRequest" as the service's does (A8).
func (e *Error) Fault() *fault.Error {
	return fault.New(fault.ArgumentInvalid, "BadRequest %s", e.Error())
}

// Position is the place as people count: lines, and code points in the line,
// both from 1.
func (e *Error) Position() (line, column int) {
	before := e.text[:min(e.Offset, len(e.text))]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

// How much of a long line Explain shows on either side of the place, in code
// points.
const (
	shownBefore = 60
	shownAfter  = 40
)

// Explain renders the error for a terminal: the message, the line in question
// with a caret below the place, and the hint. It has no final newline.
func (e *Error) Explain() string {
	if e.text == "" {
		return e.Error()
	}
	at := min(e.Offset, len(e.text))
	start := strings.LastIndexByte(e.text[:at], '\n') + 1
	end := len(e.text)
	if n := strings.IndexByte(e.text[at:], '\n'); n >= 0 {
		end = at + n
	}
	before, after := clipLeft(e.text[start:at]), clipRight(strings.TrimSuffix(e.text[at:end], "\r"))

	line, column := e.Position()
	var b strings.Builder
	fmt.Fprintf(&b, "line %d, column %d: %s\n", line, column, e.Message)
	fmt.Fprintf(&b, "  %s%s\n  %s^", before, after, blanks(before))
	if e.Hint != "" {
		b.WriteString("\nhint: ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// blanks is as wide as s: its tabs stay tabs, so that the caret lands right
// wherever the reader's tab stops are.
func blanks(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, s)
}

func clipLeft(s string) string {
	n := utf8.RuneCountInString(s)
	if n <= shownBefore {
		return s
	}
	for ; n > shownBefore; n-- {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return "…" + s
}

func clipRight(s string) string {
	n := 0
	for i := range s {
		if n == shownAfter {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
