package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hubtwin/hubtwin/message"
)

// The grammar (B3). AND, OR, NOT and functions ignore case; true, false, null and
// undefined do not.
//
//	condition = [ coalesce ]
//	coalesce  = or { "??" or }
//	or        = and { "OR" and }
//	and       = equality { "AND" equality }
//	equality  = relation { ( "=" | "!=" | "<>" ) relation }
//	relation  = sum { ( "<" | "<=" | ">" | ">=" ) sum }
//	sum       = product { ( "+" | "-" | "||" ) product }
//	product   = unary { ( "*" | "/" | "%" ) unary }
//	unary     = ( "NOT" | "-" ) unary | primary
//	primary   = "(" coalesce ")" | constant | name | call | "$"name | "{" "$"name "}"
//	call      = name "(" [ coalesce { "," coalesce } ] ")"
//
// NOT binds tighter than any operator, unlike in queries.

// Precedences of conditions, loosest first.
const (
	precCoalesce = iota + 1
	precEither
	precBoth
	precEquality
	precRelation
	precAdditive
	precMulti
	precPrefix
)

// conditionInfix says for each operator how tightly it binds; 0 is no operator.
var conditionInfix = [where + 1]int{
	question: precCoalesce, or: precEither, and: precBoth,
	equal: precEquality, notEqual: precEquality,
	less: precRelation, lessEqual: precRelation, greater: precRelation, greaterEqual: precRelation,
	plus: precAdditive, minus: precAdditive, joint: precAdditive,
	star: precMulti, slash: precMulti, percent: precMulti,
}

type conditionParser struct {
	conditionLexer
	source     message.Source
	body, twin bool // one of their paths was read
}

// typed is an expression with what is known of its type.
type typed struct {
	Expr
	types types
}

func (p *conditionParser) condition() *Condition {
	c := &Condition{}
	if !p.isUTF8("condition") {
		return c
	}
	if p.next(); p.tok.kind != end {
		c.root = p.expr(precCoalesce).Expr
	}
	switch p.tok.kind {
	case end:
	case rightParen:
		p.fail(p.tok.start, "", "unmatched closing ')'")
	default:
		p.unexpected("an operator or the end of the condition")
	}
	c.body, c.twin = p.body, p.twin
	return c
}

// expr reads an operand and the operators after it that bind at least as tightly
// as least. After an error it returns what nobody looks at.
func (p *conditionParser) expr(least int) typed {
	left := p.operand()
	for p.err == nil {
		op := p.tok
		prec := conditionInfix[op.kind]
		if prec == 0 || prec < least {
			break
		}
		p.next()
		right := p.expr(prec + 1)
		if p.err == nil {
			left = p.binary(op, left, right)
		}
	}
	return left
}

// operand reads what stands before, between and after operators between two.
func (p *conditionParser) operand() typed {
	p.deeper()
	defer func() { p.depth-- }()
	t := p.tok
	word := p.text[t.start:t.end]
	switch t.kind {
	case not, minus:
		p.next()
		x := p.operand()
		if p.err != nil {
			return x
		}
		return p.unary(t, x)
	case leftParen:
		p.next()
		e := p.expr(precCoalesce)
		p.close("an operator or ')'")
		return e
	case leftBrace:
		return p.escaped()
	case system:
		p.next()
		return p.dollar(t, false)
	case name:
		if p.next(); p.tok.kind == leftParen {
			return p.call(t)
		}
		return typed{&property{name: word}, textType}
	default:
		return p.literal()
	}
}

// close passes the ')' that ends what was opened.
func (p *conditionParser) close(what string) {
	switch {
	case p.err != nil:
	case p.tok.kind == rightParen:
		p.next()
	case p.tok.kind == end:
		p.fail(p.tok.start, "", "missing closing ')'")
	default:
		p.unexpected(what)
	}
}

func (p *conditionParser) literal() typed {
	t := p.tok
	var l typed
	switch t.kind {
	case number:
		l = typed{&Literal{doubleValue(t.num)}, numberType}
	case text:
		l = typed{&Literal{textValue(t.str)}, textType}
	case trueWord, falseWord:
		l = typed{&Literal{boolValue(t.kind == trueWord)}, boolType}
	case nullWord:
		l = typed{&Literal{Value{Kind: Null}}, nullType}
	case undefinedWord:
		l = typed{&Literal{}, undefinedType}
	default:
		p.unexpected("a value")
		return l
	}
	p.next()
	return l
}

// escaped reads a name in braces.
func (p *conditionParser) escaped() typed {
	p.next()
	t := p.tok
	if t.kind != system {
		p.unexpected("a name that begins with $")
		return typed{}
	}
	if p.next(); p.tok.kind != rightBrace {
		p.unexpected("'}'")
		return typed{}
	}
	p.next()
	return p.dollar(t, true)
}

// dollar makes a system property of the name t, or a member of body or twin.
func (p *conditionParser) dollar(t token, braces bool) typed {
	word := p.text[t.start:t.end]
	root, rest := word[1:], ""
	if n := strings.IndexAny(root, ".["); n >= 0 {
		root, rest = root[:n], root[n:]
	}
	twin := strings.EqualFold(root, "twin")
	if !twin && !strings.EqualFold(root, "body") {
		return typed{&property{name: word, braces: braces}, textType}
	}
	m := &jsonPath{twin: twin}
	if strings.HasPrefix(rest, ".") {
		p.members(m, t, rest[1:])
	}
	return typed{m, dynamic}
}

