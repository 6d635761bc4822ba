// Package eventlog keeps what devices have sent, and what has happened to them,
// for others to read: in streams, in order, for a time.
//
// A stream has partitions. All that one device sends goes to one of them, so it
// stays in order; there is no order between partitions. The built-in stream is
// [Events], with as many partitions as the log was made with. Other streams have
// one, and are queues for somebody who delivers them.
//
//	hub ──► Submit ──► partition ──► store          one commit with the fact
//	Reader ◄── View of the store ◄── woken when the commit is durable
//
// Entries are records of the store, under keys that keys.go makes. What they say
// is not this package's business. A reader has a [Position] of its own, and may
// have the log keep it under the name of a group. Entries that are too old or too
// many are forgotten, whether they were read or not; see trim.go.
//
// Locks: a partition's is held while its batch is submitted, and only partitions
// later in the order of (stream, number) may be locked meanwhile. The hub holds
// the lock of an identity around it.
package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/store"
)

// Events is the built-in stream.
const Events = "events"

// Config says what a log keeps.
type Config struct {
	// Partitions of the built-in stream, 1 to 32; 0 means 4. The number with
	// which a log was first opened stays.
	Partitions int
	// Retention of the built-in stream.
	Retention Retention
}

// Retention bounds what a stream keeps.
type Retention struct {
	Age   time.Duration // 0 means 24 hours
	Bytes int64         // of each partition; 0 means 1 GiB
}

// Limits of a log.
const (
	MaxPartitions = 32
	MaxAge        = 7 * 24 * time.Hour
)

const (
	usualPartitions = 4
	usualAge        = 24 * time.Hour
	usualBytes      = 1 << 30
)

// Log is an event log in a store. Its methods may be called from many
// goroutines.
type Log struct {
	store      store.Store
	partitions int
	config     Config

	mu      sync.RWMutex
	streams map[string]*stream
}

// Open opens the log in st, or makes it. Close nothing: a log holds nothing but
// what its store does.
func Open(st store.Store, c Config) (*Log, error) {
	if c.Partitions == 0 {
		c.Partitions = usualPartitions
	}
	if c.Partitions < 1 || c.Partitions > MaxPartitions {
		return nil, fmt.Errorf("open event log: %d partitions, 1 to %d may be", c.Partitions, MaxPartitions)
	}
	l := &Log{store: st, config: c, streams: map[string]*stream{}}
	if err := l.openSettings(); err != nil {
		return nil, fmt.Errorf("open event log: %w", err)
	}
	return l, l.Make(Events, c.Retention)
}

func (l *Log) openSettings() error {
	v, err := l.store.View()
	if err != nil {
		return err
	}
	defer v.Close()
	r, ok, err := v.Get(keyPartitions)
	switch {
	case err != nil:
		return err
	case ok && len(r.Value) == 2:
		l.partitions = int(binary.BigEndian.Uint16(r.Value))
		return nil
	}
	l.partitions = l.config.Partitions
	made := make(chan error, 1)
	l.store.Submit(store.Batch{Writes: []store.Write{{
		Key: keyPartitions, Value: binary.BigEndian.AppendUint16(nil, uint16(l.partitions)), Revision: firstRevision,
	}}}, func(_ store.Position, err error) { made <- err })
	return <-made
}

// Partitions is how many partitions the built-in stream has.
func (l *Log) Partitions() int { return l.partitions }

