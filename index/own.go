package index

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/twin"
)

// timePredicate is a predicate on a path whose values are times of the hub. Like
// all times they are strings, but of one form, so they are in the order of their
// ticks. The only exception is the zero time.
type timePredicate struct {
	expr    query.Expr
	number  int
	compare bool // with a string
	op      query.CompareOp
	lower   int64 // the first time whose text is not below the string
	upper   int64 // the first time whose text is above it
	zero    answer
	used    deciders
}

func newTimePredicate(e query.Expr, number int) *timePredicate {
	p := &timePredicate{expr: e, number: number}
	p.zero = p.evaluate(0)
	c, ok := e.(*query.Compare)
	if !ok {
		return p
	}
	if op, literal, ok := againstLiteral(c); ok && literal.Kind == query.String {
		p.compare, p.op = true, op
		p.lower = firstTime(func(text string) bool { return text >= literal.Text })
		p.upper = firstTime(func(text string) bool { return text > literal.Text })
	}
	return p
}

// lastTime is later than all times that have a text of their own.
const lastTime int64 = 1 << 62

// firstTime is the first time after zero whose text is in a set that reaches up
// to the end of all texts.
func firstTime(in func(text string) bool) int64 {
	var buf []byte
	from, to := int64(1), lastTime
	for from < to {
		middle := from + (to-from)/2
		buf = twin.AppendTicks(buf[:0], middle)
		if in(string(buf)) {
			to = middle
		} else {
			from = middle + 1
		}
	}
	return from
}

func (p *timePredicate) cost() int {
	if p.compare {
		return costColumns
	}
	return costRender
}

func (p *timePredicate) on() deciders { return p.used }

func (p *timePredicate) decide(k *chunk, want *mask, _ bool, o *outcome) {
	o.reset()
	if want.empty() {
		return
	}
	c := k.column(p.number)
	if c == nil { // where no document could be read; see Apply
		o.ask = *want
		return
	}
	cells := c.cells
	for w, wanted := range want {
		if wanted == 0 {
			continue
		}
		from := w * 64
		var asks, zeros, below, above uint64
		for bit, cell := range cells[from:min(from+64, len(cells))] {
			ticks := int64(cell)
			asks |= bitIf(ticks == askTime) << bit
			zeros |= bitIf(ticks == 0) << bit
			below |= bitIf(ticks < p.lower) << bit
			above |= bitIf(ticks >= p.upper) << bit
		}
		o.put(w, asks&wanted, ask)
		o.put(w, zeros&wanted, p.zero)
		rest := wanted &^ asks &^ zeros
		if !p.compare {
			for ; rest != 0; rest &= rest - 1 {
				row := from + bits.TrailingZeros64(rest)
				o.add(row, p.evaluate(int64(cells[row])))
			}
			continue
		}
		o.put(w, rest&below, ordered(p.op, -1))
		o.put(w, rest&^below&^above, ordered(p.op, 0))
		o.put(w, rest&above, ordered(p.op, 1))
	}
	p.used |= onColumns
	if !o.ask.empty() {
		p.used |= onDocuments
	}
}

// bitIf is 1 if b is true. The compiler makes no branch of it.
func bitIf(b bool) (bit uint64) {
	if b {
		bit = 1
	}
	return bit
}

// evaluate decides on the text of a time.
func (p *timePredicate) evaluate(ticks int64) answer {
	text := twin.AppendTicks([]byte{'"'}, ticks)
	if ticks == 0 {
		text = []byte(`"0001-01-01T00:00:00Z`)
	}
	return decided(only(append(text, '"')).matches(p.expr))
}

// keyPredicate is a predicate on the device id, by which rows are in order.
type keyPredicate struct {
	expr query.Expr
	used deciders
	rows func(k *chunk, o *outcome, all *mask) // nil: evaluate for each row
	ids  []string                              // in order; it is true for no others. nil: it may be
}

func newKeyPredicate(e query.Expr) *keyPredicate {
	p := &keyPredicate{expr: e}
	if !comparable(e) {
		return p
	}
	switch e := e.(type) {
	case *query.Compare:
		if op, literal, ok := againstLiteral(e); ok && literal.Kind == query.String {
			p.rows = func(k *chunk, o *outcome, all *mask) { compareKeys(k, op, literal.Text, o, all) }
			if op == query.Equal {
				p.ids = []string{literal.Text}
			}
		}
	case *query.In:
		if _, ok := e.X.(query.Path); ok {
			list := newKeyList(e)
			p.rows = list.decide
			if !e.Not {
				p.ids = list.ids
			}
		}
	case *query.Call:
		if _, ok := e.Args[0].(query.Path); !ok || e.Function != query.StartsWith {
			break
		}
		if l, ok := e.Args[1].(*query.Literal); ok && l.Value.Kind == query.String {
			p.rows = func(k *chunk, o *outcome, all *mask) {
				from := k.lower(l.Value.Text)
				o.split(rowRange(from, from+k.startingWith(from, l.Value.Text)), all)
			}
		}
	}
	return p
}

