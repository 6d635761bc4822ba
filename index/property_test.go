package index_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/internal/fleet"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// straight is the oracle: documents in a map, each decided by the straight
// evaluator.
type straight map[string]*document.Document

func (s straight) Documents(_ context.Context, q *query.Query, after string) iter.Seq2[query.Document, error] {
	return func(yield func(query.Document, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(s)) {
			d := *s[key]
			if d.Head.Connected {
				d.Head.LastActivity = max(d.Head.LastActivity, twin.Ticks(active(d.ID)))
			}
			if key > after && d.ID.IsModule() == (q.From == query.Modules) && !yield(&d, nil) {
				return
			}
		}
	}
}

// active is when the devices that are connected were last heard of, as far as no
// commit says.
func active(id device.ID) time.Time {
	if strings.HasPrefix(id.Device, "d1") {
		return time.Date(2024, 3, 1, 0, 0, 30, 0, time.UTC)
	}
	return time.Time{}
}

// fleetState is what an index should hold, and what it was told.
type fleetState struct {
	docs   straight
	stored map[string]index.Update
	x      *index.Index
	at     store.Position

	shrinking bool // most changes delete
}

func storedTwin(d *document.Document) []byte { return d.Twin.AppendBinary(nil) }

// change makes a random change, in the fleet and as an update.
func (f *fleetState) change(t *rapid.T) index.Update {
	id := fleet.DeviceID(t)
	if rapid.IntRange(0, 3).Draw(t, "module") == 0 {
		id = fleet.ModuleID(t)
	}
	key := document.RowKey(id)
	d := f.docs[key]
	if d == nil {
		d = &document.Document{ID: id, Twin: fleet.Twin(t)}
		i, c := fleet.Identity(t, id), fleet.Connection(t)
		d.Head.SetIdentity(i)
		d.Head.SetConnection(c)
		f.docs[key] = d
		u := index.Update{ID: id, Identity: i, Twin: storedTwin(d)}
		if c != (document.Connection{}) {
			u.Connection = &c
		}
		if n := fleet.Messages(t); n > 0 {
			d.Head.CloudToDeviceMessageCount, u.Messages = n, &n
		}
		return u
	}
	if f.shrinking && rapid.IntRange(0, 3).Draw(t, "shrink") > 0 {
		delete(f.docs, key)
		return index.Update{ID: id, Deleted: true}
	}
	next := *d
	u := index.Update{ID: id}
	switch rapid.IntRange(0, 8).Draw(t, "change") {
	case 0:
		delete(f.docs, key)
		return index.Update{ID: id, Deleted: true}
	case 1:
		u.Identity = fleet.Identity(t, id)
		next.Head.SetIdentity(u.Identity)
	case 2:
		c := fleet.Connection(t)
		u.Connection = &c
		next.Head.SetConnection(c)
	case 8:
		n := fleet.Messages(t)
		u.Messages, next.Head.CloudToDeviceMessageCount = &n, n
	case 3:
		next.Twin = fleet.Replaced(t, d.Twin, `{"tags":`+fleet.Section(t)+`,"properties":{"desired":`+fleet.Section(t)+`}}`)
		u.Twin = storedTwin(&next)
	case 4, 5:
		next.Twin = fleet.Merged(t, d.Twin, `{"tags":`+fleet.Patch(t)+`,"properties":{"desired":`+fleet.Patch(t)+`}}`)
		u.Twin = storedTwin(&next)
	default:
		next.Twin = fleet.Reported(t, d.Twin, fleet.Patch(t))
		u.Twin = storedTwin(&next)
	}
	f.docs[key] = &next
	return u
}

// apply makes some changes in one commit.
func (f *fleetState) apply(t *rapid.T) {
	f.at++
	var updates []index.Update
	for range rapid.IntRange(1, 12).Draw(t, "updates") {
		u := f.change(t)
		u.Position = f.at
		f.whole(u)
		updates = append(updates, u)
	}
	f.x.Apply(f.at, updates)
}

// whole keeps all that is stored of an identity.
func (f *fleetState) whole(u index.Update) {
	key := document.RowKey(u.ID)
	if u.Deleted {
		delete(f.stored, key)
		return
	}
	all := f.stored[key]
	all.ID = u.ID
	if u.Identity != nil {
		all.Identity = u.Identity
	}
	if u.Connection != nil {
		all.Connection = u.Connection
	}
	if u.Messages != nil {
		all.Messages = u.Messages
	}
	if u.Twin != nil {
		all.Twin = u.Twin
	}
	f.stored[key] = all
}

