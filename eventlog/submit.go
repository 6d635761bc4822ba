package eventlog

import (
	"cmp"
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/store"
)

// Entry is something to be appended to a stream.
type Entry struct {
	Stream string
	Key    string // chooses the partition: the id of the device
	Time   time.Time
	Body   []byte // up to MaxBody bytes; Submit takes a copy
}

// MaxBody is the most bytes of an entry's body.
const MaxBody = store.MaxRecord - headerSize

// Submit submits b to the store, and with it the entries, each at the end of its
// partition. What done is told is what the store says of the whole batch. An
// entry for a stream that is not there is left out.
//
// Times do not go back in a partition: an entry gets that of its predecessor, if
// that is later. If the store refuses the batch, its sequence numbers and offsets
// are not used again in this run: readers find the next ones after a gap.
func (l *Log) Submit(b store.Batch, entries []Entry, done func(store.Position, error)) {
	switch len(entries) {
	case 0:
		l.store.Submit(b, done)
	case 1:
		l.submitOne(b, &entries[0], done)
	default:
		l.submitMany(b, entries, done)
	}
}

// submitOne is submitMany for the usual case, without its lists.
func (l *Log) submitOne(b store.Batch, e *Entry, done func(store.Position, error)) {
	s, err := l.stream(e.Stream)
	if err != nil {
		l.store.Submit(b, done)
		return
	}
	p := s.partOf(e.Key)
	facts := slices.Clip(b.Writes) // the caller may submit what it has once more
	b.Writes = append(facts, p.write(e.Body))
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.removed.Load() {
		b.Writes = facts
		l.store.Submit(b, done)
		return
	}
	p.place(&b.Writes[len(facts)], e.Time)
	next := p.next
	l.store.Submit(b, func(at store.Position, err error) {
		if err == nil {
			p.advance(next)
		}
		done(at, err)
	})
}

func (l *Log) submitMany(b store.Batch, entries []Entry, done func(store.Position, error)) {
	parts := l.partsOf(entries)
	writes := make([]store.Write, len(entries))
	for i, p := range parts {
		if p != nil {
			writes[i] = p.write(entries[i].Body)
		}
	}
	locked := distinct(parts)
	for _, p := range locked {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	b.Writes = slices.Grow(slices.Clip(b.Writes), len(entries))
	for i, p := range parts {
		if p != nil && !p.stream.removed.Load() {
			p.place(&writes[i], entries[i].Time)
			b.Writes = append(b.Writes, writes[i])
		}
	}
	next := make([]uint64, len(locked))
	for i, p := range locked {
		next[i] = p.next
	}
	l.store.Submit(b, func(at store.Position, err error) {
		if err == nil {
			for i, p := range locked {
				p.advance(next[i])
			}
		}
		done(at, err)
	})
}

// partsOf is where entries go; nil for those whose stream is not there. It takes
// all of them from one state of the log, in which each name has one stream.
func (l *Log) partsOf(entries []Entry) []*partition {
	l.mu.RLock()
	defer l.mu.RUnlock()
	parts := make([]*partition, len(entries))
	for i := range entries {
		if s := l.streams[entries[i].Stream]; s != nil {
			parts[i] = s.partOf(entries[i].Key)
		}
	}
	return parts
}

// distinct is the partitions of a list, each once, in the order in which they
// must be locked.
func distinct(parts []*partition) []*partition {
	list := slices.DeleteFunc(slices.Clone(parts), func(p *partition) bool { return p == nil })
	slices.SortFunc(list, func(a, b *partition) int {
		return cmp.Or(cmp.Compare(a.stream.name, b.stream.name), cmp.Compare(a.number, b.number))
	})
	return slices.Compact(list)
}
