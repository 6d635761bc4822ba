package eventlog

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/store"
)

// partition numbers its entries.
type partition struct {
	stream  *stream
	number  int
	crowded chan<- struct{} // see Log

	mu     sync.Mutex // held while a batch is submitted
	next   uint64     // sequence number of the next entry
	offset uint64     // bytes of all entries before it
	last   int64      // enqueued time of the last entry, Unix nanoseconds
	grown  int64      // by how many bytes since crowded was told

	durable atomic.Uint64 // entries before this one may be read
	first   atomic.Uint64 // the oldest entry that is kept
}

// open finds where the partition goes on: after its last entry, or, if all have
// been forgotten, where the record about that says.
func (p *partition) open(v store.View) error {
	r, ok, err := v.Get(p.stateKey())
	if err != nil {
		return err
	}
	if ok {
		state, err := decodeState(r.Value)
		if err != nil {
			return err
		}
		p.next, p.offset, p.last = state.next, state.offset, state.time
	}
	first, ok, err := p.at(v, 0)
	if err != nil {
		return err
	}
	p.first.Store(p.next)
	if ok {
		p.first.Store(first.Sequence)
		all := p.all()
		e, _, err := v.Last(all.Start, all.End)
		if err != nil {
			return err
		}
		last, err := decodeEntry(e.Key, e.Value)
		if err != nil {
			return err
		}
		p.next, p.offset, p.last = last.Sequence+1, last.end(), last.Time.UnixNano()
	}
	p.durable.Store(p.next)
	return nil
}

// partOf is the partition of a key. The choice must never change, or what a
// device sends gets out of order: docs/formats/store.md has it.
func (s *stream) partOf(key string) *partition {
	if len(s.parts) == 1 {
		return s.parts[0]
	}
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	// The low bits of an FNV hash come from the low bits of each byte only, and
	// ids often differ in little; so all bits are mixed into them.
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h ^= h >> 33
	return s.parts[h%uint64(len(s.parts))]
}

// place numbers an entry, of which w is the write and at the time, as the last one
// of the partition. The caller holds p.mu.
func (p *partition) place(w *store.Write, at time.Time) {
	p.last = max(p.last, at.UnixNano())
	number(w, partitionState{p.next, p.offset, p.last})
	p.next++
	p.offset += uint64(len(w.Value))
	if p.grown += int64(len(w.Value)); p.grown >= max(p.stream.keep.Load().Bytes/slack, leastGrowth) {
		p.grown = 0
		select {
		case p.crowded <- struct{}{}:
		default:
		}
	}
}

// advance lets entries before next be read. Commits are told in their order.
func (p *partition) advance(next uint64) {
	p.durable.Store(next)
	p.stream.wake()
}

// at finds the first entry from a sequence number on.
func (p *partition) at(v store.View, from uint64) (r Record, ok bool, err error) {
	for e, err := range v.Scan(p.key(from, 0), p.all().End) {
		if err != nil {
			return r, false, err
		}
		r, err = decodeEntry(e.Key, e.Value)
		r.Body = nil // it is the View's
		return r, err == nil, err
	}
	return r, false, nil
}

// since is the first entry that is late, which is true for all that follow it.
// Records that late is asked about have no body.
func (p *partition) since(v store.View, late func(Record) bool) (uint64, error) {
	from, to := p.first.Load(), p.durable.Load()
	for from < to {
		middle := from + (to-from)/2
		r, ok, err := p.at(v, middle)
		switch {
		case err != nil:
			return 0, err
		case !ok || r.Sequence >= to || late(r):
			to = middle
		default:
			from = r.Sequence + 1
		}
	}
	return from, nil
}
