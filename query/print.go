package query

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// String is the query in canonical text: keywords in capitals, one blank
// between words, names in canonical spelling, and no parentheses but those that
// matter. Parse makes an equal tree of it, unless it has become longer than
// MaxText.
func (q *Query) String() string {
	return string(q.append(nil))
}

// Text is the condition e in the canonical text that String gives it, for
// people to read; "" is the condition that is missing. It is not shortened.
func Text(e Expr) string {
	if e == nil {
		return ""
	}
	return string(appendExpr(nil, e, precOr))
}

func (q *Query) append(b []byte) []byte {
	b = append(b, "SELECT "...)
	if q.Top > 0 {
		b = append(b, "TOP "...)
		b = strconv.AppendInt(b, int64(q.Top), 10)
		b = append(b, ' ')
	}
	if q.Star {
		b = append(b, '*')
	}
	b = appendItems(b, q.Items)
	b = append(b, " FROM "...)
	b = append(b, q.From.String()...)
	if q.Where != nil {
		b = append(b, " WHERE "...)
		b = appendExpr(b, q.Where, precOr)
	}
	for i, p := range q.GroupBy {
		if i == 0 {
			b = append(b, " GROUP BY "...)
		} else {
			b = append(b, ", "...)
		}
		b = appendPath(b, p)
	}
	return b
}

func appendItems(b []byte, items []Item) []byte {
	aggregates := 0
	for i, item := range items {
		if i > 0 {
			b = append(b, ", "...)
		}
		var name string // without AS
		if item.Aggregate == NoAggregate {
			b = appendPath(b, item.Path)
			name = item.Path[len(item.Path)-1]
		} else {
			aggregates++
			name = "$" + strconv.Itoa(aggregates)
			b = append(b, aggregateNames[item.Aggregate]...)
			b = append(b, '(')
			b = appendPath(b, item.Path)
			b = append(b, ')')
		}
		if item.Name != name {
			b = append(b, " AS "...)
			b = append(b, item.Name...)
		}
	}
	return b
}

// String is the path as it stands in a query.
func (p Path) String() string { return string(appendPath(nil, p)) }

func appendPath(b []byte, p Path) []byte {
	if len(p) > 1 && strings.EqualFold(p[0], "devices") {
		// Without the prefix this key would be taken for it.
		b = append(b, "devices."...)
	}
	for i, key := range p {
		if i > 0 {
			b = append(b, '.')
		}
		if plainKey(key, i == 0) {
			b = append(b, key...)
		} else {
			b = append(b, "[["...)
			b = append(b, key...)
			b = append(b, "]]"...)
		}
	}
	return b
}

// plainKey tells whether key needs no brackets. Canonical text is careful: it
// puts brackets around some names that the lexer would take.
func plainKey(key string, first bool) bool {
	name := strings.TrimPrefix(key, "$")
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !plainRune(r) }) {
		return false
	}
	if !first {
		return reservedKind(key) != group
	}
	r, _ := utf8.DecodeRuneInString(key)
	return r != '-' && (r < '0' || r > '9') && reservedKind(key) == path
}

func plainRune(r rune) bool {
	return r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// precedence is how tightly e holds together.
func precedence(e Expr) int {
	switch e := e.(type) {
	case *Or:
		return precOr
	case *And:
		return precAnd
	case *Not:
		return precNot
	case *Compare, *In:
		return precCompare
	case *Arithmetic:
		if e.Op <= Subtract {
			return precSum
		}
		return precProduct
	default:
		return precUnary
	}
}

// appendExpr writes e where only what binds at least as tightly as least may
// stand without parentheses.
func appendExpr(b []byte, e Expr, least int) []byte {
	prec := precedence(e)
	if prec < least {
		b = append(b, '(')
		b = appendExpr(b, e, precOr)
		return append(b, ')')
	}
	switch e := e.(type) {
	case Path:
		return appendPath(b, e)
	case *Literal:
		return appendLiteral(b, e.Value)
	case *List:
		return appendList(b, e)
	case *Call:
		b = append(b, functionNames[e.Function]...)
		b = append(b, '(')
		b = appendSeparated(b, e.Args, ", ", precSum)
		return append(b, ')')
	case *Negate:
		b = append(b, '-')
		if _, ok := e.X.(*Negate); ok {
			b = append(b, '(')
			b = appendExpr(b, e.X, precUnary)
			return append(b, ')')
		}
		return appendExpr(b, e.X, precUnary)
	case *Arithmetic:
		return appendInfix(b, e.L, prec, arithmeticSigns[e.Op], e.R, prec+1)
	case *Compare:
		return appendInfix(b, e.L, precSum, compareSigns[e.Op], e.R, precSum)
	case *In:
		word := "IN"
		if e.Not {
			word = "NIN"
		}
		return appendInfix(b, e.X, precSum, word, e.List, precSum)
	case *Not:
		b = append(b, "NOT "...)
		return appendExpr(b, e.X, precNot)
	case *And:
		return appendSeparated(b, e.Terms, " AND ", precNot)
	case *Or:
		return appendSeparated(b, e.Terms, " OR ", precAnd)
	}
	return b
}

func appendInfix(b []byte, l Expr, least int, sign string, r Expr, leastRight int) []byte {
	b = appendExpr(b, l, least)
	b = append(b, ' ')
	b = append(b, sign...)
	b = append(b, ' ')
	return appendExpr(b, r, leastRight)
}

func appendSeparated(b []byte, terms []Expr, separator string, least int) []byte {
	for i, t := range terms {
		if i > 0 {
			b = append(b, separator...)
		}
		b = appendExpr(b, t, least)
	}
	return b
}

func appendList(b []byte, l *List) []byte {
	b = append(b, '[')
	if slices.ContainsFunc(l.Elems[:min(1, len(l.Elems))], isList) {
		b = append(b, ' ') // [[ begins a name
	}
	b = appendSeparated(b, l.Elems, ", ", precUnary)
	return append(b, ']')
}

func isList(e Expr) bool {
	_, ok := e.(*List)
	return ok
}

func appendLiteral(b []byte, v Value) []byte {
	if v.Kind != String {
		return appendJSON(b, v)
	}
	b = append(b, '\'')
	for _, r := range v.Text {
		switch {
		case r == '\'' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			const hex = "0123456789abcdef"
			b = append(b, `\u00`...)
			b = append(b, hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '\'')
}
