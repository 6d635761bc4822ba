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
// many are forgotten, whether they were read or not; see trim.go. Begin with
// [Log.Submit] and [Reader.Next].
//
// # Locks
//
// A partition's lock is held while a batch that changes it is submitted, so the
// order of sequence numbers is that of commits. Who holds one may lock
// partitions that come later in the order of (stream, number), and no other. The
// hub holds the lock of an identity around it. Making and removing streams, and
// changing groups, have locks of their own, which come before those of
// partitions. Done functions of the store take no lock of a partition.
package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/store"
)

// Events is the built-in stream.
const Events = "events"

// Config says what a log keeps.
type Config struct {
	// Partitions of the built-in stream, 1 to MaxPartitions; 0 means 4. The
	// number with which a log was first opened stays.
	Partitions int
	// Retention of the built-in stream.
	Retention Retention
}

// Retention bounds what a stream keeps. It goes in steps: up to a sixteenth more
// is kept (trim.go).
type Retention struct {
	Age   time.Duration // MinAge to MaxAge; 0 means 24 hours
	Bytes int64         // of each partition, not negative; 0 means 1 GiB
}

// Limits of a log.
const (
	MaxPartitions = 32
	MinAge        = time.Minute
	MaxAge        = 7 * 24 * time.Hour
)

const (
	usualPartitions = 4
	usualAge        = 24 * time.Hour
	usualBytes      = 1 << 30
)

func (r Retention) check() error {
	switch {
	case r.Age < MinAge || r.Age > MaxAge:
		return fmt.Errorf("retention of %s; use 24h, or any time from %s to %s", r.Age, MinAge, MaxAge)
	case r.Bytes < 0:
		return fmt.Errorf("retention of %d bytes; use 0, which means %d, or more", r.Bytes, usualBytes)
	}
	return nil
}

// Log is an event log in a store. Its methods may be called from many
// goroutines.
type Log struct {
	store      store.Store
	partitions int
	// crowded has a token when a partition has grown by so much that it may be
	// too large.
	crowded chan struct{}

	making  sync.Mutex // held while a stream is made or removed
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
	l := &Log{store: st, crowded: make(chan struct{}, 1), streams: map[string]*stream{}}
	var err error
	if l.partitions, err = openPartitions(st, c.Partitions); err != nil {
		return nil, fmt.Errorf("open event log: %w", err)
	}
	if err := l.Make(Events, c.Retention); err != nil {
		return nil, fmt.Errorf("open event log: %w", err)
	}
	return l, nil
}

// openPartitions finds how many partitions the built-in stream has; if nobody
// has decided that yet, it's wanted.
func openPartitions(st store.Store, wanted int) (int, error) {
	v, err := st.View()
	if err != nil {
		return 0, err
	}
	defer v.Close()
	r, ok, err := v.Get(keyPartitions)
	if err != nil {
		return 0, err
	}
	if ok {
		return decodePartitions(r.Value)
	}
	return wanted, commit(st, store.Batch{Writes: []store.Write{{
		Key: keyPartitions, Value: binary.BigEndian.AppendUint16(nil, uint16(wanted)), Revision: firstRevision,
	}}})
}

// commit submits b and waits for its fate, which comes soon: the store decides,
// or it has failed.
func commit(st store.Store, b store.Batch) error {
	decided := make(chan error, 1)
	st.Submit(b, func(_ store.Position, err error) { decided <- err })
	return <-decided
}

// Partitions is how many partitions the built-in stream has.
func (l *Log) Partitions() int { return l.partitions }

var streamName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ErrNoStream is wrapped by the error for the name of a stream that is not there,
// or has been removed.
var ErrNoStream = errors.New("no such stream")

func noStream(name string) error { return fmt.Errorf("%w: %.64q", ErrNoStream, name) }

// Make makes a stream, opens one that earlier runs have left in the store, or
// gives an open one another retention.
func (l *Log) Make(name string, keep Retention) error {
	if !streamName.MatchString(name) {
		return fmt.Errorf("stream %.80q: a name has 1 to 64 of A-Z a-z 0-9 . _ -", name)
	}
	if keep.Age == 0 {
		keep.Age = usualAge
	}
	if keep.Bytes == 0 {
		keep.Bytes = usualBytes
	}
	if err := keep.check(); err != nil {
		return fmt.Errorf("stream %q: %w", name, err)
	}
	l.making.Lock()
	defer l.making.Unlock()
	if s, err := l.stream(name); err == nil {
		s.keep.Store(&keep)
		return nil
	}
	s, err := l.openStream(name)
	if err != nil {
		return fmt.Errorf("open stream %q: %w", name, err)
	}
	s.keep.Store(&keep)
	l.mu.Lock()
	l.streams[name] = s
	l.mu.Unlock()
	return nil
}

