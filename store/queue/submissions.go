// Package queue holds what waits on either side of a store's committer:
// submitted batches in front of it ([Submissions]), and behind it the commits
// that followers have not read yet ([Commits]).
//
//	Submit ──► Submissions ──► committer ──► Commits ──► Follower
//	           bounded: Submit waits         bounded: the committer waits
//
// It knows nothing of how a store keeps records; each store has a committer of
// its own between the two.
package queue

import (
	"sync"

	"github.com/hubtwin/hubtwin/store"
)

// What may wait, in batches and in bytes as [store.Batch.Size] counts them. All
// of it becomes one group, so these are also the bounds of a group: large
// enough for the devices of a busy hub to share one fsync, small enough to be
// written within milliseconds.
const (
	maxBatches    = 4096
	maxBatchBytes = 8 << 20
)

// Submission is something a committer must decide: a batch, or a trim of the
// event log.
type Submission struct {
	Batch store.Batch
	// Trim, if not 0, makes this a TrimEvents up to that position.
	Trim store.Position
	// Invalid is why the batch must be refused, if it must: batches are checked
	// by those who submit them, but answered in their turn like any other.
	Invalid error
	Done    func(store.Position, error)
	// Size is that of Batch.
	Size int
}

// Submissions is the line before the committer. It is bounded: Submit waits
// while the line is full.
type Submissions struct {
	mu      sync.Mutex
	filled  sync.Cond // something waits, or closed
	emptied sync.Cond // the line was taken, or closed
	waiting []Submission
	bytes   int
	closed  bool
}

// NewSubmissions makes an empty line.
func NewSubmissions() *Submissions {
	q := &Submissions{}
	q.filled.L, q.emptied.L = &q.mu, &q.mu
	return q
}

// Submit is [store.Store.Submit].
func (q *Submissions) Submit(b store.Batch, done func(store.Position, error)) {
	q.put(Submission{Batch: b, Done: done, Invalid: b.Check(), Size: b.Size()})
}

// Trim is [store.Store.TrimEvents].
func (q *Submissions) Trim(upTo store.Position) error {
	if upTo == 0 {
		return nil
	}
	decided := make(chan error, 1)
	q.put(Submission{Trim: upTo, Done: func(_ store.Position, err error) { decided <- err }})
	return <-decided
}

func (q *Submissions) put(s Submission) {
	q.mu.Lock()
	for !q.closed && q.full(s.Size) {
		q.emptied.Wait()
	}
	if q.closed {
		q.mu.Unlock()
		// Whoever submits may hold a lock that done takes.
		go s.Done(0, store.ErrClosed)
		return
	}
	q.waiting = append(q.waiting, s)
	q.bytes += s.Size
	first := len(q.waiting) == 1
	q.mu.Unlock()
	if first {
		q.filled.Signal()
	}
}

// full tells whether n more bytes must wait. An empty line takes anything, or
// a batch above the bound would wait for ever.
func (q *Submissions) full(n int) bool {
	return len(q.waiting) > 0 && (len(q.waiting) >= maxBatches || q.bytes+n > maxBatchBytes)
}

// Take waits until something has been submitted and takes all of it, in order.
// ok is false when the line is closed and empty. The committer gives back the
// slice of its last group, to be filled again.
func (q *Submissions) Take(last []Submission) (group []Submission, ok bool) {
	clear(last) // done functions and batches must not outlive their commit
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.filled.Wait()
	}
	group, q.waiting, q.bytes = q.waiting, last[:0], 0
	q.emptied.Broadcast()
	return group, len(group) > 0
}

// Close lets nothing more in. What waits can still be taken.
func (q *Submissions) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.filled.Broadcast()
	q.emptied.Broadcast()
}
