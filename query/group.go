package query

import (
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

// Groups gathers documents by the values of the GROUP BY paths. Without
// GROUP BY there is one group, which exists even if nothing matches. It has
// room for 100,000 groups and 64 MiB of them.
type Groups struct {
	q      *Query
	byKey  map[string]*Group
	bytes  int
	key    []byte   // of the group at hand
	values []string // of the document at hand
}

// Group is a row in the making. It belongs to its Groups and is good as long
// as they are.
type Group struct {
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

// NewGroups begins to gather the groups of q, which has an aggregate or
// GROUP BY.
func NewGroups(q *Query) *Groups {
	gs := &Groups{q: q, byKey: make(map[string]*Group), values: make([]string, len(q.GroupBy))}
	if q.GroupBy == nil {
		gs.byKey[""] = &Group{totals: make([]total, len(q.Items))}
	}
	return gs
}

// Add counts d, which the caller has found to satisfy the condition, in its
// group. The fault is ArgumentInvalid: no room for a further group.
func (gs *Groups) Add(d Document) error {
	for i, p := range gs.q.GroupBy {
		json, ok := d.Lookup(p)
		if !ok {
			json = ""
		}
		gs.values[i] = json
	}
	g, err := gs.Group(gs.values)
	if err != nil {
		return err
	}
	for i := range g.totals {
		item := &gs.q.Items[i]
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

// Group is the group whose GROUP BY paths have these JSON texts, "" where the
// value is missing. Texts of equal value, such as 1 and 1.0, are one group: it
// shows those with which it was opened, which is done here if it is new. values
// has a text for each path of q.GroupBy; its texts are copied if they are kept.
// The fault is ArgumentInvalid: no room for a further group.
func (gs *Groups) Group(values []string) (*Group, error) {
	gs.key = gs.key[:0]
	for _, json := range values {
		gs.key = sortKey(gs.key, json)
	}
	if g, ok := gs.byKey[string(gs.key)]; ok {
		return g, nil
	}
	return gs.open(values)
}

// open makes the group of gs.key.
func (gs *Groups) open(values []string) (*Group, error) {
	gs.bytes += len(gs.key) + totalBytes*len(gs.q.Items) + 16*len(values) + groupOverhead
	for _, json := range values {
		gs.bytes += len(json)
	}
	if len(gs.byKey) == maxGroups || gs.bytes > maxGroupBytes {
		return nil, fault.New(fault.ArgumentInvalid,
			"BadRequest GROUP BY gives more than %d groups, or more than %d MiB of them; narrow the query with WHERE",
			maxGroups, maxGroupBytes>>20)
	}
	g := &Group{
		key:    string(gs.key),
		values: make([]string, len(values)),
		totals: make([]total, len(gs.q.Items)),
	}
	for i, json := range values {
		g.values[i] = strings.Clone(json)
	}
	gs.byKey[g.key] = g
	return g, nil
}

// AddRows counts n documents for an item of the select list, by its place in
// the list: documents of any kind for COUNT(), for the other aggregates those
// in which the item's path has a value that is no number. Documents without a
// value there are not counted, and items without an aggregate not looked at.
func (g *Group) AddRows(item, n int) { g.totals[item].rows += n }

// AddNumber counts a document in which the path of an item of the select list,
// by its place in the list, has the number x. Numbers come in the order of
// their documents.
func (g *Group) AddNumber(item int, x float64) { g.totals[item].addNumber(x) }

// sorted lists the groups in the order of their values.
func (gs *Groups) sorted() []*Group {
	list := make([]*Group, 0, len(gs.byKey))
	for _, g := range gs.byKey {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *Group) int { return strings.Compare(a.key, b.key) })
	return list
}

func (t *total) add(v Value) {
	if v.Kind == Number {
		t.addNumber(v.Number)
	} else {
		t.rows++
	}
}

func (t *total) addNumber(n float64) {
	if t.numbers == 0 {
		t.min, t.max = n, n
	}
	t.rows++
	t.numbers++
	t.sum += n
	t.min = min(t.min, n)
	t.max = max(t.max, n)
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

// row renders g.
func (g *Group) row(q *Query, members []member) []byte {
	row := []byte{'{'}
	for _, m := range members {
		item := q.Items[m.item]
		if item.Aggregate == NoAggregate {
			if json := g.values[m.group]; json != "" {
				row = appendMember(row, 0, m, json)
			}
			continue
		}
		if json, ok := g.totals[m.item].appendJSON(nil, item.Aggregate); ok {
			row = appendMember(row, 0, m, json)
		}
	}
	return append(row, '}')
}
