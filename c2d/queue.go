// Package c2d is the queue of messages that wait for a device, and what becomes
// of each of them.
//
//	Enqueue
//	   │          Lock
//	   ▼     ┌────────────► locked, a minute at most ──┬─ Complete ► Success
//	Enqueued ┤                                         ├─ Reject   ► Rejected
//	   │     ├◄── the lock's time is over, or Release ─┤
//	   │     └◄── Abandon: the delivery count rises ───┴─ too often ► DeliveryCountExceeded
//	   ├─ Expire ► Expired
//	   └─ Purge  ► Purged (locked or not)
//
// A [Queue] is an immutable value, part of what the hub knows of a device; a step
// gives another Queue, and an [Outcome] for each message that has left. It knows
// bodies by their sequence numbers only: whoever stores them removes those of the
// outcomes. [Locks] are in memory: after a restart a message is simply there
// again. Nothing here reads a clock or waits. Begin with [Queue.Enqueue].
package c2d

import (
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
)

// MaxDepth is the most messages that wait for a device, locked ones included.
const MaxDepth = 50

// MaxTTL is how far ahead the expiry of a message may be.
const MaxTTL = 48 * time.Hour

// Rules are what the operator of a hub may set about cloud-to-device messages.
type Rules struct {
	DefaultTTL       time.Duration // of a message without an expiry: 1 min to MaxTTL
	MaxDeliveryCount int           // how often a message may be abandoned: 1 to 100
}

// DefaultRules are those of a new hub (messaging-and-auth sheet, 3.1).
func DefaultRules() Rules { return Rules{DefaultTTL: time.Hour, MaxDeliveryCount: 10} }

// Entry is a message in the queue, without its body.
type Entry struct {
	Sequence      uint64 // 1 for the first message that the device ever got, and so on
	MessageID     string
	Enqueued      time.Time
	Expiry        time.Time
	Ack           Ack
	Delivered     bool // to a device, perhaps without reaching it: MQTT's DUP
	DeliveryCount int  // how often it was abandoned
	Size          int  // bytes, as message.Message.Size counts them
}

// Queue is what waits for a device, oldest first. It is immutable: a step that
// changes something gives another Queue, one that changes nothing the same. A nil
// Queue is one in which there never was a message. Keep an empty Queue as long as
// its device: it knows the sequence numbers that are used up.
type Queue struct {
	last    uint64 // the sequence number given last
	entries []Entry
}

// Len is the number of messages, locked ones included.
func (q *Queue) Len() int {
	if q == nil {
		return 0
	}
	return len(q.entries)
}

// Entries gives the messages, oldest first. The caller must not change them.
func (q *Queue) Entries() []Entry {
	if q == nil {
		return nil
	}
	return q.entries
}

// Find gives the message with a sequence number, if it still waits.
func (q *Queue) Find(sequence uint64) (Entry, bool) {
	if i := q.place(sequence); i >= 0 {
		return q.entries[i], true
	}
	return Entry{}, false
}

// NextExpiry is when the next message will expire; ok is false if none waits.
func (q *Queue) NextExpiry() (at time.Time, ok bool) {
	for i, e := range q.Entries() {
		if i == 0 || e.Expiry.Before(at) {
			at = e.Expiry
		}
	}
	return at, q.Len() > 0
}

func (q *Queue) place(sequence uint64) int {
	return slices.IndexFunc(q.Entries(), func(e Entry) bool { return e.Sequence == sequence })
}

