// Package store is the contract between the hub and whatever keeps its data.
//
// A store is an ordered set of records. It does three things: it shows a
// consistent [View] of everything committed up to a position, it commits a
// [Batch] if what the batch expects still holds, and it lets a [Follower] read
// commits in order. Nothing more, so that an embedded engine, plain memory and
// a distributed database can all stand behind it. store/storetest is the
// contract as tests.
//
// # Ordering
//
// Batches are decided one after another, in the order in which Submit was
// called. Each committed batch gets the next [Position]. Its done function is
// called after the commit is durable and after Views show it; done functions
// are called in position order, from one goroutine. So whoever has seen a
// batch acknowledged sees it in every later View. Followers are given a commit
// after its done function has returned. A batch without writes and
// events is a barrier: it costs no I/O, takes no position of its own, and its
// done is called with the position of its predecessor once that is durable.
//
// # Revisions
//
// A record carries the revision its writer gave it. A batch that expects
// revision r of a key is refused with [ErrConflict] when the record is at
// another one (0: when the record exists). Writers that update a record give it
// old+1, so they can submit a chain of changes without waiting in between: if
// one link fails, the rest conflict. A record that is created gets
// [NewRevision], so that no two lives of one key share a revision.
package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Position numbers commits from 1. Position 0 is the empty store.
type Position uint64

// Revision tells two states of one record apart. Revision 0 means "no record".
type Revision uint64

// NewRevision is a revision for a record that is being created.
func NewRevision() Revision {
	var b [8]byte
	rand.Read(b[:])
	// Leave room to count up from it, and never be 0.
	return Revision(binary.BigEndian.Uint64(b[:])>>1 | 1)
}

var (
	// ErrConflict is given to a batch one of whose expectations did not hold.
	ErrConflict = errors.New("store: record has changed")
	// ErrClosed is given to a batch or follower that comes after Close, and by
	// a View that has been closed.
	ErrClosed = errors.New("store: closed")
	// ErrInvalid is given (wrapped, with the reason) to a batch that breaks a
	// limit or writes a record at revision 0.
	ErrInvalid = errors.New("store: batch is not valid")
)

// Limits of a batch. Larger ones are the caller's mistake; they're refused.
const (
	MaxKey    = 1 << 10  // bytes; the least is 1
	MaxRecord = 1 << 20  // bytes of one value or event
	MaxBatch  = 16 << 20 // bytes of a whole batch, as Size counts them
)

// Record is what stands under a key.
type Record struct {
	Value    []byte
	Revision Revision
}

// Expectation says at which revision a record must be for a batch to commit.
type Expectation struct {
	Key      []byte
	Revision Revision
}

// Write sets a record, or deletes it if Value is nil.
type Write struct {
	Key      []byte
	Value    []byte
	Revision Revision // ignored for deletes
}

// Range is all keys with Start <= key < End.
type Range struct{ Start, End []byte }

// Holds tells whether key is in r.
func (r Range) Holds(key []byte) bool {
	return bytes.Compare(key, r.Start) >= 0 && bytes.Compare(key, r.End) < 0
}

// Batch is a set of writes and the events that tell of them. It commits as a
// whole or not at all. The store keeps the slices it is given: they must not be
// changed after Submit.
type Batch struct {
	Expect []Expectation
	// Clear deletes all records of these ranges, however many there are, at
	// little more cost than one. It comes before Writes.
	Clear  []Range
	Writes []Write
	// Events are appended to the event log, in order. Their form is the
	// hub's business.
	Events [][]byte
}

// itemCost is what each expectation, write and event counts on top of its
// bytes, so that a batch of many empty things is not free.
const itemCost = 64

// Size is what b takes of the space that batches wait in, in bytes.
func (b *Batch) Size() int {
	n := itemCost * (len(b.Expect) + len(b.Clear) + len(b.Writes) + len(b.Events))
	for i := range b.Expect {
		n += len(b.Expect[i].Key)
	}
	for i := range b.Clear {
		n += len(b.Clear[i].Start) + len(b.Clear[i].End)
	}
	for i := range b.Writes {
		n += len(b.Writes[i].Key) + len(b.Writes[i].Value)
	}
	for _, e := range b.Events {
		n += len(e)
	}
	return n
}

// Barrier tells whether b changes nothing.
func (b *Batch) Barrier() bool { return len(b.Clear) == 0 && len(b.Writes) == 0 && len(b.Events) == 0 }

