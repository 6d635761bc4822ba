package index

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/query"
)

// predicate makes a condition of a part of WHERE that is no AND, OR or NOT.
func (s *Snapshot) predicate(e query.Expr) condition {
	paths := pathsIn(e)
	switch len(paths) {
	case 0:
		return constant(query.Matches(e, only("")))
	case 1:
		at := s.paths.find(paths[0])
		switch at.where {
		case nowhere:
			return constant(query.Matches(e, only("")))
		case inColumns:
			return newColumnPredicate(e, at.number)
		case inTimes:
			return newTimePredicate(e, at.number)
		case inKeys:
			return newKeyPredicate(e)
		}
	case 2:
		c, ok := e.(*query.Compare)
		if !ok {
			break
		}
		l, lok := c.L.(query.Path)
		r, rok := c.R.(query.Path)
		if !lok || !rok {
			break
		}
		left, right := s.paths.find(l), s.paths.find(r)
		if left.where == nowhere || right.where == nowhere {
			return constant(query.Unknown)
		}
		if left.where == inColumns && right.where == inColumns {
			return &pair{op: c.Op, left: left.number, right: right.number}
		}
	}
	return &documents{}
}

// pathsIn lists the different paths in e.
func pathsIn(e query.Expr) (list []query.Path) {
	walk(e, func(e query.Expr) {
		p, ok := e.(query.Path)
		if !ok {
			return
		}
		if !slices.ContainsFunc(list, func(known query.Path) bool { return slices.Equal(known, p) }) {
			list = append(list, p)
		}
	})
	return list
}

// walk visits e and all below it.
func walk(e query.Expr, visit func(query.Expr)) {
	visit(e)
	switch e := e.(type) {
	case *query.Call:
		for _, a := range e.Args {
			walk(a, visit)
		}
	case *query.Negate:
		walk(e.X, visit)
	case *query.Arithmetic:
		walk(e.L, visit)
		walk(e.R, visit)
	case *query.Compare:
		walk(e.L, visit)
		walk(e.R, visit)
	case *query.In:
		walk(e.X, visit)
	case *query.Not:
		walk(e.X, visit)
	case *query.And:
		for _, t := range e.Terms {
			walk(t, visit)
		}
	case *query.Or:
		for _, t := range e.Terms {
			walk(t, visit)
		}
	}
}

// only is a document that has one value, whatever the path: it lets the straight
// evaluator decide on the entry of a dictionary.
type only string

func (only) Key() string                        { return "" }
func (v only) Lookup([]string) (string, bool)   { return string(v), v != "" }
func (v only) AppendJSON(dst []byte) []byte     { return append(dst, v...) }
func (v only) matches(e query.Expr) query.Truth { return query.Matches(e, v) }

// answer is what a predicate says of a value: a truth, or that the document has
// to be asked.
type answer uint8

const ask = answer(255)

func decided(t query.Truth) answer { return answer(t) }

func (o *outcome) add(row int, a answer) {
	switch a {
	case answer(query.True):
		o.yes.add(row)
	case answer(query.False):
		o.no.add(row)
	case ask:
		o.ask.add(row)
	}
}

// columnPredicate is a predicate on one path that has columns.
type columnPredicate struct {
	expr   query.Expr
	number int
	used   deciders

	inside   bool // it looks into arrays and objects
	specials [len(specialTexts)]answer
	numbers  numberTest
	strings  stringTest

	memo map[string]answer // of texts in dictionaries
}

// numberTest says what the predicate is for numbers.
type numberTest struct {
	form    form
	lo, hi  float64          // inRange: these included
	set     map[float64]bool // inSet
	in, out answer
}

// stringTest says what the predicate is for strings. With inSet, those whose
// hash is in the set have to be looked at; with isOne, those that have the hash.
type stringTest struct {
	form form
	one  uint32
	set  map[uint32]bool
	out  answer
	op   query.CompareOp // isOrdered
	text string          // isOrdered, begins
}

// maybe tells whether a string with a hash has to be looked at.
func (t *stringTest) maybe(hash uint32) bool {
	switch t.form {
	case isOne:
		return hash == t.one
	case inSet:
		return t.set[hash]
	default:
		return t.form != same
	}
}

type form uint8

const (
	unknownForm form = iota // evaluate each value
	same                    // out for all
	inRange
	inSet
	isOne
	isOrdered // by text
	begins    // with text
)