var streamName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Make makes a stream, or opens the one of that name with another retention.
func (l *Log) Make(name string, keep Retention) error {
	if !streamName.MatchString(name) {
		return fmt.Errorf("stream %q: a name has 1 to 64 of A-Z a-z 0-9 . _ -", name)
	}
	if keep.Age == 0 {
		keep.Age = usualAge
	}
	if keep.Bytes == 0 {
		keep.Bytes = usualBytes
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.streams[name]; s != nil {
		s.keep.Store(&keep)
		return nil
	}
	s := &stream{name: name, changed: make(chan struct{})}
	s.keep.Store(&keep)
	s.parts = make([]*partition, 1)
	if name == Events {
		s.parts = make([]*partition, l.partitions)
	}
	v, err := l.store.View()
	if err != nil {
		return err
	}
	defer v.Close()
	for i := range s.parts {
		if s.parts[i], err = openPartition(v, s, i); err != nil {
			return fmt.Errorf("open stream %q: %w", name, err)
		}
	}
	l.streams[name] = s
	return nil
}

// Remove forgets a stream with all its entries and positions.
func (l *Log) Remove(name string, done func(error)) {
	l.mu.Lock()
	s := l.streams[name]
	delete(l.streams, name)
	l.mu.Unlock()
	if s == nil {
		done(nil)
		return
	}
	entries, groups := prefixRange(keyStream(name)), prefixRange(keyGroup(name, ""))
	l.store.Submit(store.Batch{Clear: []store.Range{entries, groups}}, func(_ store.Position, err error) { done(err) })
}

// ErrNoStream is given for the name of a stream that is not there.
var ErrNoStream = errors.New("no such stream")

func (l *Log) stream(name string) (*stream, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if s := l.streams[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNoStream, name)
}

// stream is its partitions, and who waits for them.
type stream struct {
	name  string
	parts []*partition
	keep  atomic.Pointer[Retention]

	waiting atomic.Int64
	mu      sync.Mutex
	changed chan struct{} // closed when there is more to read
}

// wake tells those who wait that there is more.
func (s *stream) wake() {
	if s.waiting.Load() == 0 {
		return
	}
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
}

// part is the partition of a device.
func (s *stream) part(key string) *partition {
	if len(s.parts) == 1 {
		return s.parts[0]
	}
	h := fnv.New32a()
	h.Write([]byte(key))
	return s.parts[h.Sum32()%uint32(len(s.parts))]
}

// partition numbers its entries.
type partition struct {
	stream *stream
	number int

	mu     sync.Mutex // held while a batch is submitted
	next   uint64     // sequence number of the next entry
	offset uint64     // bytes of all entries before it
	last   int64      // enqueued time of the last entry, Unix nanoseconds

	durable atomic.Uint64 // entries before this one may be read
	first   atomic.Uint64 // the oldest entry that is kept
}

func openPartition(v store.View, s *stream, number int) (*partition, error) {
	p := &partition{stream: s, number: number}
	all := prefixRange(keyPartition(s.name, number))
	last, ok, err := v.Last(all.Start, all.End)
	if err != nil {
		return nil, err
	}
	var state partitionState
	r, stored, err := v.Get(keyState(s.name, number))
	if err != nil {
		return nil, err
	}
	if stored {
		if state, err = decodeState(r.Value); err != nil {
			return nil, err
		}
	}
	p.next, p.offset, p.last = state.next, state.offset, state.time
	p.first.Store(state.next)
	if ok {
		e, err := decodeEntry(last.Key, last.Value)
		if err != nil {
			return nil, err
		}
		p.next, p.offset, p.last = e.Sequence+1, e.end(), e.Time.UnixNano()
		for first, err := range v.Scan(all.Start, all.End) {
			if err != nil {
				return nil, err
			}
			e, err := decodeEntry(first.Key, first.Value)
			if err != nil {
				return nil, err
			}
			p.first.Store(e.Sequence)
			break
		}
	}
	p.durable.Store(p.next)
	return p, nil
}

// Entry is something to be appended to a stream.
type Entry struct {
	Stream string
	Key    string // chooses the partition: the id of the device
	Time   time.Time
	Body   []byte
}

// MaxBody is the most bytes of an entry's body.
const MaxBody = store.MaxRecord - headerSize

// Submit submits b to the store, and with it the entries, each at the end of its
// partition. What done is told is what the store says of the whole batch. An
// entry for a stream that is not there is left out.
//
// Times do not go back in a partition: an entry gets that of its predecessor, if
// that is later. If the store refuses the batch its sequence numbers are not
// used again.
func (l *Log) Submit(b store.Batch, entries []Entry, done func(store.Position, error)) {
	switch len(entries) {
	case 0:
		l.store.Submit(b, done)
		return
	case 1:
		s, err := l.stream(entries[0].Stream)
		if err != nil {
			l.store.Submit(b, done)
			return
		}
		p := s.part(entries[0].Key)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.append(&b, &entries[0])
		next := p.next
		l.store.Submit(b, func(at store.Position, err error) {
			if err == nil {
				p.advance(next)
			}
			done(at, err)
		})
		return
	}
	l.submitMany(b, entries, done)
}

func (l *Log) submitMany(b store.Batch, entries []Entry, done func(store.Position, error)) {
	parts := make([]*partition, len(entries))
	var locked []*partition
	for i := range entries {
		if s, err := l.stream(entries[i].Stream); err == nil {
			parts[i] = s.part(entries[i].Key)
			if !slices.Contains(locked, parts[i]) {
				locked = append(locked, parts[i])
			}
		}
	}
	slices.SortFunc(locked, func(a, b *partition) int {
		if c := strings.Compare(a.stream.name, b.stream.name); c != 0 {
			return c
		}
		return a.number - b.number
	})
	for _, p := range locked {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	for i := range entries {
		if parts[i] != nil {
			parts[i].append(&b, &entries[i])
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

// append adds the write of an entry. The caller holds p.mu.
func (p *partition) append(b *store.Batch, e *Entry) {
	p.last = max(p.last, e.Time.UnixNano())
	b.Writes = append(b.Writes, store.Write{
		Key:      keyEntry(p.stream.name, p.number, p.next),
		Value:    encodeEntry(p.offset, p.last, e.Body),
		Revision: firstRevision,
	})
	p.next++
	p.offset += uint64(headerSize + len(e.Body))
}

// advance lets entries before next be read. Commits are told in their order.
func (p *partition) advance(next uint64) {
	p.durable.Store(next)
	p.stream.wake()
}

// firstRevision is that of records which nobody expects anything of.
const firstRevision store.Revision = 1

// Info is what a partition holds.
type Info struct {
	Partition int
	First     uint64 // sequence number of the oldest entry that is kept
	Next      uint64 // that of the next entry
}

// Info lists the partitions of a stream.
func (l *Log) Info(name string) ([]Info, error) {
	s, err := l.stream(name)
	if err != nil {
		return nil, err
	}
	list := make([]Info, len(s.parts))
	for i, p := range s.parts {
		list[i] = Info{i, p.first.Load(), p.durable.Load()}
	}
	return list, nil
}
