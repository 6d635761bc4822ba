package query

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hubtwin/hubtwin/fault"
)

const (
	// maxGroups bounds the groups of one query.
	maxGroups = 100_000
	// maxGroupBytes bounds what the groups of one query hold in memory: whole
	// sections of twins may be group keys.
	maxGroupBytes = 64 << 20
	// groupOverhead is about what a group takes besides its texts and totals.
	groupOverhead = 200
	totalBytes    = 40
)

// groups gathers documents by the values of the GROUP BY paths. Without
// GROUP BY there is one group, which exists even if nothing matches.
type groups struct {
	q     *Query
	byKey map[string]*oneGroup
	bytes int
	key   []byte // of the document at hand
}

// oneGroup is a row in the making.
type oneGroup struct {
	key    string   // sort keys of the values, joined
	values []string // JSON text for each GROUP BY path, as first met; "" if missing
	totals []total  // for each item of the select list
}

// total is what the aggregates need to know of the rows of a group.
type total struct {
	rows     int // all for COUNT(), those where the path is defined for COUNT(path)
	numbers  int
	sum      float64
	min, max float64
}

// runGroups gives a row for each group. The groups come in the order of their
// values, so that neither the order of documents nor a way of counting without
// looking at documents shows. Each page counts anew.
func (q *Query) runGroups(ctx context.Context, src Source, left int, at Cursor) (Page, error) {
	gs := &groups{q: q, byKey: make(map[string]*oneGroup)}
	if q.GroupBy == nil {
		gs.byKey[""] = &oneGroup{totals: make([]total, len(q.Items))}
	}
	for d, err := range q.matches(ctx, src, "") {
		if err == nil {
			err = gs.add(d)
		}
		if err != nil {
			return Page{}, err
		}
	}
	sorted := gs.sorted()
	if at.Rows >= len(sorted) {
		sorted = nil
	} else {
		sorted = sorted[at.Rows:]
	}
	page := Page{Rows: [][]byte{}}
	members := q.members()
	bytes := 0
	for _, g := range sorted[:min(left, len(sorted))] {
		if bytes >= maxPageBytes {
			break
		}
		row := q.groupRow(g, members)
		bytes += len(row)
		page.Rows = append(page.Rows, row)
	}
	at.Rows += len(page.Rows)
	if len(page.Rows) > 0 && len(page.Rows) < len(sorted) && !q.last(at.Rows) {
		page.Next = &at
	}
	return page, nil
}

func (gs *groups) sorted() []*oneGroup {
	list := make([]*oneGroup, 0, len(gs.byKey))
	for _, g := range gs.byKey {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *oneGroup) int { return strings.Compare(a.key, b.key) })
	return list
}

// add counts d in its group.
func (gs *groups) add(d Document) error {
	gs.key = gs.key[:0]
	for _, p := range gs.q.GroupBy {
		json, ok := d.Lookup(p)
		if !ok {
			json = ""
		}
		gs.key = sortKey(gs.key, json)
	}
	g, ok := gs.byKey[string(gs.key)]
	if !ok {
		var err error
		if g, err = gs.open(d); err != nil {
			return err
		}
	}
	for i := range g.totals {
		item := gs.q.Items[i]
		switch {
		case item.Aggregate == NoAggregate:
		case item.Path == nil:
			g.totals[i].rows++
		default:
			if json, ok := d.Lookup(item.Path); ok {
				g.totals[i].add(ValueOf(json))
			}
		}
	}
	return nil
}

// open makes the group of gs.key with the values of d.
func (gs *groups) open(d Document) (*oneGroup, error) {
	g := &oneGroup{
		key:    string(gs.key),
		values: make([]string, len(gs.q.GroupBy)),
		totals: make([]total, len(gs.q.Items)),
	}
	gs.bytes += len(g.key) + totalBytes*len(g.totals) + 16*len(g.values) + groupOverhead
	for i, p := range gs.q.GroupBy {
		if json, ok := d.Lookup(p); ok {
			g.values[i] = strings.Clone(json)
			gs.bytes += len(json)
		}
	}
	if len(gs.byKey) == maxGroups || gs.bytes > maxGroupBytes {
		return nil, fault.New(fault.ArgumentInvalid,
			"BadRequest GROUP BY gives more than %d groups, or more than %d MiB of them; narrow the query with WHERE",
			maxGroups, maxGroupBytes>>20)
	}
	gs.byKey[g.key] = g
	return g, nil
}

func (t *total) add(v Value) {
	t.rows++
	if v.Kind != Number {
		return
	}
	if t.numbers == 0 {
		t.min, t.max = v.Number, v.Number
	}
	t.numbers++
	t.sum += v.Number
	t.min = min(t.min, v.Number)
	t.max = max(t.max, v.Number)
}

// appendJSON writes the aggregate a. !ok means that it has no value: no number
// was met, or the sum is beyond a double.
func (t *total) appendJSON(dst []byte, a Aggregate) (_ []byte, ok bool) {
	var n float64
	switch a {
	case Count:
		return strconv.AppendInt(dst, int64(t.rows), 10), true
	case Avg:
		n = t.sum / float64(t.numbers)
	case Sum:
		n = t.sum
	case Min:
		n = t.min
	case Max:
		n = t.max
	}
	if t.numbers == 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return dst, false
	}
	return appendNumber(dst, n), true
}

func (q *Query) groupRow(g *oneGroup, members []member) []byte {
	row := []byte{'{'}
	for _, m := range members {
		item := q.Items[m.item]
		if item.Aggregate == NoAggregate {
			if json := g.values[q.groupIndex(item.Path)]; json != "" {
				row = appendMember(row, m, json)
			}
			continue
		}
		if json, ok := g.totals[m.item].appendJSON(nil, item.Aggregate); ok {
			row = appendMember(row, m, json)
		}
	}
	return append(row, '}')
}