func newColumnPredicate(e query.Expr, number int) *columnPredicate {
	p := &columnPredicate{expr: e, number: number, memo: map[string]answer{}}
	walk(e, func(e query.Expr) {
		if c, ok := e.(*query.Call); ok && c.Function == query.ArrayContains {
			p.inside = true
		}
	})
	for i, text := range specialTexts {
		p.specials[i] = p.evaluate(text)
	}
	p.classify()
	return p
}

// evaluate decides on a JSON text, which for arrays and objects is only a mark.
func (p *columnPredicate) evaluate(text string) answer {
	if p.inside && (text == "[" || text == "{") {
		return ask
	}
	return decided(only(text).matches(p.expr))
}

// Samples stand for all values of a kind where the predicate does not tell them
// apart.
const (
	sampleNumber = "0"
	sampleString = `""`
)

// classify finds out how to decide on numbers and strings without evaluating
// the predicate on each.
func (p *columnPredicate) classify() {
	p.numbers = numberTest{form: same, out: p.evaluate(sampleNumber)}
	p.strings = stringTest{form: same, out: p.evaluate(sampleString)}
	switch e := p.expr.(type) {
	case query.Path:
		return
	case *query.Compare:
		if op, literal, ok := againstLiteral(e); ok {
			p.compare(op, literal)
			return
		}
	case *query.In:
		if _, ok := e.X.(query.Path); ok {
			p.in(e)
			return
		}
	case *query.Call:
		_, ofPath := e.Args[0].(query.Path)
		if ofPath && e.Function < query.StartsWith {
			return
		}
		if e.Function == query.StartsWith || e.Function == query.EndsWith {
			p.strings.form = unknownForm // of numbers it is unknown
			if prefix, ok := e.Args[1].(*query.Literal); ok && ofPath && e.Function == query.StartsWith && prefix.Value.Kind == query.String {
				p.strings = stringTest{form: begins, text: prefix.Value.Text}
				return
			}
			if hasOnlyPathsAndLiterals(e.Args) {
				return
			}
		}
	}
	p.numbers.form, p.strings.form = unknownForm, unknownForm
}

func hasOnlyPathsAndLiterals(args []query.Expr) bool {
	for _, a := range args {
		switch a.(type) {
		case query.Path, *query.Literal:
		default:
			return false
		}
	}
	return true
}

// againstLiteral gives a comparison of a path with a constant in the form
// path op constant.
func againstLiteral(e *query.Compare) (op query.CompareOp, literal query.Value, ok bool) {
	if _, isPath := e.L.(query.Path); isPath {
		if l, isLiteral := e.R.(*query.Literal); isLiteral {
			return e.Op, l.Value, true
		}
	}
	if _, isPath := e.R.(query.Path); isPath {
		if l, isLiteral := e.L.(*query.Literal); isLiteral {
			return mirrored[e.Op], l.Value, true
		}
	}
	return 0, query.Value{}, false
}

var mirrored = [...]query.CompareOp{
	query.Equal: query.Equal, query.NotEqual: query.NotEqual,
	query.Less: query.Greater, query.LessEqual: query.GreaterEqual,
	query.Greater: query.Less, query.GreaterEqual: query.LessEqual,
}

var (
	yes = decided(query.True)
	no  = decided(query.False)
)

func (p *columnPredicate) compare(op query.CompareOp, literal query.Value) {
	switch {
	case literal.Kind == query.Number:
		p.numbers = rangeTest(op, literal.Number)
	case literal.Kind == query.String && op == query.Equal:
		p.strings = stringTest{form: isOne, one: hashOf(literal.Text), out: no}
	case literal.Kind == query.String && op == query.NotEqual:
		p.strings = stringTest{form: isOne, one: hashOf(literal.Text), out: yes}
	case literal.Kind == query.String:
		p.strings = stringTest{form: isOrdered, op: op, text: literal.Text}
	}
}

// rangeTest is the test of x op v.
func rangeTest(op query.CompareOp, v float64) numberTest {
	t := numberTest{form: inRange, lo: math.Inf(-1), hi: math.Inf(1), in: yes, out: no}
	switch op {
	case query.Equal:
		t.lo, t.hi = v, v
	case query.NotEqual:
		t.lo, t.hi, t.in, t.out = v, v, no, yes
	case query.LessEqual:
		t.hi = v
	case query.GreaterEqual:
		t.lo = v
	case query.Less: // not >=
		t.lo, t.in, t.out = v, no, yes
	case query.Greater:
		t.hi, t.in, t.out = v, no, yes
	}
	return t
}