// Remove forgets a stream with all its entries and positions, also one that is
// only in the store, and returns when that is durable. Its readers end with
// ErrNoStream. A stream that is made under the same name later is a new one. The
// built-in stream stays.
func (l *Log) Remove(name string) error {
	if name == Events || !streamName.MatchString(name) {
		return fmt.Errorf("remove stream %.80q: not a stream that can be removed", name)
	}
	l.making.Lock()
	defer l.making.Unlock()
	l.mu.Lock()
	s := l.streams[name]
	delete(l.streams, name)
	l.mu.Unlock()
	b := store.Batch{Clear: []store.Range{
		prefixRange(keyOf(tableEntries, name, 0)),
		prefixRange(keyOf(tableGroups, name, 0)),
		prefixRange(keyOf(tableLog, name, 0)),
	}}
	if s == nil {
		return commit(l.store, b)
	}
	return s.remove(l.store, b)
}

// RemoveOthers removes the streams that are only in the store: those that earlier
// runs have made, and nobody in this one.
func (l *Log) RemoveOthers() error {
	names, err := l.stored()
	if err != nil {
		return fmt.Errorf("look for streams: %w", err)
	}
	for _, n := range names {
		if _, err := l.stream(n); err == nil {
			continue
		}
		if err := l.Remove(n); err != nil {
			return fmt.Errorf("remove stream %q: %w", n, err)
		}
	}
	return nil
}

// stored is the names of the streams of which something is in the store.
func (l *Log) stored() (names []string, err error) {
	v, err := l.store.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	for _, table := range []byte{tableEntries, tableGroups, tableLog} {
		for from := []byte{table, 1}; ; { // after keyPartitions
			name, ok, err := streamFrom(v, from, table)
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			names = append(names, name)
			from = prefixRange(keyOf(table, name, 0)).End
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// streamFrom is the stream of the first key of a table from a key on.
func streamFrom(v store.View, from []byte, table byte) (name string, ok bool, err error) {
	for e, err := range v.Scan(from, []byte{table + 1}) {
		if err != nil {
			return "", false, err
		}
		name, _, ok := bytes.Cut(e.Key[1:], []byte{0})
		if !ok {
			return "", false, errDamaged
		}
		return string(name), true, nil
	}
	return "", false, nil
}

func (l *Log) stream(name string) (*stream, error) {
	l.mu.RLock()
	s := l.streams[name]
	l.mu.RUnlock()
	if s == nil {
		return nil, noStream(name)
	}
	return s, nil
}

// stream is its partitions, and who waits for them.
type stream struct {
	name  string
	parts []*partition
	keep  atomic.Pointer[Retention]

	// groups is held while a group is changed, until that is decided.
	groups sync.Mutex
	// removed changes while groups and all partitions are locked.
	removed atomic.Bool

	// waiting is closed when there is more to read; nil if nobody waits.
	waiting atomic.Pointer[chan struct{}]
}

func (l *Log) openStream(name string) (*stream, error) {
	v, err := l.store.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	s := &stream{name: name, parts: make([]*partition, 1)}
	if name == Events {
		s.parts = make([]*partition, l.partitions)
	}
	for i := range s.parts {
		s.parts[i] = &partition{stream: s, number: i, crowded: l.crowded}
		if err := s.parts[i].open(v); err != nil {
			return nil, fmt.Errorf("partition %d: %w", i, err)
		}
	}
	return s, nil
}

// remove commits the batch that deletes the stream, as the last one of all that
// concern it.
func (s *stream) remove(st store.Store, b store.Batch) error {
	s.groups.Lock()
	defer s.groups.Unlock()
	for _, p := range s.parts {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	s.removed.Store(true)
	s.wake()
	return commit(st, b)
}

// more gives what is closed when something becomes readable that was not when
// more was called.
func (s *stream) more() <-chan struct{} {
	for {
		if w := s.waiting.Load(); w != nil {
			return *w
		}
		made := make(chan struct{})
		if s.waiting.CompareAndSwap(nil, &made) {
			return made
		}
	}
}

// wake tells those who wait that there is more. It costs nothing while nobody
// does: many done functions come in a row, and the first one wakes all.
func (s *stream) wake() {
	if s.waiting.Load() == nil {
		return
	}
	if w := s.waiting.Swap(nil); w != nil {
		close(*w)
	}
}

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
