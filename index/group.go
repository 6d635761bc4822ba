package index

import (
	"context"
	"math/bits"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/query"
)

// Group adds the documents that satisfy q.Where to gs. It counts by columns where
// it can, and adds the rest document by document.
func (s *Snapshot) Group(ctx context.Context, q *query.Query, gs *query.Groups) error {
	var g *grouper
	return s.each(ctx, q, func(k *chunk, rows *mask) error {
		if g == nil {
			g = newGrouper(s, q, gs)
		}
		return g.add(ctx, k, rows)
	})
}

// Count counts the documents that satisfy q.Where.
func (s *Snapshot) Count(ctx context.Context, q *query.Query) (n int64, err error) {
	err = s.each(ctx, q, func(_ *chunk, rows *mask) error {
		n += int64(rows.count())
		return nil
	})
	return n, err
}

// grouper adds the rows of one chunk after the other.
type grouper struct {
	s  *Snapshot
	q  *query.Query
	gs *query.Groups

	by      []place                    // of the GROUP BY paths
	items   []place                    // of the paths of aggregates
	counts  bool                       // the aggregates are COUNT() only
	byTexts map[[2]string]*query.Group // where there are one or two paths

	values  []string
	columns []*column                     // of by, in the chunk at hand
	codes   [][maxRows]uint8              // of by
	few     [maxValues]*query.Group       // by the code, where there is one path
	groups  map[uint64]*query.Group       // by the codes, where there are several
	cells   [][]cell                      // of items
	pairs   [maxValues * maxValues]uint16 // rows with each pair of codes; zero between chunks
	met     []int                         // a row for each pair
}

func newGrouper(s *Snapshot, q *query.Query, gs *query.Groups) *grouper {
	g := &grouper{
		s: s, q: q, gs: gs, counts: true, byTexts: map[[2]string]*query.Group{},
		values: make([]string, len(q.GroupBy)), columns: make([]*column, len(q.GroupBy)),
		codes:  make([][maxRows]uint8, len(q.GroupBy)),
		groups: map[uint64]*query.Group{}, cells: make([][]cell, len(q.Items)),
	}
	for _, p := range q.GroupBy {
		g.by = append(g.by, s.paths.find(p))
	}
	g.items = make([]place, len(q.Items))
	for i, item := range q.Items {
		if item.Aggregate != query.NoAggregate && item.Path != nil {
			g.items[i] = s.paths.find(item.Path)
			g.cells[i] = make([]cell, maxRows)
			g.counts = false
		}
	}
	return g
}

// add adds rows of k. Sums and the texts of groups depend on the order, so the
// rows come in order, whichever way they are counted.
func (g *grouper) add(ctx context.Context, k *chunk, rows *mask) error {
	if rows.empty() {
		return nil
	}
	asks, ok := g.prepare(k)
	if !ok {
		asks = *rows
	}
	asks.and(rows)
	if g.counts && len(g.by) <= 1 && asks.empty() {
		return g.count(k, rows)
	}
	for i, c := range g.columns {
		if c != nil {
			c.fillCodes(&g.codes[i])
		} else {
			clear(g.codes[i][:])
		}
	}
	if g.counts && len(g.by) == 2 && asks.empty() {
		return g.countPairs(rows)
	}
	for row := range rows.rows {
		if asks.has(row) {
			d, err := g.s.look(ctx, k, row)
			if err == nil {
				err = g.gs.Add(d)
			}
			if err != nil {
				return err
			}
			continue
		}
		group, err := g.group(row)
		if err != nil {
			return err
		}
		g.aggregate(group, row)
	}
	return nil
}

// prepare finds the columns of k, and the rows that have to be added document by
// document; !ok means all.
func (g *grouper) prepare(k *chunk) (asks mask, ok bool) {
	if len(g.by)*bits.Len(maxValues) > 64 {
		return asks, false
	}
	clear(g.groups)
	clear(g.few[:])
	for i, at := range g.by {
		switch at.where {
		case nowhere:
			g.columns[i] = nil
		case inColumns:
			c := k.column(at.number)
			if c != nil && c.plain() {
				return asks, false
			}
			g.columns[i] = c
			if c != nil {
				inside := c.insides()
				asks.or(&inside)
			}
		default:
			return asks, false
		}
	}
	for i, at := range g.items {
		if g.q.Items[i].Aggregate == query.NoAggregate || g.q.Items[i].Path == nil {
			continue
		}
		cells := g.cells[i][:len(k.keys)]
		switch at.where {
		case inDocuments:
			return asks, false
		case inKeys, inTimes:
			fill(cells, stringCell) // there is one, and it is no number
		case nowhere:
			fill(cells, undefinedCell)
		case inColumns:
			if c := k.column(at.number); c != nil {
				c.fillCells(cells)
			} else {
				fill(cells, undefinedCell)
			}
		}
	}
	return asks, true
}