func (p *columnPredicate) in(e *query.In) {
	hit, miss := yes, no
	if e.Not {
		hit, miss = no, yes
	}
	p.numbers = numberTest{form: inSet, set: map[float64]bool{}, in: hit, out: miss}
	p.strings = stringTest{form: inSet, set: map[uint32]bool{}, out: miss}
	for _, elem := range e.List.Elems {
		l, ok := elem.(*query.Literal)
		switch {
		case !ok: // an array equals nothing
		case l.Value.Kind == query.Number:
			p.numbers.set[l.Value.Number] = true
		case l.Value.Kind == query.String:
			p.strings.set[hashOf(l.Value.Text)] = true
		}
	}
}

func (p *columnPredicate) on() deciders { return p.used }

// cost guesses: equality mostly meets postings.
func (p *columnPredicate) cost() int {
	if f := p.strings.form; f == unknownForm || f == isOrdered || f == begins || p.numbers.form == inRange && p.numbers.lo != p.numbers.hi {
		return costColumns
	}
	return costPostings
}

func (p *columnPredicate) decide(k *chunk, want *mask, strict bool, o *outcome) {
	o.reset()
	if want.empty() {
		return
	}
	c := k.column(p.number)
	switch {
	case c == nil:
		o.putAll(p.specials[0], want)
		return
	case c.plain():
		p.used |= onColumns
		p.scan(c, want, strict, o)
	default:
		p.used |= onPostings
		p.postings(c, want, strict, o)
	}
	if !o.ask.empty() {
		p.used |= onDocuments
	}
}

// putAll gives one answer for all rows.
func (o *outcome) putAll(a answer, rows *mask) {
	switch a {
	case yes:
		o.yes = *rows
	case no:
		o.no = *rows
	case ask:
		o.ask = *rows
	}
}

// put gives one answer for rows of a word.
func (o *outcome) put(w int, rows uint64, a answer) {
	switch a {
	case yes:
		o.yes[w] |= rows
	case no:
		o.no[w] |= rows
	case ask:
		o.ask[w] |= rows
	}
}

// postings decides on each value of a dictionary, and gathers the rows.
func (p *columnPredicate) postings(c *column, want *mask, strict bool, o *outcome) {
	if p.strings.form == isOne && p.strings.out == no && !strict {
		p.equal(c, want, o)
		return
	}
	var yesses, noes, asks codes
	for code := range c.values {
		if c.counts[code] == 0 {
			continue
		}
		switch p.answer(&c.values[code]) {
		case yes:
			yesses.add(code)
		case no:
			noes.add(code)
		case ask:
			asks.add(code)
		}
	}
	c.rowsOf(yesses, &o.yes)
	c.rowsOf(asks, &o.ask)
	if strict {
		c.rowsOf(noes, &o.no)
	}
	o.narrow(want)
}

// equal finds the rows with one string, which may have several texts.
func (p *columnPredicate) equal(c *column, want *mask, o *outcome) {
	for code, hash := range c.hashes {
		if hash == p.strings.one && c.counts[code] > 0 && p.answer(&c.values[code]) == yes {
			rows := c.rowsWith(code)
			o.yes.or(&rows)
		}
	}
	o.yes.and(want)
}

// maxMemo bounds what a predicate remembers.
const maxMemo = 4096

// answer decides on an entry of a dictionary.
func (p *columnPredicate) answer(v *value) answer {
	switch v.kind {
	case query.Number:
		if p.numbers.form != unknownForm {
			return p.numbers.answer(v.number)
		}
	case query.String:
		switch {
		case p.strings.form == isOrdered:
			return ordered(p.strings.op, cmp.Compare(v.characters(), p.strings.text))
		case p.strings.form == begins:
			return decide(strings.HasPrefix(v.characters(), p.strings.text))
		case !p.strings.maybe(v.hash):
			return p.strings.out
		}
	default:
		return p.specials[v.cell().special()]
	}
	a, ok := p.memo[v.text]
	if !ok {
		a = p.evaluate(v.text)
		if len(p.memo) < maxMemo {
			p.memo[v.text] = a
		}
	}
	return a
}

func (t *numberTest) answer(x float64) answer {
	switch t.form {
	case inRange:
		if t.lo <= x && x <= t.hi {
			return t.in
		}
	case inSet:
		if t.set[x] {
			return t.in
		}
	case unknownForm:
		return ask
	}
	return t.out
}

// scan decides on the cells of a plain column.
func (p *columnPredicate) scan(c *column, want *mask, strict bool, o *outcome) {
	bytes := p.strings.bytesIn(c.shared)
	switch {
	case p.numbers.form == inRange:
		p.scanRange(c, &bytes, want, o)
	case p.strings.form == isOne && p.selectsOnly(strict):
		p.scanString(c, want, o)
	default:
		for row := range want.rows {
			o.add(row, p.cell(c, row, &bytes))
		}
	}
}