// worth leaves only those chunks that may have rows for which c is true: a query
// for some devices looks at their chunks, not at all.
func worth(chunks []*chunk, c condition) []*chunk {
	ids := idsOf(c)
	if ids == nil {
		return chunks
	}
	var some []*chunk
	next := 0
	for _, id := range ids {
		from, to := max(next, chunkOf(chunks, id+"\x00")), chunkOf(chunks, id+"\x01")
		for i := from; i <= to && i < len(chunks); i++ {
			some = append(some, chunks[i])
			next = i + 1
		}
	}
	return some
}

// idsOf lists the only device ids for which c can be true, nil if it does not
// say.
func idsOf(c condition) []string {
	switch c := c.(type) {
	case *keyPredicate:
		return c.ids
	case *conjunction:
		for _, term := range c.terms {
			if ids := idsOf(term); ids != nil {
				return ids
			}
		}
	}
	return nil
}

// chunkOf is the chunk in which key is, or would be.
func chunkOf(chunks []*chunk, key string) int {
	at, there := slices.BinarySearchFunc(chunks, key, func(k *chunk, key string) int { return strings.Compare(k.keys[0], key) })
	if !there && at > 0 {
		at--
	}
	return at
}

// comparable tells whether the strings in e compare with keys as with the device
// ids that keys begin with.
func comparable(e query.Expr) bool {
	fine := true
	check := func(e query.Expr) {
		if l, ok := e.(*query.Literal); ok && strings.ContainsAny(l.Value.Text, "\x00\x01") {
			fine = false
		}
	}
	walk(e, func(e query.Expr) {
		check(e)
		if in, ok := e.(*query.In); ok {
			for _, elem := range in.List.Elems {
				check(elem)
			}
		}
	})
	return fine
}

func (p *keyPredicate) cost() int    { return costKeys }
func (p *keyPredicate) on() deciders { return p.used }

func (p *keyPredicate) decide(k *chunk, want *mask, _ bool, o *outcome) {
	o.reset()
	if want.empty() {
		return
	}
	p.used |= onKeys
	if p.rows != nil {
		all := firstRows(len(k.keys))
		p.rows(k, o, &all)
		o.narrow(want)
		return
	}
	for row := range want.rows {
		id := deviceOf(k.keys[row]) // of letters that need no escape
		o.add(row, decided(only(`"`+id+`"`).matches(p.expr)))
	}
}

func deviceOf(key string) string {
	id, _, _ := strings.Cut(key, "\x00")
	return id
}

// split makes the rows in some true and all others false.
func (o *outcome) split(some mask, all *mask) {
	o.yes, o.no = some, *all
	o.no.without(&some)
}

// lower is the first row whose device id is not below id.
func (k *chunk) lower(id string) int {
	row, _ := slices.BinarySearch(k.keys, id+"\x00")
	return row
}

// upper is the first row whose device id is above id.
func (k *chunk) upper(id string) int {
	row, _ := slices.BinarySearch(k.keys, id+"\x01") // no id has a character as low
	return row
}

// startingWith counts the rows from from on whose device ids begin with prefix.
func (k *chunk) startingWith(from int, prefix string) int {
	n, _ := slices.BinarySearchFunc(k.keys[from:], prefix, func(key, prefix string) int {
		if strings.HasPrefix(deviceOf(key), prefix) {
			return -1
		}
		return 1
	})
	return n
}

func compareKeys(k *chunk, op query.CompareOp, id string, o *outcome, all *mask) {
	n, lower, upper := len(k.keys), k.lower(id), k.upper(id)
	switch op {
	case query.Equal:
		o.split(rowRange(lower, upper), all)
	case query.NotEqual:
		o.split(rowRange(lower, upper), all)
		o.yes, o.no = o.no, o.yes
	case query.Less:
		o.split(rowRange(0, lower), all)
	case query.LessEqual:
		o.split(rowRange(0, upper), all)
	case query.Greater:
		o.split(rowRange(upper, n), all)
	case query.GreaterEqual:
		o.split(rowRange(lower, n), all)
	}
}

// keyList is IN or NIN.
type keyList struct {
	ids []string // in order
	not bool
}

func newKeyList(e *query.In) *keyList {
	l := &keyList{not: e.Not}
	for _, elem := range e.List.Elems {
		if v, ok := elem.(*query.Literal); ok && v.Value.Kind == query.String {
			l.ids = append(l.ids, v.Value.Text)
		}
	}
	slices.Sort(l.ids)
	return l
}

func (l *keyList) decide(k *chunk, o *outcome, all *mask) {
	var some mask
	first, last := deviceOf(k.keys[0]), deviceOf(k.keys[len(k.keys)-1])
	from, _ := slices.BinarySearch(l.ids, first)
	for _, id := range l.ids[from:] {
		if id > last {
			break
		}
		rows := rowRange(k.lower(id), k.upper(id))
		some.or(&rows)
	}
	o.split(some, all)
	if l.not {
		o.yes, o.no = o.no, o.yes
	}
}