// Check tells whether b keeps the limits. Its error wraps ErrInvalid. Stores
// call it; writers need not.
func (b *Batch) Check() error {
	for i := range b.Expect {
		if err := checkKey(b.Expect[i].Key); err != nil {
			return err
		}
	}
	for i := range b.Clear {
		r := &b.Clear[i]
		if err := errors.Join(checkKey(r.Start), checkKey(r.End)); err != nil {
			return err
		}
		if bytes.Compare(r.Start, r.End) >= 0 {
			return fmt.Errorf("%w: the range from %.60q to %.60q has no keys", ErrInvalid, r.Start, r.End)
		}
	}
	for i := range b.Writes {
		w := &b.Writes[i]
		switch err := checkKey(w.Key); {
		case err != nil:
			return err
		case len(w.Value) > MaxRecord:
			return fmt.Errorf("%w: value of %d bytes under %.60q, at most %d may be", ErrInvalid, len(w.Value), w.Key, MaxRecord)
		case w.Value != nil && w.Revision == 0:
			return fmt.Errorf("%w: record %.60q would have revision 0, which means no record", ErrInvalid, w.Key)
		}
	}
	for _, e := range b.Events {
		if len(e) > MaxRecord {
			return fmt.Errorf("%w: event of %d bytes, at most %d may be", ErrInvalid, len(e), MaxRecord)
		}
	}
	if n := b.Size(); n > MaxBatch {
		return fmt.Errorf("%w: %d bytes together, at most %d may be", ErrInvalid, n, MaxBatch)
	}
	return nil
}

func checkKey(key []byte) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("%w: key of %d bytes, 1 to %d may be", ErrInvalid, len(key), MaxKey)
	}
	return nil
}

// Commit is a batch that has been committed.
type Commit struct {
	Position Position
	Clear    []Range
	Writes   []Write
	Events   [][]byte
}

// Event is an entry of the event log.
type Event struct {
	Position Position // of the commit it came with
	Index    int      // among the events of that commit
	Body     []byte
}

// View is a consistent picture of the store: every commit up to Position and
// none after. It must be closed, and closing it again does no harm. Many
// goroutines may read one View. What it returns must not be changed, and is
// valid until the View is closed.
type View interface {
	Position() Position
	// Get finds one record. ok is false if there is none.
	Get(key []byte) (r Record, ok bool, err error)
	// Scan walks the records with start <= key < end in key order (bytes). A
	// nil end means to the last record. Key and value are valid only until the
	// next step.
	Scan(start, end []byte) iter.Seq2[Entry, error]
	// Last finds the last record with start <= key < end. ok is false if there
	// is none. A nil end means to the last record.
	Last(start, end []byte) (e Entry, ok bool, err error)
	// Events walks the event log from the first event whose position is
	// greater than after. Events that were trimmed are not there any more.
	Events(after Position) iter.Seq2[Event, error]
	Close() error
}

// Entry is a step of a Scan.
type Entry struct {
	Key []byte
	Record
}

// Follower reads commits in order, each once. It holds every commit that it has
// not read yet, so it must keep up: a store makes writers wait while a
// follower is too far behind. A follower therefore never waits for a device
// or a network, and never for a commit of its own: that commit might be waiting
// for the follower.
type Follower interface {
	// Start is the position after which this follower reads.
	Start() Position
	// Next waits until there are commits that it has not returned yet, and
	// returns them all. It ends with the context's error, or with ErrClosed
	// once the follower is closed, or the store is and nothing is left to read.
	// Commits are shared with other followers and must not be changed.
	Next(ctx context.Context) ([]Commit, error)
	// Close forgets what was not read, and frees writers that wait for it.
	Close()
}

// Store keeps records. All methods may be called from many goroutines.
type Store interface {
	// View shows everything acknowledged so far.
	View() (View, error)
	// Submit queues b and returns. done is called once, from another
	// goroutine: with the commit's position once the commit is durable and
	// visible, or with ErrConflict, ErrClosed, or the failure of the medium.
	// After a failure of the medium every later batch fails as well: what was
	// not written must not be read. done must not block: it must not wait for
	// another commit, nor call Submit, which blocks while too many batches wait.
	// The order of calls that overlap in time is not defined.
	Submit(b Batch, done func(Position, error))
	// Follow starts a follower after the newest commit that followers were given:
	// followers hear of a commit after its done function, so one that was
	// acknowledged a moment ago may still come. A View taken afterwards has at
	// least everything up to Start.
	Follow() (Follower, error)
	// TrimEvents forgets the events up to and including position upTo, as far
	// as they are committed, and returns when later Views lack them. It need not
	// be durable at once. Like Submit it must not be called from done.
	TrimEvents(upTo Position) error
	// Close ends the store after everything submitted so far is decided. Views
	// must be closed before: Close may wait for them.
	Close() error
}

// CommitBatch submits b and waits for its fate. If ctx ends first, the batch may
// still commit.
func CommitBatch(ctx context.Context, s Store, b Batch) (Position, error) {
	type fate struct {
		pos Position
		err error
	}
	decided := make(chan fate, 1)
	s.Submit(b, func(pos Position, err error) { decided <- fate{pos, err} })
	select {
	case f := <-decided:
		return f.pos, f.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
