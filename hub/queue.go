package hub

import (
	"sync/atomic"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/store"
)

// present is the value of a record that says all by its key.
var present = []byte{1}

// appendQueueWrites adds to b what turns the queue old into next, apart from the
// queues themselves and from new bodies: a message that is gone takes its body
// and its time of expiry with it, whatever took it off the queue, and a new one
// gets its time. Both queues are in order.
func appendQueueWrites(b *store.Batch, id device.ID, old, next *c2d.Queue) {
	if old == next {
		return
	}
	was, is := old.Entries(), next.Entries()
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].Sequence < is[0].Sequence:
			b.Writes = append(b.Writes,
				store.Write{Key: keyBody(id, was[0].Sequence)},
				store.Write{Key: keyExpiry(was[0].Expiry, id, was[0].Sequence)})
			was = was[1:]
		case len(was) == 0 || is[0].Sequence < was[0].Sequence:
			b.Writes = append(b.Writes, store.Write{
				Key: keyExpiry(is[0].Expiry, id, is[0].Sequence), Value: present, Revision: store.NewRevision(),
			})
			is = is[1:]
		default:
			was, is = was[1:], is[1:]
		}
	}
}

// withQueue makes the state in which q is the queue, out having left it: with the
// feedback that their senders asked for.
func (h *Hub) withQueue(id device.ID, old *state, q *c2d.Queue, out ...c2d.Outcome) *state {
	next := *old
	next.queue = q
	for _, o := range out {
		if f, wanted := o.Feedback(id.Device, old.identity.GenerationID); wanted {
			next.along = append(next.along, h.feedback.write(outcomeRecord{Module: id.Module, Feedback: f}))
		}
	}
	return &next
}

// MessageStats counts cloud-to-device messages since the hub was opened.
type MessageStats struct {
	Sent                                   int64 // by back ends
	Completed, Abandoned, Rejected         int64 // by devices
	Expired, DeliveryCountExceeded, Purged int64
	FeedbackDropped                        int64 // records that nobody fetched, beyond MaxFeedback
}

// messageCounters are MessageStats while they count.
type messageCounters struct {
	sent, abandoned, feedbackDropped atomic.Int64
	ended                            [5]atomic.Int64 // by statuses
}

var statuses = [5]c2d.Status{c2d.Success, c2d.Rejected, c2d.Expired, c2d.DeliveryCountExceeded, c2d.Purged}

func (m *messageCounters) count(out ...c2d.Outcome) {
	for _, o := range out {
		for i, s := range statuses {
			if o.Status == s {
				m.ended[i].Add(1)
			}
		}
	}
}

// MessageStats says what became of cloud-to-device messages.
func (h *Hub) MessageStats() MessageStats {
	m := &h.messages
	return MessageStats{
		Sent: m.sent.Load(), Completed: m.ended[0].Load(), Abandoned: m.abandoned.Load(), Rejected: m.ended[1].Load(),
		Expired: m.ended[2].Load(), DeliveryCountExceeded: m.ended[3].Load(), Purged: m.ended[4].Load(),
		FeedbackDropped: m.feedbackDropped.Load(),
	}
}
