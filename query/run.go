package query

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"sync"

	"github.com/hubtwin/hubtwin/fault"
)

const (
	// DefaultPage is the rows of a page when the caller has no valid wish (A1).
	DefaultPage = 100
	// MaxPage is the most rows of a page.
	MaxPage = 1000
	// maxPageBytes ends a page early: a thousand twins of the largest size
	// would be more than a client can hold.
	maxPageBytes = 8 << 20
	// checkEvery is how many documents pass between looks at the context.
	checkEvery = 128
)

// Source is a collection of documents, seen at one moment.
type Source interface {
	// Documents walks the collection that q reads in key order, beginning
	// after the key after; "" is the beginning. It may leave out documents
	// that cannot satisfy q.Where: each one it gives is still decided here.
	// A Document need be valid only until the next one. After an error the
	// walk is over.
	Documents(ctx context.Context, q *Query, after string) iter.Seq2[Document, error]
}

// Grouper is a Source that can gather groups from what it keeps beside the
// documents, so that a count over a million of them hands out none. Run asks
// it for every query that has an aggregate or GROUP BY.
//
// It also decides by itself: its Documents are those that satisfy q.Where, and no
// others.
type Grouper interface {
	Source
	// Group adds each document that satisfies q.Where to gs, exactly once. The
	// outcome must be what Groups.Add would have made of the documents in key
	// order, to the last bit: a group shows the texts that it was opened with,
	// and floating-point sums depend on the order of their numbers. Group ends
	// soon after ctx. What it returns, a refusal by gs included, ends the query.
	Group(ctx context.Context, q *Query, gs *Groups) error
}

// Cursor is where the next page of a query begins. It is plain data for the
// hub to seal into a continuation token.
type Cursor struct {
	Query uint64 // fingerprint of the query it belongs to
	After string // key of the last row's document; "" where rows are groups
	Rows  int    // rows returned so far
}

// Page is a part of an answer.
type Page struct {
	Rows [][]byte // each a JSON text
	Next *Cursor  // nil unless there is a further row

	paper paper
}

// Free gives the memory of the rows back for other pages. They must not be used
// afterwards. A page need not be freed.
func (p *Page) Free() { p.paper.free() }

// Run gives a page of at most size rows (DefaultPage unless size is within
// 1 … MaxPage), beginning at from, or with the first row if from is nil. A
// page may be shorter and still have a next one.
//
// Faults are ArgumentInvalid for a cursor of another query and for more groups
// than fit; an ended context and an error of src are returned as they are.
func (q *Query) Run(ctx context.Context, src Source, size int, from *Cursor) (Page, error) {
	if size < 1 || size > MaxPage {
		size = DefaultPage
	}
	at := Cursor{Query: q.fingerprint()}
	if from != nil {
		if from.Query != at.Query || from.Rows < 0 {
			return Page{}, fault.New(fault.ArgumentInvalid, "BadRequest the continuation token belongs to another query")
		}
		at = *from
	}
	left := size
	if q.Top > 0 {
		left = max(0, min(size, q.Top-at.Rows))
	}
	if q.aggregates() || q.GroupBy != nil {
		return q.runGroups(ctx, src, left, at)
	}
	return q.runDocuments(ctx, src, left, at)
}

// fingerprint tells queries of different meaning apart.
func (q *Query) fingerprint() uint64 {
	h := fnv.New64a()
	h.Write(q.append(nil))
	return h.Sum64()
}

// runGroups gives a row for each group. The groups come in the order of their
// values, so that neither the order of documents nor a way of counting without
// looking at documents shows. Each page counts anew.
func (q *Query) runGroups(ctx context.Context, src Source, left int, at Cursor) (Page, error) {
	gs := NewGroups(q)
	if err := q.gather(ctx, src, gs); err != nil {
		return Page{}, err
	}
	sorted := gs.sorted()
	sorted = sorted[min(at.Rows, len(sorted)):]
	page := Page{Rows: [][]byte{}}
	members := q.members()
	bytes := 0
	for _, g := range sorted[:min(left, len(sorted))] {
		if bytes >= maxPageBytes {
			break
		}
		row := g.row(q, members)
		bytes += len(row)
		page.Rows = append(page.Rows, row)
	}
	at.Rows += len(page.Rows)
	if len(page.Rows) > 0 && len(page.Rows) < len(sorted) && !q.last(at.Rows) {
		page.Next = &at
	}
	return page, nil
}

