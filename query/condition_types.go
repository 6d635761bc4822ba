package query

import "strings"

// types are the types that an expression may have when it is defined. Those of
// members are known at run time only.
type types uint8

const (
	undefinedType types = 1 << iota // of the literal alone
	nullType
	boolType
	numberType
	textType

	dynamic  = nullType | boolType | numberType | textType
	anything = dynamic | undefinedType
)

// String is the type's name in messages.
func (t types) String() string {
	switch t {
	case undefinedType:
		return "undefined"
	case nullType:
		return "null"
	case boolType:
		return "bool"
	case numberType:
		return "number"
	case textType:
		return "string"
	default:
		return "unknown"
	}
}

func typeNames(list []types) string {
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.String()
	}
	return strings.Join(names, ", ")
}

// alike tells whether l and r are of one type, as far as that is known.
func alike(l, r types) bool { return l == r || l == dynamic || r == dynamic }

// result is the type of what an operator makes of l and r, which gives t if both
// are known.
func result(l, r, t types) types {
	if l == dynamic || r == dynamic {
		return dynamic
	}
	return t
}

// binary makes the node of an operator between l and r, if their types fit (B4).
// What has the literal null on one side of AND and OR is known at once: null AND x
// is null, null OR x is x.
func (p *conditionParser) binary(op token, l, r typed) typed {
	const truths = boolType | nullType | undefinedType
	fits, of := alike(l.types, r.types), typed{}
	switch prec := conditionInfix[op.kind]; {
	case op.kind == question:
		of = typed{&coalesce{l.Expr, r.Expr, l.types == textType && r.types == textType}, result(l.types, r.types, l.types)}
	case op.kind == and || op.kind == or:
		fits = l.types&truths != 0 && r.types&truths != 0
		of = logical(op.kind, l, r)
	case prec == precEquality || prec == precRelation:
		of = typed{&Compare{compareOps[op.kind], l.Expr, r.Expr}, boolType}
	case op.kind == joint:
		fits = l.types&textType != 0 && r.types&textType != 0
		of = typed{concatenation(l.Expr, r.Expr), textType}
	default:
		fits = l.types&numberType != 0 && r.types&numberType != 0 || l.types == nullType && r.types == nullType
		of = typed{&Arithmetic{arithmeticOps[op.kind], l.Expr, r.Expr}, result(l.types, r.types, numberType)}
	}
	if !fits {
		p.fail(op.start, operandHint(op.kind, l.types, r.types), "Invalid operands to binary operator '%s': %s and %s", p.text[op.start:op.end], l.types, r.types)
	}
	return of
}

func logical(op kind, l, r typed) typed {
	switch {
	case op == and && l.types == nullType, op == or && r.types == nullType:
		return l
	case op == and && r.types == nullType, op == or && l.types == nullType:
		return r
	default:
		return typed{join(op, l.Expr, r.Expr), boolType}
	}
}

// concatenation is CONCAT of l and r; that of more is one call.
func concatenation(l, r Expr) Expr {
	if c, ok := l.(*builtin); ok && c.function == concat {
		c.args = append(c.args, r)
		return c
	}
	return &builtin{function: concat, args: []Expr{l, r}}
}

// unary makes the node of NOT or a minus sign before x.
func (p *conditionParser) unary(op token, x typed) typed {
	switch {
	case op.kind == not && x.types == nullType:
		return typed{&Literal{boolValue(true)}, boolType}
	case op.kind == not && x.types&boolType != 0:
		return typed{&Not{x.Expr}, boolType}
	case op.kind == minus && x.types&numberType != 0:
		return typed{&Negate{x.Expr}, x.types}
	}
	p.fail(op.start, operandHint(op.kind, x.types, x.types), "Invalid operand to unary operator '%s': %s", p.text[op.start:op.end], x.types)
	return x
}

// operandHint says what to write instead of an operator between types that do not
// fit.
func operandHint(op kind, l, r types) string {
	switch {
	case op == not:
		return "NOT binds tighter than any operator: write NOT (a = b)"
	case op == question:
		return "?? binds loosest: write (a ?? b) = c"
	case op != joint && l|r == textType|numberType:
		return "properties of messages are strings: write AS_NUMBER(a)"
	case l|r == textType|nullType:
		return "write IS_NULL(a) or IS_DEFINED(a)"
	default:
		return ""
	}
}
