package hub

import (
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
)

// locks are those of the messages that devices have got and not settled, of all
// queues. They are memory only: after a restart a message simply waits again.
// There are none for an identity whose device has nothing in hand.
type locks struct {
	mu sync.Mutex
	of map[device.ID]*queueLocks
}

// queueLocks are the locks of one queue: of one life of an identity.
type queueLocks struct {
	generation string
	c2d.Locks
}

// use lets f look at the locks of a queue and change them. f must not block.
func (l *locks) use(id device.ID, generation string, f func(*c2d.Locks)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.of[id]
	if q == nil || q.generation != generation {
		q = &queueLocks{generation: generation}
	}
	f(&q.Locks)
	if _, some := q.NextDeadline(); !some {
		delete(l.of, id)
		return
	}
	if l.of == nil {
		l.of = map[device.ID]*queueLocks{}
	}
	l.of[id] = q
}

// held tells whether a message is in the hands of its device.
func (l *locks) held(id device.ID, generation string, sequence uint64, at time.Time) (held bool) {
	l.use(id, generation, func(k *c2d.Locks) { held = k.Held(sequence, at) })
	return held
}

// release ends the locks of messages.
func (l *locks) release(id device.ID, generation string, sequences ...uint64) {
	l.use(id, generation, func(k *c2d.Locks) {
		for _, n := range sequences {
			k.Release(n)
		}
	})
}

// drop forgets the locks of an identity that is gone.
func (l *locks) drop(id device.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, id)
}
