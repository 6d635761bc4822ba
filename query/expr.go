package query

import (
	"slices"
	"strings"
)

// infix says for each operator how tightly it binds; 0 is no operator.
var infix = [where + 1]int{
	or: precOr, and: precAnd,
	equal: precCompare, notEqual: precCompare, less: precCompare, lessEqual: precCompare,
	greater: precCompare, greaterEqual: precCompare, in: precCompare, nin: precCompare,
	plus: precSum, minus: precSum,
	star: precProduct, slash: precProduct, percent: precProduct,
}

// expr reads an operand and the operators after it that bind at least as
// tightly as least. After an error it returns nil or half a tree, which nobody
// looks at.
func (p *parser) expr(least int) Expr {
	left := p.operand(least)
	for p.err == nil {
		op := p.tok.kind
		prec := infix[op]
		if prec == 0 || prec < least {
			break
		}
		p.next()
		switch {
		case op == in || op == nin:
			left = &In{X: left, Not: op == nin, List: p.list()}
		case prec == precCompare:
			left = &Compare{Op: compareOps[op], L: left, R: p.expr(precSum)}
		case prec >= precSum:
			left = &Arithmetic{Op: arithmeticOps[op], L: left, R: p.expr(prec + 1)}
		default:
			left = join(op, left, p.expr(prec+1))
		}
		if prec == precCompare && infix[p.tok.kind] == precCompare {
			p.fail(p.tok.start, "write a = b AND b = c", "comparisons do not chain")
		}
	}
	return left
}

var compareOps = [...]CompareOp{
	equal: Equal, notEqual: NotEqual, less: Less, lessEqual: LessEqual,
	greater: Greater, greaterEqual: GreaterEqual,
}

var arithmeticOps = [...]ArithmeticOp{
	plus: Add, minus: Subtract, star: Multiply, slash: Divide, percent: Remainder,
}

// join makes a conjunction or disjunction, keeping its terms in one list: the
// grouping of equals makes no difference in three-valued logic either.
func join(op kind, l, r Expr) Expr {
	if op == and {
		both, ok := l.(*And)
		if !ok {
			both = &And{Terms: append(make([]Expr, 0, 2), l)}
		}
		if more, ok := r.(*And); ok {
			both.Terms = append(both.Terms, more.Terms...)
		} else {
			both.Terms = append(both.Terms, r)
		}
		return both
	}
	either, ok := l.(*Or)
	if !ok {
		either = &Or{Terms: append(make([]Expr, 0, 2), l)}
	}
	if more, ok := r.(*Or); ok {
		either.Terms = append(either.Terms, more.Terms...)
	} else {
		either.Terms = append(either.Terms, r)
	}
	return either
}

// operand reads what stands before, between and after operators.
func (p *parser) operand(least int) Expr {
	p.deeper()
	defer func() { p.depth-- }()
	switch p.tok.kind {
	case not:
		if least > precNot {
			p.unexpected("a value")
			return nil
		}
		p.next()
		return &Not{X: p.expr(precNot)}
	case minus:
		p.next()
		if p.tok.kind == minus {
			p.unexpected("a value")
			return nil
		}
		return negate(p.operand(precUnary))
	case leftParen:
		p.next()
		e := p.expr(precOr)
		p.expect(rightParen, "an operator or ')'")
		return e
	case leftBracket:
		return p.list()
	case path:
		return p.pathOrCall()
	default:
		if v, ok := p.constant(); ok {
			return &Literal{Value: v}
		}
		p.unexpected("a value")
		return nil
	}
}

// negate folds the sign into a number.
func negate(e Expr) Expr {
	if l, ok := e.(*Literal); ok && l.Value.Kind == Number {
		return &Literal{Value: numberValue(-l.Value.Number)}
	}
	return &Negate{X: e}
}

// constant passes a literal that is not an array.
func (p *parser) constant() (v Value, ok bool) {
	switch t := p.tok; t.kind {
	case number:
		v = numberValue(t.num)
	case text:
		v = Value{Kind: String, Text: t.str}
	case trueWord, falseWord:
		v = Value{Kind: Bool, Bool: t.kind == trueWord}
	case nullWord:
		v = Value{Kind: Null}
	case undefinedWord:
		v = Value{}
	default:
		return v, false
	}
	p.next()
	return v, true
}

// list reads a constant array. Only the outermost keeps its JSON: arrays in
// arrays would each keep a copy of what lies in them.
func (p *parser) list() *List {
	l := p.elements()
	l.json = string(appendListJSON(nil, l))
	return l
}

// elements reads an array, or one in an array.
func (p *parser) elements() *List {
	p.deeper()
	defer func() { p.depth-- }()
	p.expect(leftBracket, "'['")
	l := &List{}
	for p.err == nil && p.tok.kind != rightBracket {
		l.Elems = append(l.Elems, p.element())
		if !p.accept(comma) {
			break
		}
		if p.tok.kind == rightBracket {
			p.unexpected("a constant")
		}
	}
	p.expect(rightBracket, "',' or ']'")
	return l
}

func (p *parser) element() Expr {
	if p.tok.kind == leftBracket {
		return p.elements()
	}
	negative := p.accept(minus)
	if negative && p.tok.kind != number {
		p.unexpected("a number")
	}
	v, ok := p.constant()
	if !ok {
		p.unexpected("a constant")
	}
	if negative {
		v = numberValue(-v.Number)
	}
	return &Literal{Value: v}
}

func (p *parser) pathOrCall() Expr {
	name := p.tok
	keys := p.keys()
	if p.tok.kind != leftParen {
		return canonical(keys, p.from)
	}
	word := p.text[name.start:name.end]
	f := slices.IndexFunc(functionNames[:], func(s string) bool { return strings.EqualFold(s, word) })
	if f < 0 {
		p.fail(name.start, functionHint(word), "there is no function %s", quoted(word))
		return nil
	}
	return p.call(Function(f))
}

func (p *parser) call(f Function) Expr {
	p.next()
	c := &Call{Function: f}
	for {
		start := p.tok.start
		c.Args = append(c.Args, p.expr(precSum))
		if _, ok := c.Args[0].(Path); f == IsDefined && !ok {
			p.fail(start, "", "IS_DEFINED takes a path")
		}
		if !p.accept(comma) {
			break
		}
	}
	if p.tok.kind == rightParen && len(c.Args) != f.arity() {
		p.fail(p.tok.start, "", "%s takes %s", functionNames[f], [...]string{1: "one argument", 2: "two arguments"}[f.arity()])
	}
	p.expect(rightParen, "',' or ')'")
	return c
}
