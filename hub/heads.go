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
	l := link{head: hd, old: hd.newest}
	var events [][]byte
	var refusal error
	l.next, events, refusal = f(l.old)
	return hs.commit([]link{l}, events, refusal, func(links []link, pos store.Position, err error) { done(links[0].next, pos, err) })
}

// A link is a change of one head, under way: old is what was newest, and next
// what is, or old itself if the change left it as it was.
type link struct {
	head      *head
	old, next *state
}

// commit submits the changes of links, whose heads the caller holds, as one
// batch with its events. A refusal takes the changes back; it is returned at
// once if all that it was decided from is durable. For the rest see change.
func (hs *heads) commit(links []link, events [][]byte, refusal error, done func([]link, store.Position, error)) error {
	settled := true
	for i := range links {
		l := &links[i]
		if refusal != nil {
			l.next = l.old
		}
		settled = settled && l.old == l.head.durable.Load()
	}
	if refusal != nil && settled {
		return refusal
	}
	// A step that changed nothing, or refused, still answers from a state that
	// may not be durable yet: its empty batch waits for those before it.
	var b store.Batch
	for _, l := range links {
		b.Expect = l.old.appendExpectations(b.Expect, l.head.id, l.head.durable.Load(), l.next)
		if l.next == l.old {
			continue
		}
		if err := l.old.commitTo(&b, l.head.id, l.next); err != nil {
			return err
		}
	}
	if refusal == nil {
		b.Events = events
	}
	for _, l := range links {
		l.head.newest = l.next
		l.head.pending.Add(1)
		l.head.users.Add(1)
	}
	hs.submit(b, hs.out.tell(b.Events, func(id device.ID) *twin.Twin { return lastTwin(links, id) }), func(pos store.Position, err error) {
		if err == nil {
			// done is called in the order of positions. Before readers see the
			// states: what they have seen, their next query sees.
			hs.acked.Store(uint64(pos))
		}
		for _, l := range links {
			l.decided(err)
		}
		if err == nil {
			err = refusal
		}
		done(links, pos, err)
	})
	return nil
}

// decided takes note of what became of the link.
func (l *link) decided(err error) {
	switch {
	case err != nil:
		l.head.stale.Store(true)
	case l.next != l.old:
		l.head.setDurable(l.next)
	}
	l.head.pending.Add(-1)
	l.head.release()
}

// submit submits a batch with what is to be told of it.
func (hs *heads) submit(b store.Batch, told []eventlog.Entry, done func(store.Position, error)) {
	if len(told) == 0 {
		hs.store.Submit(b, done)
		return
	}
	hs.events.Submit(b, told, done)
}

// lastTwin is the twin of id as the links leave it, or as it was.
func lastTwin(links []link, id device.ID) *twin.Twin {
	for _, l := range links {
		switch {
		case l.head.id != id:
		case l.next.twin != nil:
			return l.next.twin
		default:
			return l.old.twin
		}
	}
	return nil
}

// update is change for callers that wait.
func (hs *heads) update(ctx context.Context, id device.ID, f step) (*state, error) {
	hd := hs.acquire(id)
	defer hd.release()
	var next *state
	err := hs.decide(ctx, func(done func(error)) error {
		return hs.change(hd, f, func(s *state, _ store.Position, err error) {
			next = s
			done(err)
		})
	})
	if err != nil {
		return nil, err
	}
	return next, nil
}

// maxTries bounds how often a change is tried again because earlier ones failed.
const maxTries = 3

// decide starts a change and waits for its end. A conflict means that an earlier
// link failed: it starts again, from what is there now. If ctx ends first, the
// change may still be committed.
func (hs *heads) decide(ctx context.Context, start func(done func(error)) error) error {
	for try := 0; ; try++ {
		err := await(ctx, start)
		switch {
		case try == maxTries:
		case errors.Is(err, store.ErrConflict):
			continue
		case errors.Is(err, errStale):
			// Behind the links that are still to fail.
			if _, err := store.CommitBatch(ctx, hs.store, store.Batch{}); err != nil {
				return outcome(err)
			}
			continue
		}
		return outcome(err)
	}
}

func await(ctx context.Context, start func(done func(error)) error) error {
	decided := make(chan error, 1)
	if err := start(func(err error) { decided <- err }); err != nil {
		return err
	}
	select {
	case err := <-decided:
		return err
	case <-ctx.Done():
		return ctx.Err()
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