// Enqueue puts m behind the others and gives its entry, under whose Sequence the
// caller stores the body. [Queue.Expire] comes first, for what has expired takes
// room. The faults are DeviceMaximumQueueDepthExceeded, InvalidMessageExpiryTime,
// and those of [message.Message.Check].
func (q *Queue) Enqueue(m *message.Message, now time.Time, r Rules) (*Queue, Entry, error) {
	if err := m.Check(message.MaxC2D); err != nil {
		return q, Entry{}, err
	}
	expiry, err := m.ParseExpiry()
	if err != nil {
		return q, Entry{}, err
	}
	now = now.Round(0).UTC() // without the monotonic clock, as it comes back from the store
	switch {
	case expiry.IsZero():
		expiry = now.Add(r.DefaultTTL)
	case !expiry.After(now), expiry.After(now.Add(MaxTTL)):
		return q, Entry{}, fault.New(fault.InvalidMessageExpiryTime, "the message would expire at %s; that must be within %s from now", m.System[message.Expiry], MaxTTL)
	}
	if q.Len() >= MaxDepth {
		return q, Entry{}, fault.New(fault.DeviceMaximumQueueDepthExceeded, "%d messages wait for the device, and no more may", MaxDepth)
	}
	var next Queue
	if q != nil {
		next = *q
	}
	next.last++
	e := Entry{
		Sequence: next.last, MessageID: m.System[message.MessageID], Enqueued: now, Expiry: expiry,
		Ack: parseAck(m.System[message.Ack]), Size: m.Size(),
	}
	next.entries = append(slices.Clip(next.entries), e)
	return &next, e, nil
}

// Deliver notes that a message is on its way to the device.
func (q *Queue) Deliver(sequence uint64) *Queue {
	i := q.place(sequence)
	if i < 0 || q.entries[i].Delivered {
		return q
	}
	return q.with(i, func(e *Entry) { e.Delivered = true })
}

// Complete takes a message off the queue: the device has it. It need not be
// locked, for the acknowledgement may come late. ok is false if the message does
// not wait any more.
func (q *Queue) Complete(sequence uint64, now time.Time) (next *Queue, out Outcome, ok bool) {
	return q.take(sequence, Success, now)
}

// Reject takes a message off the queue: the device does not want it. ok is false
// if the message does not wait any more.
func (q *Queue) Reject(sequence uint64, now time.Time) (next *Queue, out Outcome, ok bool) {
	return q.take(sequence, Rejected, now)
}

// Abandon leaves a message in its place for another try, and takes it off the
// queue when there were too many. In the first case there are no outcomes. ok is
// false if the message does not wait any more.
func (q *Queue) Abandon(sequence uint64, now time.Time, r Rules) (next *Queue, out []Outcome, ok bool) {
	i := q.place(sequence)
	if i < 0 {
		return q, nil, false
	}
	tried := q.with(i, func(e *Entry) { e.Delivered, e.DeliveryCount = true, e.DeliveryCount+1 })
	if tried.entries[i].DeliveryCount <= r.MaxDeliveryCount {
		return tried, nil, true
	}
	next, last, _ := tried.take(sequence, DeliveryCountExceeded, now)
	return next, []Outcome{last}, true
}

// Expire takes off the queue what has expired by now. A message that a device
// holds under a lock waits for that to end; held tells, and nil is for none.
func (q *Queue) Expire(now time.Time, held func(sequence uint64) bool) (*Queue, []Outcome) {
	return q.drop(Expired, now, func(e Entry) bool {
		return !now.Before(e.Expiry) && (held == nil || !held(e.Sequence))
	})
}

// Purge takes all messages off the queue, locked ones too.
func (q *Queue) Purge(now time.Time) (*Queue, []Outcome) {
	return q.drop(Purged, now, func(Entry) bool { return true })
}

// with gives a queue in which entry i is different.
func (q *Queue) with(i int, change func(*Entry)) *Queue {
	next := &Queue{last: q.last, entries: slices.Clone(q.entries)}
	change(&next.entries[i])
	return next
}

func (q *Queue) take(sequence uint64, status Status, now time.Time) (*Queue, Outcome, bool) {
	next, out := q.drop(status, now, func(e Entry) bool { return e.Sequence == sequence })
	if len(out) == 0 {
		return q, Outcome{}, false
	}
	return next, out[0], true
}

// drop gives a queue without the entries that leave tells.
func (q *Queue) drop(status Status, now time.Time, leave func(Entry) bool) (*Queue, []Outcome) {
	var out []Outcome
	var stay []Entry
	for _, e := range q.Entries() {
		if leave(e) {
			out = append(out, Outcome{Entry: e, Status: status, At: now})
		} else {
			stay = append(stay, e)
		}
	}
	if out == nil {
		return q, nil
	}
	return &Queue{last: q.last, entries: stay}, out
}
