package hub

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// A head is the end of one identity's chain of states.
//
//	durable ──▶ pending ──▶ pending ──▶ newest
//	readers                             the next change builds here
//
// Under mu a change reads newest, computes the next state, submits the
// difference, and makes the next state the newest. When the store has it on
// disk, the state becomes the durable one. The store decides batches in the
// order of Submit and calls back in that order, so durable walks along the
// chain and never back. If a link of the chain fails, its successors conflict
// in the store (each expects the revisions of all that was pending), and the
// head is stale: it is loaded again before the next change.
type head struct {
	id device.ID

	mu     sync.Mutex
	newest *state // nil: not loaded

	durable atomic.Pointer[state] // nil: not loaded
	pending atomic.Int64          // submitted and not decided
	stale   atomic.Bool           // a link failed: newest is not to be trusted

	// users pins the head in its shard. It rises under the shard's lock, or
	// while it is above 0, so a head without users may be dropped there.
	users    atomic.Int64
	recently atomic.Bool
	shard    *shard
}

// heads is a bounded cache of heads. A head that somebody uses, or that has
// pending changes, stays; others may be dropped at any time.
type heads struct {
	store  store.Store
	seed   maphash.Seed
	shards [64]shard
	budget int64 // bytes for each shard
	acked  atomic.Uint64

	// Who else is told of changes; nil for nobody.
	out    *outgoing
	events *eventlog.Log
}

// acknowledged is the position of the newest commit that anybody was told of.
func (hs *heads) acknowledged() store.Position { return store.Position(hs.acked.Load()) }

type shard struct {
	mu    sync.Mutex
	heads map[device.ID]*head
	cost  atomic.Int64 // bytes, of the durable states
}

func newHeads(s store.Store, budget int64) *heads {
	hs := &heads{store: s, seed: maphash.MakeSeed()}
	hs.budget = budget / int64(len(hs.shards))
	for i := range hs.shards {
		hs.shards[i].heads = map[device.ID]*head{}
	}
	return hs
}

// acquire gives the head of id, pinned. The caller releases it.
func (hs *heads) acquire(id device.ID) *head {
	sh := &hs.shards[maphash.Comparable(hs.seed, id)%uint64(len(hs.shards))]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	hd := sh.heads[id]
	if hd == nil {
		sh.evict(hs.budget)
		hd = &head{id: id, shard: sh}
		sh.heads[id] = hd
	}
	hd.recently.Store(true)
	hd.users.Add(1)
	return hd
}

func (hd *head) release() { hd.users.Add(-1) }

// evictLooks is how many heads one new head may have looked at. A shard full of
// connected devices has nothing to drop, and must not be searched each time.
const evictLooks = 64

// evict drops heads that nobody uses while the shard costs more than budget. A
// head used since the last look gets a second chance. Map order is random
// enough to be fair.
func (sh *shard) evict(budget int64) {
	looks := 0
	for id, hd := range sh.heads {
		if sh.cost.Load() <= budget || looks == evictLooks {
			return
		}
		looks++
		if hd.users.Load() > 0 || hd.recently.Swap(false) {
			continue
		}
		if s := hd.durable.Load(); s != nil {
			sh.cost.Add(-int64(s.footprint()))
		}
		delete(sh.heads, id)
	}
}

var errStale = fault.New(fault.ServiceUnavailable, "an earlier change of this identity has just failed; try again")

// load makes sure that newest is there. The caller holds hd.mu. The error is
// errStale while links of a failed chain are not decided yet.
func (hs *heads) load(hd *head) error {
	if hd.newest != nil && !hd.stale.Load() {
		return nil
	}
	// A stale head's links have all failed or will; what the store shows once
	// they are decided is the truth.
	if hd.stale.Load() && hd.pending.Load() > 0 {
		return errStale
	}
	s, err := readState(hs.store, hd.id)
	if err != nil {
		return outcome(fmt.Errorf("load %q: %w", hd.id, err))
	}
	hd.stale.Store(false)
	hd.newest = s
	hd.setDurable(s)
	return nil
}

func (hd *head) setDurable(s *state) {
	old := hd.durable.Swap(s)
	d := int64(s.footprint())
	if old != nil {
		d -= int64(old.footprint())
	}
	hd.shard.cost.Add(d)
}