// gather fills gs with the documents that satisfy the condition.
func (q *Query) gather(ctx context.Context, src Source, gs *Groups) error {
	if grouper, ok := src.(Grouper); ok {
		if err := grouper.Group(ctx, q, gs); err != nil {
			return fmt.Errorf("group documents of %s: %w", q.From, err)
		}
		return nil
	}
	for d, err := range q.matches(ctx, src, "") {
		if err == nil {
			err = gs.Add(d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// last tells whether no row may follow the row-th one, because of TOP.
func (q *Query) last(row int) bool { return q.Top > 0 && row >= q.Top }

// runDocuments gives a row for each document. To know whether there is a next
// page it looks for one match more than it returns.
func (q *Query) runDocuments(ctx context.Context, src Source, left int, at Cursor) (Page, error) {
	page := Page{Rows: [][]byte{}}
	if left == 0 {
		return page, nil
	}
	members := q.members()
	bytes := 0
	for d, err := range q.matches(ctx, src, at.After) {
		switch {
		case err != nil:
			return Page{}, err
		case len(page.Rows) == left || bytes >= maxPageBytes:
			page.Next = &at
			return page, nil
		}
		row := page.paper.write(func(dst []byte) []byte { return q.appendRow(dst, d, members) })
		bytes += len(row)
		page.Rows = append(page.Rows, row)
		at.After = d.Key()
		at.Rows++
		if q.last(at.Rows) {
			break
		}
	}
	return page, nil
}

// matches walks the documents that satisfy the condition.
func (q *Query) matches(ctx context.Context, src Source, after string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		_, decided := src.(Grouper)
		seen := 0
		for d, err := range src.Documents(ctx, q, after) {
			if err == nil && seen%checkEvery == 0 {
				err = ctx.Err()
			}
			seen++
			if err != nil {
				yield(nil, fmt.Errorf("read documents of %s: %w", q.From, err))
				return
			}
			if (decided || Matches(q.Where, d) == True) && !yield(d, nil) {
				return
			}
		}
	}
}

// member is a place in a row.
type member struct {
	item  int    // of the select list
	group int    // of GROUP BY: the item's path there; -1 if it has no place
	name  []byte // `"name":`
}

// members lists what rows are made of. Of items with the same name only the
// last has a place (A6).
func (q *Query) members() []member {
	last := make(map[string]int, len(q.Items))
	for i, item := range q.Items {
		last[item.Name] = i
	}
	var list []member
	for i, item := range q.Items {
		if last[item.Name] == i {
			list = append(list, member{item: i, group: q.groupIndex(item.Path), name: append(appendString(nil, item.Name), ':')})
		}
	}
	return list
}

// appendRow renders d. Numbers keep the text in which they are stored.
func (q *Query) appendRow(dst []byte, d Document, members []member) []byte {
	if q.Star {
		return d.AppendJSON(dst)
	}
	begin := len(dst)
	row := append(dst, '{')
	for _, m := range members {
		if json, ok := d.Lookup(q.Items[m.item].Path); ok {
			row = appendMember(row, begin, m, json)
		}
	}
	return append(row, '}')
}

// paper is where the rows of a page are written, one behind the other: an array
// for each row, grown step by step, would cost more than the row. Large sheets
// are used again.
type paper struct {
	sheet []byte
	size  int
	row   int // bytes of the last row
	used  []*[largeSheet]byte
}

// The sizes of a sheet.
const (
	smallSheet = 2 << 10
	largeSheet = 128 << 10
)

// write gives what render appends. Where a row like the last may not fit, it
// begins a sheet: a sheet that had to grow would be copied. A quarter of a sheet
// is the most that is wasted so.
func (p *paper) write(render func(dst []byte) []byte) []byte {
	if left := cap(p.sheet) - len(p.sheet); left < min(p.row+p.row/4, largeSheet/4) || p.size == 0 {
		p.size = min(max(smallSheet, 4*p.size), largeSheet)
		p.sheet = p.newSheet()
	}
	begin := len(p.sheet)
	p.sheet = render(p.sheet)
	p.row = len(p.sheet) - begin
	return p.sheet[begin:len(p.sheet):len(p.sheet)]
}

var largeSheets = sync.Pool{New: func() any { return new([largeSheet]byte) }}

func (p *paper) newSheet() []byte {
	if p.size < largeSheet {
		return make([]byte, 0, p.size)
	}
	sheet := largeSheets.Get().(*[largeSheet]byte)
	p.used = append(p.used, sheet)
	return sheet[:0]
}

func (p *paper) free() {
	for _, sheet := range p.used {
		largeSheets.Put(sheet)
	}
	*p = paper{}
}

// appendMember adds a member to a row that begins with '{' at begin.
func appendMember[J string | []byte](row []byte, begin int, m member, json J) []byte {
	if len(row) > begin+1 {
		row = append(row, ',')
	}
	row = append(row, m.name...)
	return append(row, json...)
}
