package storetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/store"
)

// History runs random histories on two stores and compares what each step
// shows: fates, views old and new, event logs, and what followers read. reopen,
// if not nil, closes the second store and opens it again.
func History(t *testing.T, open func(t testing.TB) (reference, other store.Store), reopen func(t testing.TB, other store.Store) store.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{t: t}
		h.stores[0], h.stores[1] = open(t)
		defer h.end()
		h.follow()
		actions := map[string]func(*rapid.T){
			"submit": h.submit,
			"view":   h.view,
			"trim":   h.trim,
			"":       h.compare,
		}
		if reopen != nil {
			actions["reopen"] = func(rt *rapid.T) {
				h.settle(rt)
				h.closeViews()
				h.followers[1].Close()
				h.stores[1] = reopen(t, h.stores[1])
				h.followers[0].Close()
				h.follow()
			}
		}
		rt.Repeat(actions)
		h.settle(rt)
	})
}

// history is two stores with the same past.
type history struct {
	t         *testing.T
	stores    [2]store.Store
	followers [2]store.Follower
	fates     [2]fates
	views     [][2]store.View
	committed int // what followers must have when all is settled
}

func (h *history) follow() {
	for i, s := range h.stores {
		f, err := s.Follow()
		if err != nil {
			h.t.Fatal(err)
		}
		h.followers[i] = f
	}
}

func (h *history) closeViews() {
	for _, pair := range h.views {
		pair[0].Close()
		pair[1].Close()
	}
	h.views = nil
}

func (h *history) end() {
	h.closeViews()
	for i, s := range h.stores {
		h.followers[i].Close()
		closeStore(h.t, s)
	}
}

// Few keys and revisions, so that expectations hold about half the time.
var (
	keys      = rapid.SampledFrom([]string{"a", "aa", "ab", "b", "b\x00", "\xff"})
	revisions = rapid.Uint64Range(1, 3)
)

func batches() *rapid.Generator[store.Batch] {
	return rapid.Custom(func(t *rapid.T) store.Batch {
		var b store.Batch
		for range rapid.IntRange(0, 2).Draw(t, "expectations") {
			b.Expect = append(b.Expect, expect(keys.Draw(t, "key"), store.Revision(revisions.Draw(t, "revision")-1)))
		}
		if rapid.IntRange(0, 4).Draw(t, "clear") == 0 {
			start, end := keys.Draw(t, "start"), keys.Draw(t, "end")
			if start < end {
				b.Clear = append(b.Clear, store.Range{Start: []byte(start), End: []byte(end)})
			}
		}
		for range rapid.IntRange(0, 3).Draw(t, "writes") {
			w := set(keys.Draw(t, "key"), rapid.StringN(0, 3, -1).Draw(t, "value"), store.Revision(revisions.Draw(t, "revision")))
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				w.Value = nil
			}
			b.Writes = append(b.Writes, w)
		}
		for range rapid.IntRange(0, 2).Draw(t, "events") {
			b.Events = append(b.Events, []byte(rapid.StringN(0, 3, -1).Draw(t, "event")))
		}
		return b
	})
}

// submit gives both stores some batches without waiting in between.
func (h *history) submit(rt *rapid.T) {
	for _, b := range rapid.SliceOfN(batches(), 1, 8).Draw(rt, "batches") {
		for i, s := range h.stores {
			h.fates[i].submit(s, fmt.Sprintf("%+v", b), b)
		}
	}
}

// settle waits until all is decided and compares fates and commits.
func (h *history) settle(rt *rapid.T) {
	var told [2][]string
	for i := range h.stores {
		told[i] = h.fates[i].wait()
	}
	if diff := cmp.Diff(told[0], told[1]); diff != "" {
		rt.Fatalf("fates differ (-reference +other):\n%s", diff)
	}
	n := 0
	for _, one := range h.fates[0].list {
		if one.err == nil && int(one.pos) > n {
			n = int(one.pos)
		}
	}
	var got [2][]store.Commit
	for i, f := range h.followers {
		got[i] = read(h.t, f, n-max(h.committed, int(f.Start())))
	}
	h.committed = n
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		rt.Fatalf("commits differ (-reference +other):\n%s", diff)
	}
}

// view keeps a pair of views, to be compared again and again.
func (h *history) view(rt *rapid.T) {
	h.settle(rt)
	if len(h.views) == 4 {
		h.closeViews()
	}
	h.views = append(h.views, [2]store.View{look(h.t, h.stores[0]), look(h.t, h.stores[1])})
}

func (h *history) trim(rt *rapid.T) {
	h.settle(rt)
	upTo := store.Position(rapid.IntRange(0, h.committed+2).Draw(rt, "up to"))
	for _, s := range h.stores {
		if err := s.TrimEvents(upTo); err != nil {
			rt.Fatal(err)
		}
	}
}

// compare looks at the newest views and at those that were kept.
func (h *history) compare(rt *rapid.T) {
	h.settle(rt)
	newest := [2]store.View{look(h.t, h.stores[0]), look(h.t, h.stores[1])}
	defer newest[0].Close()
	defer newest[1].Close()
	start, end := bound(rt), bound(rt)
	after := store.Position(rapid.IntRange(0, h.committed+1).Draw(rt, "after"))
	key := keys.Draw(rt, "key")
	for _, pair := range append(h.views, newest) {
		var seen [2][]string
		for i, v := range pair {
			r, ok, err := v.Get([]byte(key))
			seen[i] = append(seen[i], fmt.Sprintf("position %d, %q is %q at %d (%v, %v)", v.Position(), key, r.Value, r.Revision, ok, err))
			seen[i] = append(seen[i], dump(h.t, v, start, end)...)
			last, ok, err := v.Last(start, end)
			seen[i] = append(seen[i], fmt.Sprintf("last %q is %q at %d (%v, %v)", last.Key, last.Value, last.Revision, ok, err))
			seen[i] = append(seen[i], dumpEvents(h.t, v, after)...)
		}
		if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
			rt.Fatalf("views differ from %q to %q and after %d (-reference +other):\n%s", start, end, after, diff)
		}
	}
}

func bound(rt *rapid.T) []byte {
	if rapid.Bool().Draw(rt, "open end") {
		return nil
	}
	return []byte(keys.Draw(rt, "bound"))
}
