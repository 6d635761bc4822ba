package query

import (
	"math"
	"strconv"
)

// conditionPrecedence is how tightly e holds together.
func conditionPrecedence(e Expr) int {
	switch e := e.(type) {
	case *coalesce:
		return precCoalesce
	case *Or:
		return precEither
	case *And:
		return precBoth
	case *Compare:
		if e.Op <= NotEqual {
			return precEquality
		}
		return precRelation
	case *Arithmetic:
		if e.Op <= Subtract {
			return precAdditive
		}
		return precMulti
	default:
		return precPrefix
	}
}

// appendCondition writes e where only what binds at least as tightly as least may
// stand without parentheses.
func appendCondition(b []byte, e Expr, least int) []byte {
	prec := conditionPrecedence(e)
	if prec < least {
		b = append(b, '(')
		b = appendCondition(b, e, precCoalesce)
		return append(b, ')')
	}
	switch e := e.(type) {
	case *Literal:
		return appendConditionLiteral(b, e.Value)
	case *property:
		if e.braces {
			b = append(b, '{')
			b = append(b, e.name...)
			return append(b, '}')
		}
		return append(b, e.name...)
	case *jsonPath:
		return e.append(b)
	case *builtin:
		b = append(b, builtins[e.function].name...)
		b = append(b, '(')
		if e.function == twinChangeIncludes {
			b = appendSteps(b, e.args[0].(*jsonPath).path)
		} else {
			b = appendTerms(b, e.args, ", ", precCoalesce)
		}
		return append(b, ')')
	case *Negate:
		b = append(b, "- "...) // without the blank it would be part of a name or number
		return appendCondition(b, e.X, precPrefix)
	case *Not:
		b = append(b, "NOT "...)
		return appendCondition(b, e.X, precPrefix)
	case *And:
		return appendTerms(b, e.Terms, " AND ", precBoth+1)
	case *Or:
		return appendTerms(b, e.Terms, " OR ", precEither+1)
	case *coalesce:
		return appendBetween(b, e.L, "??", e.R, prec)
	case *Compare:
		return appendBetween(b, e.L, compareSigns[e.Op], e.R, prec)
	case *Arithmetic:
		return appendBetween(b, e.L, arithmeticSigns[e.Op], e.R, prec)
	}
	return b
}

// appendBetween writes an operator that groups from the left.
func appendBetween(b []byte, l Expr, sign string, r Expr, prec int) []byte {
	b = appendCondition(b, l, prec)
	b = append(b, ' ')
	b = append(b, sign...)
	b = append(b, ' ')
	return appendCondition(b, r, prec+1)
}

func appendTerms(b []byte, terms []Expr, separator string, least int) []byte {
	for i, t := range terms {
		if i > 0 {
			b = append(b, separator...)
		}
		b = appendCondition(b, t, least)
	}
	return b
}

func appendConditionLiteral(b []byte, v Value) []byte {
	switch {
	case v.Kind == Number && math.IsInf(v.Number, 1):
		return append(b, "1e999"...)
	case v.Kind == Number && math.IsInf(v.Number, -1):
		return append(b, "-1e999"...)
	default:
		return appendLiteral(b, v)
	}
}

func (m *jsonPath) append(b []byte) []byte {
	if m.twin {
		b = append(b, "$twin"...)
	} else {
		b = append(b, "$body"...)
	}
	if len(m.path) > 0 {
		b = appendSteps(append(b, '.'), m.path)
	}
	return b
}

func appendSteps(b []byte, path []step) []byte {
	for i, s := range path {
		if s.index >= 0 {
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.index), 10)
			b = append(b, ']')
			continue
		}
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, s.key...)
	}
	return b
}
