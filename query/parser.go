package query

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The grammar (A2). Keywords and functions ignore case.
//
//	query      = "SELECT" [ top ] select [ "FROM" source ] [ "WHERE" expr ]
//	             [ "GROUP" "BY" path { "," path } ]
//	top        = "TOP" ( integer | "(" integer ")" )
//	select     = "*" | item { "," item }
//	item       = ( aggregate | path ) [ "AS" name ]
//	aggregate  = "COUNT" "(" [ path ] ")" | ( "AVG" | "SUM" | "MIN" | "MAX" ) "(" path ")"
//	source     = "devices" | "devices.modules" | "devices.jobs"
//
//	expr       = and { "OR" and }
//	and        = not { "AND" not }
//	not        = "NOT" not | comparison
//	comparison = sum [ sign sum | ( "IN" | "NIN" ) array ]
//	sum        = product { ( "+" | "-" ) product }
//	product    = unary { ( "*" | "/" | "%" ) unary }
//	unary      = [ "-" ] primary
//	primary    = constant | array | call | path | "(" expr ")"
//	call       = function "(" sum { "," sum } ")"
//	array      = "[" [ constant { "," constant } ] "]"
//
// Expressions are read by precedence climbing: expr(least) reads an operand
// and then every operator that binds at least as tightly as least.

const (
	// MaxText is the longest query, in characters.
	MaxText = 8192
	// maxDepth bounds parentheses, NOTs, calls and arrays within each other.
	maxDepth = 200
)

// Precedences, loosest first.
const (
	precOr = iota + 1
	precAnd
	precNot
	precCompare
	precSum
	precProduct
	precUnary
)

// Parse reads a query. The error is an *Error, which wraps ArgumentInvalid.
func Parse(text string) (*Query, error) {
	return parse(text, MaxText, (*parser).query)
}

// ParseTarget reads the target of a configuration or job as a query: a bare
// condition about devices, "*" for all devices, or "FROM devices.modules
// [WHERE condition]". The empty text, which targets nothing, is the caller's.
func ParseTarget(text string) (*Query, error) {
	return parse(text, MaxText, (*parser).target)
}

func parse(text string, most int, start func(*parser) *Query) (*Query, error) {
	if longer(text, most) {
		return nil, &Error{Message: "the query is longer than " + strconv.Itoa(most) + " characters"}
	}
	p := &parser{lexer: lexer{scanner: scanner{text: text}}}
	if !p.refused() {
		p.next()
		if q := start(p); p.err == nil {
			return q, nil
		}
	}
	return nil, p.err
}

// longer tells whether text has more than most characters. It costs in proportion
// to most.
func longer(text string, most int) bool {
	return len(text) > most && (len(text) > most*utf8.UTFMax || utf8.RuneCountInString(text) > most)
}

type parser struct {
	lexer
	from Collection
}

// refused looks at the text as a whole.
func (p *parser) refused() bool {
	trimmed := strings.TrimSpace(p.text)
	switch {
	case !p.isUTF8("query"):
	case strings.HasSuffix(trimmed, ";"):
		// Elsewhere ';' is a character of names.
		p.fail(strings.LastIndexByte(p.text, ';'), "a query ends without ';'", `unexpected ";"`)
	}
	return p.err != nil
}

// accept passes the token if it is of kind k.
func (p *parser) accept(k kind) bool {
	if p.tok.kind != k || p.err != nil {
		return false
	}
	p.next()
	return true
}

// expect passes a token of kind k, or fails: what says what is missing.
func (p *parser) expect(k kind, what string) {
	if !p.accept(k) {
		p.unexpected(what)
	}
}

func (p *parser) query() *Query {
	q := &Query{}
	p.expect(selectWord, "SELECT")
	if p.accept(top) {
		q.Top = p.count()
	}
	places := p.selectList(q)
	next := "FROM, WHERE, GROUP BY or the end of the query"
	if p.accept(from) {
		q.From = p.source()
		next = "WHERE, GROUP BY or the end of the query"
	}
	p.from = q.From
	p.finishItems(q)
	if p.accept(where) {
		q.Where = p.expr(precOr)
		next = "an operator, GROUP BY or the end of the query"
	}
	if p.accept(group) {
		p.expect(by, "BY")
		q.GroupBy = p.groupPaths()
		next = "',' or the end of the query"
	}
	p.expect(end, next)
	if p.err == nil {
		p.check(q, places)
	}
	return q
}

// target is the form of ParseTarget.
func (p *parser) target() *Query {
	q := &Query{Star: true}
	switch {
	case p.accept(star):
	case p.accept(from):
		q.From = p.source()
		p.from = q.From
		if p.accept(where) {
			q.Where = p.expr(precOr)
		}
	default:
		q.Where = p.expr(precOr)
	}
	p.expect(end, "an operator or the end of the condition")
	return q
}