// members reads the path below body or twin, such as a.b[2].c.
func (p *conditionParser) members(m *jsonPath, t token, path string) {
	for part := range strings.SplitSeq(path, ".") {
		key, indexes, _ := strings.Cut(part, "[")
		m.path = append(m.path, step{key, -1})
		good := key != "" && !strings.Contains(key, "]")
		for good && len(key) < len(part) {
			var digits string
			digits, indexes, good = strings.Cut(indexes, "]")
			n, err := strconv.ParseUint(digits, 10, 31)
			m.path = append(m.path, step{index: int(n)})
			if good = good && err == nil; indexes == "" {
				break
			}
			good = good && indexes[0] == '['
			indexes = indexes[1:]
		}
		if !good {
			p.fail(t.start, "members are joined by '.', and elements of arrays are [0], [1] …: $body.a.b[2].c", "%s is not a path", quoted(p.text[t.start:t.end]))
			return
		}
	}
	if m.twin {
		m.spell()
		p.twin = true
	} else {
		p.body = true
	}
}

// spell gives fixed names of a twin their spelling.
func (m *jsonPath) spell() {
	for _, s := range m.path {
		if s.index >= 0 {
			break
		}
		m.names = append(m.names, s.key)
	}
	for i, name := range spelled(m.names) {
		m.path[i].key = name
	}
}

// call reads the arguments of the function fn.
func (p *conditionParser) call(fn token) typed {
	word := p.text[fn.start:fn.end]
	f := slices.IndexFunc(builtins[:], func(b signature) bool { return strings.EqualFold(b.name, word) })
	if f < 0 || builtinFunction(f) == twinChangeIncludes && p.source != message.TwinChangeEvents {
		p.fail(fn.start, builtinHints[strings.ToLower(word)], "Invalid built-in function %s", quoted(word))
		return typed{}
	}
	p.next()
	c := &builtin{function: builtinFunction(f)}
	if c.function == twinChangeIncludes {
		return p.changed(c)
	}
	var given []types
	for p.err == nil && p.tok.kind != rightParen {
		arg := p.expr(precCoalesce)
		c.args = append(c.args, arg.Expr)
		given = append(given, arg.types)
		if p.tok.kind != comma {
			break
		}
		if p.next(); p.tok.kind == rightParen {
			p.unexpected("a value")
		}
	}
	p.close("',' or ')'")
	if p.err == nil && !builtins[f].takes(given) {
		p.fail(fn.start, builtins[f].usage(), "Invalid arguments to built-in function %s: %s(%s)", quoted(word), word, typeNames(given))
	}
	return typed{c, builtins[f].result}
}

// changed reads the argument of TWIN_CHANGE_INCLUDES: a bare path into the body.
func (p *conditionParser) changed(c *builtin) typed {
	t := p.tok
	path := p.text[t.start:t.end]
	m := &jsonPath{}
	for _, root := range []string{"properties.reported.", "properties.desired.", "tags."} {
		if t.kind == name && len(path) > len(root) && strings.EqualFold(path[:len(root)], root) {
			p.members(m, t, root+path[len(root):])
		}
	}
	if m.path == nil && p.err == nil {
		p.fail(t.start, "its argument begins with properties.reported., properties.desired. or tags.", "Invalid arguments to built-in function %s", builtins[twinChangeIncludes].name)
		return typed{}
	}
	if p.err != nil {
		return typed{}
	}
	p.next()
	p.close("')'")
	c.args = []Expr{m}
	return typed{c, boolType}
}

// unexpected fails at the token: what says what could stand there.
func (p *conditionParser) unexpected(what string) {
	found := "the end"
	word := p.text[p.tok.start:p.tok.end]
	if p.tok.kind != end {
		found = quoted(word)
	}
	hint := conditionHints[strings.ToLower(word)]
	switch before := strings.TrimSpace(p.text[:p.tok.start]); {
	case p.tok.kind == equal && strings.HasSuffix(before, "="):
		hint = "equality is written ="
	case p.tok.kind == name && strings.IndexByte("+-*%|", word[0]) >= 0, p.tok.kind == number && word[0] == '-':
		hint = "names and numbers may have such characters; put blanks around an operator"
	}
	p.fail(p.tok.start, hint, "expected %s, found %s", what, found)
}

// conditionHints are for words and symbols that conditions do not have.
var conditionHints = map[string]string{
	"in":      "there is no IN; write a = 'x' OR a = 'y'",
	"like":    "there is no LIKE; write STARTS_WITH, ENDS_WITH or CONTAINS",
	"between": "there is no BETWEEN; write a >= b AND a <= c",
	"is":      "write IS_NULL(a) or IS_DEFINED(a)",
	"&&":      "write AND",
	"?":       "the operator for a missing value is ??",
	"[":       "elements of arrays are written without blanks: $body.a[0]",
	";":       "a condition ends without ';'",
}

// builtinHints are for functions of other dialects.
var builtinHints = map[string]string{
	"startswith":           "write STARTS_WITH",
	"endswith":             "write ENDS_WITH",
	"array_contains":       "there is no such function here; elements of arrays are $body.a[0], $body.a[1] …",
	"twin_change_includes": "only routes of TwinChangeEvents have it",
}