// selectsOnly tells whether nothing but the one string can be true, and no more
// is asked for.
func (p *columnPredicate) selectsOnly(strict bool) bool {
	return !strict && p.strings.out == no && p.numbers.form == same && p.numbers.out != yes &&
		!slices.Contains(p.specials[:], yes) && !slices.Contains(p.specials[:], ask)
}

// scanString looks for a string by its hash.
func (p *columnPredicate) scanString(c *column, want *mask, o *outcome) {
	for w, wanted := range want {
		if wanted == 0 {
			continue
		}
		from := w * 64
		var hits uint64
		for b, hash := range c.hashes[from:min(from+64, len(c.hashes))] {
			hits |= bitIf(hash == p.strings.one) << b
		}
		for hits &= wanted; hits != 0; hits &= hits - 1 {
			row := from + bits.TrailingZeros64(hits)
			if c.cells[row].isString() {
				o.ask.add(row)
			}
		}
	}
}

// stringBytes decides a comparison or a prefix by the bytes of a column's cells.
type stringBytes struct {
	form form
	all  answer // same
	op   query.CompareOp
	some cell // to compare with
	part cell // begins: the bits that matter
	hit  answer
}

// bytesIn makes the test one of the bytes that follow shared.
func (t *stringTest) bytesIn(shared string) stringBytes {
	n := len(shared)
	switch t.form {
	case isOrdered:
		switch {
		case strings.HasPrefix(t.text, shared):
			return stringBytes{form: isOrdered, op: t.op, some: someOf(t.text[n:])}
		default: // what all begin with decides
			return stringBytes{form: same, all: ordered(t.op, cmp.Compare(shared, t.text))}
		}
	case begins:
		switch {
		case strings.HasPrefix(shared, t.text):
			return stringBytes{form: same, all: yes}
		case !strings.HasPrefix(t.text, shared):
			return stringBytes{form: same, all: no}
		}
		rest := t.text[n:]
		b := stringBytes{form: begins, some: someOf(rest), part: ^cell(0), hit: ask}
		if len(rest) <= someSize {
			b.part <<= 8 * (someSize - len(rest))
			if strings.IndexByte(rest, 0) < 0 {
				b.hit = yes
			}
		}
		return b
	}
	return stringBytes{}
}

func (b *stringBytes) answer(c cell) answer {
	switch b.form {
	case same:
		return b.all
	case isOrdered:
		if c.some() == b.some {
			return ask
		}
		return ordered(b.op, cmp.Compare(c.some(), b.some))
	default:
		if c.some()&b.part == b.some {
			return b.hit
		}
		return no
	}
}

// cell decides on one row.
func (p *columnPredicate) cell(c *column, row int, b *stringBytes) answer {
	cell := c.cells[row]
	if x, ok := cell.number(); ok {
		return p.numbers.answer(x)
	}
	if !cell.isString() {
		return p.specials[cell.special()]
	}
	switch {
	case b.form != unknownForm:
		return b.answer(cell)
	case !p.strings.maybe(c.hashes[row]):
		return p.strings.out
	}
	return ask
}

// scanRange compares numbers, 64 rows at a time and without branches.
func (p *columnPredicate) scanRange(c *column, b *stringBytes, want *mask, o *outcome) {
	lo, hi := p.numbers.lo, p.numbers.hi
	for w, wanted := range want {
		if wanted == 0 {
			continue
		}
		from := w * 64
		if bits.OnesCount64(wanted) < 8 {
			for ; wanted != 0; wanted &= wanted - 1 {
				row := from + bits.TrailingZeros64(wanted)
				o.add(row, p.cell(c, row, b))
			}
			continue
		}
		var in, numbers uint64
		for bit, cell := range c.cells[from:min(from+64, len(c.cells))] {
			x := math.Float64frombits(uint64(cell))
			numbers |= bitIf(cell < noNumber) << bit
			in |= bitIf(x >= lo) & bitIf(x <= hi) << bit // what is no number is no double either, and compares false
		}
		numbers &= wanted
		o.put(w, numbers&in, p.numbers.in)
		o.put(w, numbers&^in, p.numbers.out)
		for others := wanted &^ numbers; others != 0; others &= others - 1 {
			row := from + bits.TrailingZeros64(others)
			o.add(row, p.cell(c, row, b))
		}
	}
}