// count reads the number of TOP.
func (p *parser) count() int {
	inner := p.accept(leftParen)
	t := p.tok
	n, err := strconv.ParseInt(p.text[t.start:t.end], 10, 32)
	if t.kind != number || err != nil || n == 0 {
		p.fail(t.start, "", "TOP takes a whole number from 1")
	}
	p.next()
	if inner {
		p.expect(rightParen, "')'")
	}
	return int(n)
}

// selectList reads the items and tells where each begins.
func (p *parser) selectList(q *Query) (places []int) {
	if p.tok.kind == star {
		places = append(places, p.tok.start)
		q.Star = true
		if p.next(); p.tok.kind == comma {
			p.fail(p.tok.start, "", "'*' stands alone in the select list")
		}
		return places
	}
	aggregates := 0
	for {
		places = append(places, p.tok.start)
		item := p.item()
		if item.Aggregate != NoAggregate && item.Name == "" {
			item.Name = "$" + strconv.Itoa(aggregates+1)
		}
		if item.Aggregate != NoAggregate {
			aggregates++
		}
		q.Items = append(q.Items, item)
		if !p.accept(comma) {
			return places
		}
	}
}

func (p *parser) item() Item {
	var item Item
	start := p.tok
	if start.kind != path {
		p.unexpected("'*', a path or an aggregate")
		return item
	}
	keys := p.keys()
	switch {
	case p.tok.kind == leftParen:
		item = p.aggregate(start)
	case p.tok.kind == path && strings.EqualFold(p.text[start.start:start.end], "distinct"):
		p.fail(start.start, "GROUP BY gives each value once", "there is no DISTINCT")
	default:
		item.Path = keys
	}
	if p.accept(as) {
		item.Name = p.alias()
	}
	return item
}

func (p *parser) aggregate(name token) Item {
	word := p.text[name.start:name.end]
	i := slices.IndexFunc(aggregateNames[:], func(s string) bool { return strings.EqualFold(s, word) })
	if i <= 0 {
		p.fail(name.start, "", "the select list holds '*', paths and COUNT, AVG, SUM, MIN, MAX; %s is none of them", quoted(word))
		return Item{}
	}
	item := Item{Aggregate: Aggregate(i)}
	p.next()
	switch {
	case p.tok.kind == path:
		item.Path = p.keys()
	case p.tok.kind == star && item.Aggregate == Count:
		p.fail(p.tok.start, "write COUNT()", "COUNT takes a path or nothing")
	case item.Aggregate != Count:
		p.unexpected("a path")
	}
	p.expect(rightParen, "')'")
	return item
}

// alias reads the name after AS: one plain name.
func (p *parser) alias() string {
	if p.tok.kind != path || len(p.segs) > 1 || p.text[p.tok.start] == '[' {
		p.unexpected("a name without '.' after AS")
		return ""
	}
	name := p.segs[0]
	p.next()
	return name
}

// finishItems makes the paths of the select list canonical, which takes the
// collection, and names the items that have no alias.
func (p *parser) finishItems(q *Query) {
	for i := range q.Items {
		item := &q.Items[i]
		if item.Path != nil {
			item.Path = canonical(item.Path, p.from)
		}
		if item.Name == "" && item.Path != nil {
			item.Name = item.Path[len(item.Path)-1]
		}
	}
}

func (p *parser) source() Collection {
	word := p.text[p.tok.start:p.tok.end]
	for i, name := range collectionNames {
		if strings.EqualFold(name, word) {
			p.next()
			return Collection(i)
		}
	}
	p.unexpected("devices, devices.modules or devices.jobs")
	return Devices
}

func (p *parser) groupPaths() (paths []Path) {
	for {
		if p.tok.kind != path {
			p.unexpected("a path")
			return paths
		}
		paths = append(paths, canonical(p.keys(), p.from))
		if !p.accept(comma) {
			return paths
		}
	}
}

// check applies the rules between the parts of a query (A6, A7).
func (p *parser) check(q *Query, places []int) {
	switch {
	case q.From == Jobs && !q.Star:
		p.fail(places[0], "write SELECT *", "jobs have no projections and no aggregates")
	case q.Star && q.GroupBy != nil:
		p.fail(places[0], "", "'*' cannot be grouped")
	case q.GroupBy == nil && !q.aggregates():
		return
	}
	for i, item := range q.Items {
		if item.Aggregate == NoAggregate && q.groupIndex(item.Path) < 0 {
			p.fail(places[i], "add it to GROUP BY", "a path beside an aggregate must be one of GROUP BY")
		}
	}
}

// aggregates tells whether the select list has an aggregate.
func (q *Query) aggregates() bool {
	return slices.ContainsFunc(q.Items, func(i Item) bool { return i.Aggregate != NoAggregate })
}

// groupIndex finds path among those of GROUP BY; -1 if it is not there.
func (q *Query) groupIndex(path Path) int {
	return slices.IndexFunc(q.GroupBy, func(g Path) bool { return slices.Equal(g, path) })
}

// keys passes a path token and returns its keys as written.
func (p *parser) keys() Path {
	keys := slices.Clone(p.segs)
	p.next()
	return keys
}
