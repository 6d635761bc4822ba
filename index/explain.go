package index

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/query"
)

// explained is a term of the condition with what has become of it.
type explained struct {
	expr      query.Expr
	condition condition
	step      Step
	asked     bool
}

// Explain finds all documents that satisfy the condition of q, and tells how.
func (s *Snapshot) Explain(ctx context.Context, q *query.Query) (Plan, error) {
	began := time.Now()
	chunks := s.collection(q)
	p := Plan{Position: uint64(s.position), Steps: []Step{}}
	terms := s.terms(q.Where)
	for _, k := range chunks {
		p.Documents += len(k.keys)
	}
	if e := terms; len(e) > 0 {
		all := make([]condition, len(e))
		for i := range e {
			all[i] = e[i].condition
		}
		chunks = worth(chunks, &conjunction{all})
	}
	for _, k := range chunks {
		if err := s.check(ctx); err != nil {
			return Plan{}, err
		}
		left := firstRows(len(k.keys))
		for i := range terms {
			if err := s.narrow(ctx, &terms[i], k, &left); err != nil {
				return Plan{}, err
			}
		}
		p.Rows += left.count()
	}
	for _, t := range terms {
		t.step.On = t.on()
		p.Steps = append(p.Steps, t.step)
	}
	p.Decoded = s.Decoded
	p.Microseconds = time.Since(began).Microseconds()
	return p, nil
}

// terms lists what AND joins at the top, in the order in which it is tried.
func (s *Snapshot) terms(e query.Expr) []explained {
	if e == nil {
		return nil
	}
	list := []query.Expr{e}
	if and, ok := e.(*query.And); ok {
		list = and.Terms
	}
	terms := make([]explained, len(list))
	for i, e := range list {
		terms[i] = explained{expr: e, condition: s.compile(e), step: Step{Predicate: query.Text(e)}}
	}
	slices.SortStableFunc(terms, func(a, b explained) int { return a.condition.cost() - b.condition.cost() })
	return terms
}

// narrow leaves the rows for which t is true.
func (s *Snapshot) narrow(ctx context.Context, t *explained, k *chunk, left *mask) error {
	var o outcome
	t.condition.decide(k, left, false, &o)
	t.asked = t.asked || !o.ask.empty()
	if err := s.settle(ctx, t.expr, k, &o); err != nil {
		return err
	}
	*left = o.yes
	t.step.Rows += left.count()
	return nil
}

// on names what has decided.
func (t *explained) on() string {
	used := t.condition.on()
	if t.asked {
		used |= onDocuments
	}
	var names []string
	for i, name := range []string{"keys", "postings", "columns", "documents"} {
		if used>>i&1 != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, "+")
}
