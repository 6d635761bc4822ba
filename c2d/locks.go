package c2d

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// LockTime is how long a device has for a message before others may get it.
const LockTime = time.Minute

// Locks are the messages of one queue that a device has got and not settled yet.
// The zero Locks has none. It is for one goroutine at a time; there are never more
// locks than messages in a queue.
type Locks struct {
	held []lock
}

type lock struct {
	sequence uint64
	token    string
	deadline time.Time
}

// Next locks the oldest message of q that is not locked, nor expired, nor skipped,
// and gives it with a new token, a UUID, to settle it by. A connection skips what
// it has sent and still waits for, whether or not the lock's time is over: two of
// the SDKs are confused by a second copy (device-protocol sheet, 3.2). skip may be
// nil.
func (l *Locks) Next(q *Queue, now time.Time, skip func(sequence uint64) bool) (e Entry, token string, ok bool) {
	l.held = slices.DeleteFunc(l.held, func(k lock) bool {
		return !now.Before(k.deadline) || q.place(k.sequence) < 0
	})
	for _, e := range q.Entries() {
		if l.Held(e.Sequence, now) || !now.Before(e.Expiry) || skip != nil && skip(e.Sequence) {
			continue
		}
		k := lock{sequence: e.Sequence, token: NewToken(), deadline: now.Add(LockTime)}
		l.held = append(l.held, k)
		return e, k.token, true
	}
	return Entry{}, "", false
}

// Find gives the message that token locks. The fault is DeviceMessageLockLost.
func (l *Locks) Find(token string, now time.Time) (sequence uint64, err error) {
	for _, k := range l.held {
		if k.token == token && now.Before(k.deadline) {
			return k.sequence, nil
		}
	}
	return 0, fault.New(fault.DeviceMessageLockLost, "the lock token %.50q is unknown, or older than %s", token, LockTime)
}

// Held tells whether a message is locked.
func (l *Locks) Held(sequence uint64, now time.Time) bool {
	return slices.ContainsFunc(l.held, func(k lock) bool {
		return k.sequence == sequence && now.Before(k.deadline)
	})
}

// Release ends the lock of a message: it is settled, or its connection is gone.
func (l *Locks) Release(sequence uint64) {
	l.held = slices.DeleteFunc(l.held, func(k lock) bool { return k.sequence == sequence })
}

// NextDeadline is when the next lock's time is over; ok is false if there is none.
func (l *Locks) NextDeadline() (at time.Time, ok bool) {
	for i, k := range l.held {
		if i == 0 || k.deadline.Before(at) {
			at = k.deadline
		}
	}
	return at, len(l.held) > 0
}

// NewToken makes a random UUID (RFC 9562, version 4).
func NewToken() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