// load fills the index. It is told of some commits before and while it loads,
// those included that the rows show already.
func (f *fleetState) load(t *rapid.T) {
	for range rapid.IntRange(0, 8).Draw(t, "before") {
		f.apply(t)
	}
	at, stored := f.at, maps.Clone(f.stored)
	rows := func(yield func(index.Row, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(stored)) {
			u := stored[key]
			if !yield(index.Row{ID: u.ID, Read: func() (index.Update, error) { return u, nil }}, nil) {
				return
			}
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "while") {
		f.apply(t)
	}
	if err := f.x.Load(t.Context(), at, rows); err != nil {
		t.Fatal(err)
	}
}

// answer runs a query page by page.
func answer(ctx context.Context, src query.Source, q *query.Query, size int) (rows []string, err error) {
	var at *query.Cursor
	for {
		page, err := q.Run(ctx, src, size, at)
		if err != nil {
			return rows, err
		}
		for _, r := range page.Rows {
			rows = append(rows, string(r))
		}
		if page.Next == nil {
			return rows, nil
		}
		at = page.Next
	}
}

// Whatever the twins and the query, an index gives the rows of a walk over all
// documents: at the moment of the snapshot, also if twins have changed since.
func TestIndexAgainstStraight(t *testing.T) {
	for _, bounds := range [][2]int{{4, 2}, {16, 4}, {1024, 128}} {
		t.Run(fmt.Sprintf("%d rows, %d values", bounds[0], bounds[1]), func(t *testing.T) {
			index.SetBounds(t, bounds[0], bounds[1])
			rapid.Check(t, checkIndex)
		})
	}
}

func checkIndex(t *rapid.T) {
	f := &fleetState{docs: straight{}, stored: map[string]index.Update{}, x: index.New(index.Config{
		MaxPaths: rapid.SampledFrom([]int{4096, 4096, 12, 3}).Draw(t, "paths"),
		MaxBytes: rapid.SampledFrom([]int64{1 << 30, 1 << 30, 20_000}).Draw(t, "bytes"),
		Activity: active,
	})}
	f.load(t)
	var open []moment
	for range rapid.IntRange(1, 6).Draw(t, "rounds") {
		f.shrinking = rapid.IntRange(0, 3).Draw(t, "shrinking") == 0
		open = append(open, moment{f.x.Snapshot(), maps.Clone(f.docs)})
		f.apply(t)
		if err := f.x.Check(); err != nil {
			t.Fatal(err)
		}
		now := moment{f.x.Snapshot(), maps.Clone(f.docs)}
		for range 4 {
			now.check(t)
		}
		now.Close()
		at := rapid.IntRange(0, len(open)-1).Draw(t, "old")
		open[at].check(t)
		if rapid.Bool().Draw(t, "close") {
			open[at].Close()
			open = slices.Delete(open, at, at+1)
		}
	}
	for _, m := range open {
		m.check(t)
		m.Close()
	}
}

// moment is a snapshot with the documents that it should show.
type moment struct {
	*index.Snapshot
	docs straight
}

func (m moment) check(t *rapid.T) {
	text := fleet.Query(t)
	q, err := query.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	size := rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "size")
	want, err := answer(t.Context(), m.docs, q, size)
	if err != nil {
		t.Fatal(err)
	}
	got, err := answer(t.Context(), m.Snapshot, q, size)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s\ngot  %s\nwant %s", text, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if q.Where != nil {
		m.checkPlan(t, q)
	}
}

// checkPlan holds that the conditions by themselves select the right rows,
// where documents only fill in for columns.
func (m moment) checkPlan(t *rapid.T, q *query.Query) {
	want := 0
	for d := range m.docs.Documents(t.Context(), q, "") {
		if query.Matches(q.Where, d) == query.True {
			want++
		}
	}
	plan, err := m.Explain(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Rows != want || plan.Steps[len(plan.Steps)-1].Rows != want {
		t.Fatalf("%s\nplan %+v\nwant %d rows", q, plan, want)
	}
	n, err := m.Count(t.Context(), q)
	if err != nil || int(n) != want {
		t.Fatalf("%s: %d rows, %v, want %d", q, n, err, want)
	}
}
