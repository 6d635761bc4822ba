package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/query"
)

// documents is a fleet in memory, in key order.
type documents []*document.Document

func (ds documents) Documents(_ context.Context, q *query.Query, after string) iter.Seq2[query.Document, error] {
	return func(yield func(query.Document, error) bool) {
		for _, d := range ds {
			if d.ID.IsModule() == (q.From == query.Modules) && d.Key() > after && !yield(d, nil) {
				return
			}
		}
	}
}

// drawFleet draws n devices and modules, of different ids.
func drawFleet(t *rapid.T, n int) (ds documents) {
	for range n {
		id := DeviceID(t)
		if oneIn(t, 3) {
			id = ModuleID(t)
		}
		ds = append(ds, Document(t, id))
	}
	slices.SortFunc(ds, func(a, b *document.Document) int { return strings.Compare(a.Key(), b.Key()) })
	return slices.CompactFunc(ds, func(a, b *document.Document) bool { return a.ID == b.ID })
}

// TestTwins: what is drawn are documents.
func TestTwins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Document(t, DeviceID(t))
		if text := d.AppendJSON(nil); !json.Valid(text) {
			t.Fatalf("no JSON: %s", text)
		}
		if text := Section(t); strings.Contains(text, ":null") || !json.Valid([]byte(text)) {
			t.Fatalf("no section: %s", text)
		}
	})
}

// met counts what draws were met with.
type met map[string]int

// TestQueries: queries parse, run, and come out in all ways often enough.
func TestQueries(t *testing.T) {
	m := met{}
	rapid.Check(t, func(t *rapid.T) {
		ds := drawFleet(t, 10)
		for range 5 {
			text := Query(t)
			q, err := query.Parse(text)
			if err != nil {
				t.Fatalf("%s\n%v", text, err)
			}
			page, err := q.Run(t.Context(), ds, 0, nil)
			if err != nil {
				t.Fatalf("%s\n%v", text, err)
			}
			m.query(q, page)
			for _, d := range ds {
				m.condition("whole", q.Where, d)
			}
		}
	})
	m.atLeast(t, 5, "whole", "true", "false", "unknown")
	for _, kind := range []string{"Compare", "In", "Call", "Not", "Or"} {
		m.atLeast(t, 5, "*query."+kind, "true", "false", "unknown")
	}
	m.atLeast(t, 1, "*query.And", "true", "false", "unknown")
	m.atLeast(t, 10, "query", "of documents", "of groups", "of devices", "of devices.modules", "with TOP", "with rows")
}

// atLeast demands that each of the outcomes is so many percent of name.
func (m met) atLeast(t *testing.T, percent int, name string, outcomes ...string) {
	t.Helper()
	for _, outcome := range outcomes {
		if n := m[name+" "+outcome]; n*100 < percent*m[name] {
			t.Errorf("%s: %d of %d, want %d %% at least", name+" "+outcome, n, m[name], percent)
		}
	}
}

func (m met) query(q *query.Query, page query.Page) {
	m["query"]++
	if len(page.Rows) > 0 {
		m["query with rows"]++
	}
	switch {
	case q.Star:
		m["query of documents"]++
	case q.GroupBy != nil:
		m["query of groups"]++
	}
	m["query of "+q.From.String()]++
	if q.Top > 0 {
		m["query with TOP"]++
	}
}

// condition counts the outcomes of e and of what it consists of.
func (m met) condition(name string, e query.Expr, d query.Document) {
	if e == nil {
		return
	}
	m[name]++
	m[name+" "+query.Matches(e, d).String()]++
	switch e := e.(type) {
	case *query.And:
		for _, term := range e.Terms {
			m.condition(fmt.Sprintf("%T", term), term, d)
		}
	case *query.Or:
		for _, term := range e.Terms {
			m.condition(fmt.Sprintf("%T", term), term, d)
		}
	case *query.Not:
		m.condition(fmt.Sprintf("%T", e.X), e.X, d)
	}
}
