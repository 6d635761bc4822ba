package pebble

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/hubtwin/hubtwin/store"
)

// pictures holds the newest picture and counts who uses which.
type pictures struct {
	mu     sync.Mutex
	unused sync.Cond // the number of Views in use has become 0
	newest *picture  // nil once closed
	inUse  int       // Views that are not closed
}

// picture is an engine snapshot, taken right after a group of commits became
// durable, and shared by all Views of that time.
type picture struct {
	position store.Position
	snapshot *engine.Snapshot
	users    int // guarded by pictures.mu; being the newest counts as one
}

// show makes a picture the newest one.
func (ps *pictures) show(at store.Position, snapshot *engine.Snapshot) error {
	ps.mu.Lock()
	old := ps.newest
	ps.newest = &picture{position: at, snapshot: snapshot, users: 1}
	ps.mu.Unlock()
	if old == nil {
		return nil
	}
	return ps.release(old)
}

func (ps *pictures) view() (store.View, error) {
	ps.mu.Lock()
	p := ps.newest
	if p == nil {
		ps.mu.Unlock()
		return nil, store.ErrClosed
	}
	p.users++
	ps.inUse++
	ps.mu.Unlock()
	v := &view{pictures: ps, position: p.position}
	v.picture.Store(p)
	return v, nil
}

func (ps *pictures) release(p *picture) error {
	ps.mu.Lock()
	p.users--
	last := p.users == 0
	ps.mu.Unlock()
	if !last {
		return nil
	}
	return p.snapshot.Close()
}

// viewClosed must come after the View's release: the engine closes when no View
// is in use.
func (ps *pictures) viewClosed() {
	ps.mu.Lock()
	ps.inUse--
	if ps.inUse == 0 {
		ps.unused.Broadcast()
	}
	ps.mu.Unlock()
}

// close lets no new View begin and waits for those that have.
func (ps *pictures) close() error {
	ps.mu.Lock()
	last := ps.newest
	ps.newest = nil
	for ps.inUse > 0 {
		ps.unused.Wait()
	}
	ps.mu.Unlock()
	if last == nil {
		return nil
	}
	return ps.release(last)
}

// view is a [store.View].
type view struct {
	pictures *pictures
	position store.Position
	picture  atomic.Pointer[picture] // nil once closed
}

func (v *view) Position() store.Position { return v.position }

func (v *view) Close() error {
	p := v.picture.Swap(nil)
	if p == nil {
		return nil
	}
	defer v.pictures.viewClosed()
	return v.pictures.release(p)
}

func (v *view) Get(key []byte) (store.Record, bool, error) {
	p := v.picture.Load()
	if p == nil {
		return store.Record{}, false, store.ErrClosed
	}
	return get(p.snapshot, key)
}

// get reads a record. Its value is a copy: keeping the engine's own bytes would
// pin a block of the cache until the View is closed.
func get(from engine.Reader, key []byte) (store.Record, bool, error) {
	stored, closer, err := from.Get(recordKey(key))
	if errors.Is(err, engine.ErrNotFound) {
		return store.Record{}, false, nil
	}
	if err != nil {
		return store.Record{}, false, err
	}
	defer closer.Close()
	r, err := parseRecord(stored)
	r.Value = slices.Clone(r.Value)
	return r, err == nil, err
}

func (v *view) Scan(start, end []byte) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		upper := []byte{endOfTables}
		if end != nil {
			if bytes.Compare(start, end) >= 0 {
				return
			}
			upper = recordKey(end)
		}
		steps := v.walk(recordKey(start), upper)
		for stored, err := range steps {
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			r, err := parseRecord(stored.value)
			if !yield(store.Entry{Key: stored.key[1:], Record: r}, err) || err != nil {
				return
			}
		}
	}
}

func (v *view) Last(start, end []byte) (e store.Entry, ok bool, err error) {
	p := v.picture.Load()
	if p == nil {
		return e, false, store.ErrClosed
	}
	upper := []byte{endOfTables}
	if end != nil {
		upper = recordKey(end)
	}
	if bytes.Compare(recordKey(start), upper) >= 0 {
		return e, false, nil
	}
	it, err := p.snapshot.NewIter(&engine.IterOptions{LowerBound: recordKey(start), UpperBound: upper})
	if err != nil {
		return e, false, err
	}
	defer it.Close()
	if !it.Last() {
		return e, false, it.Error()
	}
	stored, err := it.ValueAndErr()
	if err != nil {
		return e, false, err
	}
	r, err := parseRecord(slices.Clone(stored))
	return store.Entry{Key: slices.Clone(it.Key()[1:]), Record: r}, err == nil, err
}

func (v *view) Events(after store.Position) iter.Seq2[store.Event, error] {
	return func(yield func(store.Event, error) bool) {
		if after+1 == 0 {
			return // nothing comes after the last position there can be
		}
		for stored, err := range v.walk(eventsFrom(after+1), []byte{recordTable}) {
			if err != nil {
				yield(store.Event{}, err)
				return
			}
			at, index, err := parseEventKey(stored.key)
			e := store.Event{Position: at, Index: index, Body: slices.Clone(stored.value)}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// pair is what the engine holds; it is valid until the next step.
type pair struct{ key, value []byte }

// walk steps through the engine's keys with lower <= key < upper.
func (v *view) walk(lower, upper []byte) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		p := v.picture.Load()
		if p == nil {
			yield(pair{}, store.ErrClosed)
			return
		}
		it, err := p.snapshot.NewIter(&engine.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			yield(pair{}, err)
			return
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			value, err := it.ValueAndErr()
			if !yield(pair{it.Key(), value}, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(pair{}, err)
		}
	}
}
