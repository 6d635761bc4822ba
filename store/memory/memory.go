// Package memory is a store that forgets everything when it ends: the
// reference that other stores are compared with, and the hub's ephemeral mode.
//
// Records live in an ordered copy-on-write map. The committer changes a map of
// its own and publishes a copy of it after each group of batches; a copy shares
// all nodes, so it costs next to nothing, and a View is just a pointer to one.
//
// There is no bound on what it holds: that is the memory of the machine.
// Begin with [New], then run.
package memory

import (
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/queue"
)

// Store is a [store.Store] in memory.
type Store struct {
	in     *queue.Submissions
	out    *queue.Commits
	newest atomic.Pointer[picture] // nil once closed
	ended  chan struct{}           // closed when the committer has returned
}

var _ store.Store = (*Store)(nil)

// picture is the whole state after some commit. A published one never changes.
type picture struct {
	position store.Position
	records  *btree.Map[string, store.Record]
	// events has the events of a commit under its position.
	events *btree.Map[uint64, [][]byte]
}

func (p *picture) copy() *picture {
	return &picture{p.position, p.records.Copy(), p.events.Copy()}
}

// New makes an empty store and starts its committer, which runs until Close.
func New() *Store {
	s := &Store{
		in:    queue.NewSubmissions(),
		out:   queue.NewCommits(0),
		ended: make(chan struct{}),
	}
	empty := &picture{
		records: btree.NewMap[string, store.Record](0),
		events:  btree.NewMap[uint64, [][]byte](0),
	}
	s.newest.Store(empty.copy())
	go s.run(empty)
	return s
}

// Submit is part of [store.Store].
func (s *Store) Submit(b store.Batch, done func(store.Position, error)) { s.in.Submit(b, done) }

// TrimEvents is part of [store.Store].
func (s *Store) TrimEvents(upTo store.Position) error { return s.in.Trim(upTo) }

// Follow is part of [store.Store].
func (s *Store) Follow() (store.Follower, error) { return s.out.Follow() }

// View is part of [store.Store].
func (s *Store) View() (store.View, error) {
	p := s.newest.Load()
	if p == nil {
		return nil, store.ErrClosed
	}
	v := &view{position: p.position}
	v.picture.Store(p)
	return v, nil
}

// Close is part of [store.Store]. It never fails, and waits for no View.
func (s *Store) Close() error {
	s.in.Close()
	s.out.Release()
	<-s.ended
	s.out.Close()
	s.newest.Store(nil)
	return nil
}

// fate is what a submission came to.
type fate struct {
	position store.Position
	err      error
}

// run is the committer: it decides one batch after another on its own picture,
// shows the result of a whole group at once, and only then tells anyone.
func (s *Store) run(state *picture) {
	defer close(s.ended)
	var group []queue.Submission
	var fates []fate
	for {
		s.out.WaitForRoom()
		var ok bool
		if group, ok = s.in.Take(group); !ok {
			return
		}
		var commits []store.Commit
		size := 0
		fates = fates[:0]
		for i := range group {
			err := state.decide(&group[i])
			fates = append(fates, fate{state.position, err})
			if b := &group[i].Batch; err == nil && !b.Barrier() {
				commits = append(commits, store.Commit{Position: state.position, Clear: b.Clear, Writes: b.Writes, Events: b.Events})
				size += group[i].Size
			}
		}
		s.newest.Store(state.copy())
		for i, f := range fates {
			if f.err != nil {
				f.position = 0
			}
			group[i].Done(f.position, f.err)
		}
		s.out.Append(commits, size)
	}
}

// decide carries out one submission, or leaves the picture as it is.
func (p *picture) decide(s *queue.Submission) error {
	if s.Invalid != nil {
		return s.Invalid
	}
	if s.Trim != 0 {
		p.trim(s.Trim)
		return nil
	}
	for _, e := range s.Batch.Expect {
		// A record that is not there reads as revision 0.
		if r, _ := p.records.Get(string(e.Key)); r.Revision != e.Revision {
			return store.ErrConflict
		}
	}
	if s.Batch.Barrier() {
		return nil
	}
	p.position++
	for _, r := range s.Batch.Clear {
		p.clear(r)
	}
	for _, w := range s.Batch.Writes {
		if w.Value == nil {
			p.records.Delete(string(w.Key))
		} else {
			p.records.Set(string(w.Key), store.Record{Value: w.Value, Revision: w.Revision})
		}
	}
	if len(s.Batch.Events) > 0 {
		p.events.Set(uint64(p.position), s.Batch.Events)
	}
	return nil
}

func (p *picture) clear(r store.Range) {
	var keys []string
	p.records.Ascend(string(r.Start), func(key string, _ store.Record) bool {
		if key >= string(r.End) {
			return false
		}
		keys = append(keys, key)
		return true
	})
	for _, key := range keys {
		p.records.Delete(key)
	}
}

func (p *picture) trim(upTo store.Position) {
	for {
		oldest, _, ok := p.events.Min()
		if !ok || oldest > uint64(upTo) {
			return
		}
		p.events.Delete(oldest)
	}
}
