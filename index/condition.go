package index

import (
	"slices"

	"github.com/hubtwin/hubtwin/query"
)

// outcome is what a condition says of the rows of a chunk, among those that
// were wanted: true, false, or that their documents have to be asked. Of the
// rest it is unknown.
type outcome struct{ yes, no, ask mask }

func (o *outcome) reset() { *o = outcome{} }

// narrow leaves only wanted rows.
func (o *outcome) narrow(want *mask) {
	o.yes.and(want)
	o.no.and(want)
	o.ask.and(want)
}

// A condition is a part of WHERE, made ready for one snapshot. It is for one
// goroutine.
type condition interface {
	// decide works out the wanted rows of k. Where strict is false, rows that
	// are unknown may come out as false or unknown, whichever is cheaper: only
	// true selects.
	decide(k *chunk, want *mask, strict bool, o *outcome)
	// cost is the order in which the terms of AND and OR are tried.
	cost() int
	// on tells where it has decided so far.
	on() deciders
}

// deciders is a set of ways to decide.
type deciders uint8

const (
	onKeys deciders = 1 << iota
	onPostings
	onColumns
	onDocuments
)

// The costs of conditions. Those of one cost keep the order of the text.
const (
	costKeys = iota
	costPostings
	costColumns
	costRender
	costDocuments
)

// compile makes a condition of e, which is nil for no condition.
func (s *Snapshot) compile(e query.Expr) condition {
	switch e := e.(type) {
	case nil:
		return constant(query.True)
	case *query.And:
		return &conjunction{s.compileAll(e.Terms)}
	case *query.Or:
		return &disjunction{s.compileAll(e.Terms)}
	case *query.Not:
		return &negation{s.compile(e.X)}
	}
	return s.predicate(e)
}

func (s *Snapshot) compileAll(terms []query.Expr) []condition {
	list := make([]condition, len(terms))
	for i, e := range terms {
		list[i] = s.compile(e)
	}
	slices.SortStableFunc(list, func(a, b condition) int { return a.cost() - b.cost() })
	return list
}

// constant is a condition without paths.
type constant query.Truth

func (c constant) decide(_ *chunk, want *mask, _ bool, o *outcome) {
	o.reset()
	o.putAll(decided(query.Truth(c)), want)
}
func (c constant) cost() int    { return costKeys }
func (c constant) on() deciders { return 0 }

// documents is a condition that only documents can decide.
type documents struct{ used deciders }

func (d *documents) decide(_ *chunk, want *mask, _ bool, o *outcome) {
	o.reset()
	o.ask = *want
	if !want.empty() {
		d.used = onDocuments
	}
}
func (d *documents) cost() int    { return costDocuments }
func (d *documents) on() deciders { return d.used }

// conjunction is false where one term is, and true where all are.
type conjunction struct{ terms []condition }

func (c *conjunction) decide(k *chunk, want *mask, strict bool, o *outcome) {
	o.reset()
	o.yes = *want
	left := *want
	var t outcome
	for _, term := range c.terms {
		term.decide(k, &left, strict, &t)
		o.no.or(&t.no)
		o.ask.or(&t.ask)
		o.yes.and(&t.yes)
		if strict {
			left.without(&t.no)
			continue
		}
		// What is neither true nor to be asked is out.
		t.yes.or(&t.ask)
		left.and(&t.yes)
		if left.empty() {
			break
		}
	}
	o.ask.and(&left)
}

func (c *conjunction) cost() int    { return c.terms[len(c.terms)-1].cost() }
func (c *conjunction) on() deciders { return union(c.terms) }

// disjunction is true where one term is, and false where all are.
type disjunction struct{ terms []condition }

func (d *disjunction) decide(k *chunk, want *mask, strict bool, o *outcome) {
	o.reset()
	o.no = *want
	left := *want
	var t outcome
	for _, term := range d.terms {
		term.decide(k, &left, strict, &t)
		o.yes.or(&t.yes)
		o.ask.or(&t.ask)
		o.no.and(&t.no)
		left.without(&t.yes)
	}
	o.ask.without(&o.yes)
}

func (d *disjunction) cost() int    { return d.terms[len(d.terms)-1].cost() }
func (d *disjunction) on() deciders { return union(d.terms) }

func union(terms []condition) (all deciders) {
	for _, t := range terms {
		all |= t.on()
	}
	return all
}

// negation swaps true and false.
type negation struct{ x condition }

func (n *negation) decide(k *chunk, want *mask, _ bool, o *outcome) {
	n.x.decide(k, want, true, o)
	o.yes, o.no = o.no, o.yes
}
func (n *negation) cost() int    { return n.x.cost() }
func (n *negation) on() deciders { return n.x.on() }