func fill(cells []cell, c cell) {
	for i := range cells {
		cells[i] = c
	}
}

// insides is the rows with an array or an object, of which the column knows only
// that.
func (c *column) insides() mask {
	return c.rowsWhere(func(v *value) bool { return v.kind == query.Array || v.kind == query.Object })
}

// count adds rows by postings: as many at once as have a value.
func (g *grouper) count(k *chunk, rows *mask) error {
	n := rows.count()
	if len(g.by) == 0 || g.columns[0] == nil {
		clear(g.values)
		return g.addRows(n)
	}
	c := g.columns[0]
	type run struct{ code, first, rows int }
	var room [maxValues]run
	list := room[:0]
	spelled := c.spelled()
	for code := range c.values {
		if c.counts[code] == 0 {
			continue
		}
		r := run{code: code, rows: int(c.counts[code])}
		if n < len(k.keys) || spelled {
			with := c.rowsWith(code)
			with.and(rows)
			r.first, r.rows = with.first(), with.count()
		}
		if r.rows > 0 {
			list = append(list, r)
		}
	}
	if spelled {
		// Of 1 and 1.0, the group shows the one that came first.
		slices.SortFunc(list, func(a, b run) int { return a.first - b.first })
	}
	for _, r := range list {
		g.values[0] = c.values[r.code].text
		if err := g.addRows(r.rows); err != nil {
			return err
		}
	}
	return nil
}

// countPairs adds rows by the pairs of their codes. The pairs come in the order
// in which they are met.
func (g *grouper) countPairs(rows *mask) error {
	g.met = g.met[:0]
	for row := range rows.rows {
		n := &g.pairs[g.pair(row)]
		if *n == 0 {
			g.met = append(g.met, row)
		}
		*n++
	}
	for _, row := range g.met {
		n := &g.pairs[g.pair(row)]
		g.setValues(row)
		if err := g.addRows(int(*n)); err != nil {
			return err
		}
		*n = 0
	}
	return nil
}

func (g *grouper) pair(row int) int { return int(g.codes[0][row])*maxValues + int(g.codes[1][row]) }

// spelled tells whether the dictionary may have one value in several texts.
func (c *column) spelled() bool {
	for code, v := range c.values {
		if c.counts[code] > 0 && (v.kind == query.Number || v.kind == query.String && strings.IndexByte(v.text, '\\') >= 0) {
			return true
		}
	}
	return false
}

func (g *grouper) addRows(n int) error {
	group, err := g.open()
	if err != nil {
		return err
	}
	for i, item := range g.q.Items {
		if item.Aggregate != query.NoAggregate {
			group.AddRows(i, n)
		}
	}
	return nil
}

// maxKnownTexts bounds how many groups are found by their texts alone.
const maxKnownTexts = 10_000

// open gives the group of g.values.
func (g *grouper) open() (*query.Group, error) {
	if len(g.values) != 1 && len(g.values) != 2 {
		return g.gs.Group(g.values)
	}
	texts := [2]string{g.values[0], g.values[len(g.values)-1]}
	group := g.byTexts[texts]
	if group == nil {
		var err error
		if group, err = g.gs.Group(g.values); err != nil {
			return nil, err
		}
		if len(g.byTexts) < maxKnownTexts {
			g.byTexts[texts] = group
		}
	}
	return group, nil
}

// group gives the group of a row whose values columns know.
func (g *grouper) group(row int) (group *query.Group, err error) {
	if len(g.columns) == 1 {
		code := g.codes[0][row]
		if group = g.few[code]; group == nil {
			group, err = g.openFor(row)
			g.few[code] = group
		}
		return group, err
	}
	var key uint64
	for i := range g.columns {
		key = key<<7 | uint64(g.codes[i][row])
	}
	if group = g.groups[key]; group == nil {
		group, err = g.openFor(row)
		g.groups[key] = group
	}
	return group, err
}

// openFor gives the group of a row.
func (g *grouper) openFor(row int) (*query.Group, error) {
	g.setValues(row)
	return g.open()
}

func (g *grouper) setValues(row int) {
	for i, c := range g.columns {
		g.values[i] = ""
		if c != nil {
			g.values[i] = c.values[g.codes[i][row]].text
		}
	}
}

// aggregate counts a row in its group.
func (g *grouper) aggregate(group *query.Group, row int) {
	for i := range g.q.Items {
		item := &g.q.Items[i]
		switch {
		case item.Aggregate == query.NoAggregate:
		case item.Path == nil:
			group.AddRows(i, 1)
		default:
			c := g.cells[i][row]
			if x, ok := c.number(); ok {
				group.AddNumber(i, x)
			} else if c != undefinedCell {
				group.AddRows(i, 1)
			}
		}
	}
}
