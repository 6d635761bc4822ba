package hub

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

// TestTheCacheIsBounded uses every id once: what a head costs must count though
// nobody asks for it again.
func TestTheCacheIsBounded(t *testing.T) {
	s := memory.New()
	defer s.Close()
	const budget = 1 << 20
	hs := newHeads(s, budget)
	inUse := hs.acquire(device.ID{Device: "in use"})
	if _, err := hs.readHead(inUse); err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		if _, err := hs.read(device.ID{Device: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var cost, kept int64
	for i := range hs.shards {
		cost += hs.shards[i].cost.Load()
		for _, hd := range hs.shards[i].heads {
			kept += int64(hd.durable.Load().footprint())
		}
	}
	if cost != kept {
		t.Errorf("the heads are taken to cost %d bytes, and cost %d", cost, kept)
	}
	// A shard may be above its part by the new head, and by a few more while all
	// that it looks at have their second chance.
	if most := int64(budget + 4*len(hs.shards)*new(state).footprint()); cost > most {
		t.Errorf("the cache takes %d bytes, at most %d may be", cost, most)
	}
	if cost < budget/2 {
		t.Errorf("the cache keeps %d of %d bytes", cost, budget)
	}
	if hs.acquire(inUse.id) != inUse {
		t.Error("a head in use was dropped")
	}
}

// TestEvictionLooksAtFew: a shard may be full of heads that have to stay.
func TestEvictionLooksAtFew(t *testing.T) {
	hs := newHeads(nil, 0)
	sh := &hs.shards[0]
	sh.cost.Store(1)
	for i := range 10 * evictLooks {
		hd := &head{shard: sh}
		hd.recently.Store(true)
		sh.heads[device.ID{Device: fmt.Sprint(i)}] = hd
	}
	sh.evict(0)
	looked := 0
	for _, hd := range sh.heads {
		if !hd.recently.Load() {
			looked++
		}
	}
	if looked != evictLooks {
		t.Errorf("%d heads were looked at, want %d", looked, evictLooks)
	}
}

// TestChangesLetGo: whatever becomes of a change, its head is free afterwards.
func TestChangesLetGo(t *testing.T) {
	ctx := context.Background()
	s := memory.New()
	defer s.Close()
	hs := newHeads(s, 1<<20)
	id := device.ID{Device: "d"}
	refusal := errors.New("no")
	tooLarge := make([]byte, store.MaxRecord+1)
	change := func(events ...[]byte) step {
		return func(old *state) (*state, [][]byte, error) {
			next := *old
			next.twin = twin.New(time.Unix(0, 0))
			return &next, events, nil
		}
	}
	for _, c := range []struct {
		name string
		step step
		want error
	}{
		{"change", change(), nil},
		{"change nothing", func(old *state) (*state, [][]byte, error) { return old, nil, nil }, nil},
		{"refuse", func(old *state) (*state, [][]byte, error) { return nil, nil, refusal }, refusal},
		{"change too much", change(tooLarge), store.ErrInvalid},
		{"change after that", change(), nil},
	} {
		if _, err := hs.update(ctx, id, c.step); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		hd := hs.acquire(id)
		if users, pending := hd.users.Load(), hd.pending.Load(); users != 1 || pending != 0 {
			t.Errorf("%s leaves %d users and %d pending changes", c.name, users-1, pending)
		}
		hd.release()
	}
}

// TestLivesShareNoRevision: what was computed from a deleted record must not fit
// the one that takes its place.
func TestLivesShareNoRevision(t *testing.T) {
	id := device.ID{Device: "d"}
	seen := map[store.Revision]bool{}
	for range 3 {
		var b store.Batch
		next := &state{twin: twin.New(time.Unix(0, 0))}
		if err := new(state).commitTo(&b, id, next); err != nil {
			t.Fatal(err)
		}
		if r := next.revisions[3]; seen[r] || r == 0 || b.Writes[0].Revision != r {
			t.Errorf("revision %d of a new twin, %d of its record", r, b.Writes[0].Revision)
		}
		seen[next.revisions[3]] = true
	}
}

// TestAStaleHeadIsLoadedOnceItsLinksAreDecided, and not before: a link that is still to fail
// would make the fresh head stale again, with new links on it.
func TestAStaleHeadIsLoadedOnceItsLinksAreDecided(t *testing.T) {
	s := memory.New()
	defer s.Close()
	hs := newHeads(s, 1<<20)
	hd := hs.acquire(device.ID{Device: "d"})
	hd.newest = new(state)
	hd.stale.Store(true)
	hd.pending.Store(1)
	if err := hs.load(hd); !errors.Is(err, errStale) {
		t.Errorf("with a pending link: %v", err)
	}
	hd.pending.Store(0)
	if err := hs.load(hd); err != nil || hd.stale.Load() {
		t.Errorf("without: %v, stale %t", err, hd.stale.Load())
	}
}

// TestExpectations of a change are the parts that it writes, and those that are
// on their way to the disk.
func TestExpectations(t *testing.T) {
	id := device.ID{Device: "d"}
	old := &state{twin: twin.New(time.Unix(0, 0)), revisions: [len(partOrder)]store.Revision{10, 20, 30, 40}}
	durable := *old
	durable.revisions[0] = 9
	next := *old
	next.twin = twin.New(time.Unix(1, 0))
	for name, c := range map[string]struct {
		durable, next *state
		want          string
	}{
		"nothing":        {old, old, "[]"},
		"a write":        {old, &next, "[t=40]"},
		"a pending part": {&durable, old, "[c=10]"},
		"both":           {&durable, &next, "[c=10 t=40]"},
	} {
		var got []string
		for _, e := range old.appendExpectations(nil, id, c.durable, c.next) {
			got = append(got, fmt.Sprintf("%c=%d", e.Key[len(e.Key)-1], e.Revision))
		}
		if s := fmt.Sprint(got); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}