func readState(st store.Store, id device.ID) (*state, error) {
	v, err := st.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	s := new(state)
	prefix := keyPrefix(id)
	for e, err := range v.Scan(prefix, afterPrefix(prefix)) {
		if err != nil {
			return nil, err
		}
		if err := s.setPart(e.Key[len(e.Key)-1], e.Record); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// read gives the durable state of id: what everybody was told and nothing else.
func (hs *heads) read(id device.ID) (*state, error) {
	hd := hs.acquire(id)
	defer hd.release()
	return hs.readHead(hd)
}

func (hs *heads) readHead(hd *head) (*state, error) {
	if s := hd.durable.Load(); s != nil {
		return s, nil
	}
	hd.mu.Lock()
	defer hd.mu.Unlock()
	if err := hs.load(hd); err != nil {
		return nil, err
	}
	return hd.durable.Load(), nil
}

// step computes the next state of an identity from its newest one, with the
// events that tell of it. It returns old itself if nothing changes. It runs
// under the head's lock and may run again on what somebody else left.
type step func(old *state) (next *state, events [][]byte, err error)

// change applies f to the newest state of hd. If it returns an error, nothing
// was submitted and done is not called. Otherwise the store calls done once,
// from another goroutine: with the state that the answer may show, after that
// state is durable, or with f's or the store's error. done must not block.
func (hs *heads) change(hd *head, f step, done func(*state, store.Position, error)) error {
	hd.mu.Lock()
	defer hd.mu.Unlock()
	if err := hs.load(hd); err != nil {
		return err
	}
	old := hd.newest
	next, events, refusal := f(old)
	if refusal != nil {
		if old == hd.durable.Load() {
			return refusal
		}
		next = old
	}
	// A step that changed nothing, or refused, still answers from a state that
	// may not be durable yet: its empty batch waits for those before it.
	b := store.Batch{Expect: old.expectations(hd.id, hd.durable.Load(), next)}
	if next != old {
		if err := old.commitTo(&b, hd.id, next); err != nil {
			return err
		}
		b.Events = events
		hd.newest = next
	}
	hd.pending.Add(1)
	hd.users.Add(1)
	told := hs.out.tell(b.Events, func(device.ID) *twin.Twin { return lastTwin(old, next) })
	hs.submit(b, told, func(pos store.Position, err error) {
		if err == nil {
			// done is called in the order of positions. Before readers see the
			// state: what they have seen, their next query sees.
			hs.acked.Store(uint64(pos))
		}
		switch {
		case err != nil:
			hd.stale.Store(true)
		case next != old:
			hd.setDurable(next)
		case refusal != nil:
			err = refusal
		}
		hd.pending.Add(-1)
		hd.release()
		done(next, pos, err)
	})
	return nil
}

// submit submits a batch with what is to be told of it.
func (hs *heads) submit(b store.Batch, told []eventlog.Entry, done func(store.Position, error)) {
	if len(told) == 0 {
		hs.store.Submit(b, done)
		return
	}
	hs.events.Submit(b, told, done)
}

// lastTwin is the twin that next has, or that old had.
func lastTwin(old, next *state) *twin.Twin {
	if next.twin != nil {
		return next.twin
	}
	return old.twin
}

// update is change for callers that wait.
func (hs *heads) update(ctx context.Context, id device.ID, f step) (*state, error) {
	hd := hs.acquire(id)
	defer hd.release()
	return hs.updateHead(ctx, hd, f, func(store.Position) {})
}

// maxTries bounds how often a change is tried again because earlier ones failed.
const maxTries = 3

// updateHead is change, and waits for its end. A conflict means that an earlier
// link failed: it tries again on what is there now. The store calls committed
// when the change is durable, before followers hear of it; it must not block.
// If ctx ends first, the change may still be committed.
func (hs *heads) updateHead(ctx context.Context, hd *head, f step, committed func(store.Position)) (*state, error) {
	for try := 0; ; try++ {
		s, err := hs.changeAndWait(ctx, hd, f, committed)
		switch {
		case try == maxTries:
		case errors.Is(err, store.ErrConflict):
			continue
		case errors.Is(err, errStale):
			// Behind the links that are still to fail.
			if _, err := store.CommitBatch(ctx, hs.store, store.Batch{}); err != nil {
				return nil, outcome(err)
			}
			continue
		}
		return s, outcome(err)
	}
}

func (hs *heads) changeAndWait(ctx context.Context, hd *head, f step, committed func(store.Position)) (*state, error) {
	type result struct {
		s   *state
		err error
	}
	decided := make(chan result, 1)
	err := hs.change(hd, f, func(s *state, pos store.Position, err error) {
		if err == nil {
			committed(pos)
		}
		decided <- result{s, err}
	})
	if err != nil {
		return nil, err
	}
	select {
	case r := <-decided:
		return r.s, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// outcome translates what a store says into what a caller can act on.
func outcome(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrClosed):
		return fault.New(fault.ServiceUnavailable, "the hub is shutting down: %w", err)
	case errors.Is(err, store.ErrConflict):
		return fault.New(fault.ServiceUnavailable, "the change met another one; try again: %w", err)
	}
	return err
}
