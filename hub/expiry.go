package hub

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
)

// expiry is when the next message expires. The times are records, in their order,
// so the hub needs no memory for messages that wait, nor to know their devices.
type expiry struct {
	next   atomic.Int64  // when the sweeper looks again, in Unix nanoseconds
	sooner chan struct{} // has a value when it must look sooner
}

// expect says that a message expires at some time.
func (x *expiry) expect(at time.Time) {
	if at.UnixNano() < x.next.Load() {
		select {
		case x.sooner <- struct{}{}:
		default: // It has not taken the last one yet.
		}
	}
}

const (
	sweepAtOnce = 256             // times that are looked at before their queues are
	heldAgain   = 5 * time.Second // after which messages in hand at their expiry are looked at again
	longSleep   = time.Hour
)

// expireMessages takes expired messages off their queues until ctx ends, those of
// devices that are away as well.
func (h *Hub) expireMessages(ctx context.Context) {
	for ctx.Err() == nil {
		// A message that comes while the sweeper looks makes it look again.
		h.expiry.next.Store(math.MaxInt64)
		next, err := h.sweep(ctx)
		if err != nil && ctx.Err() == nil {
			h.log.Error("expire messages", slog.Any("error", err))
		}
		h.expiry.next.Store(next.UnixNano())
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
		case <-h.expiry.sooner:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// sweep expires all that has expired, and says when to look again.
func (h *Hub) sweep(ctx context.Context) (next time.Time, err error) {
	start := []byte{tableExpiries}
	var held atomic.Bool
	for {
		due, after, next, err := h.due(start, now())
		if held.Load() {
			next = earlier(next, now().Add(heldAgain))
		}
		if err != nil || len(due) == 0 || ctx.Err() != nil {
			return next, err
		}
		// All at once, so that they share an fsync.
		var all sync.WaitGroup
		for id := range due {
			all.Go(func() {
				some, err := h.expireQueue(ctx, id)
				if err != nil && ctx.Err() == nil {
					h.log.Error("expire messages", slog.String("device", id.String()), slog.Any("error", err))
				}
				if some || err != nil {
					held.Store(true)
				}
			})
		}
		all.Wait()
		start = after
	}
}

// due gives identities whose messages have expired, by the times from start on;
// the place to go on from; and when the first message expires that has not yet.
func (h *Hub) due(start []byte, at time.Time) (due map[device.ID]bool, after []byte, next time.Time, err error) {
	next = at.Add(longSleep)
	v, err := h.store.View()
	if err != nil {
		return nil, nil, next, err
	}
	defer v.Close()
	due = map[device.ID]bool{}
	looked := 0
	for e, err := range v.Scan(start, []byte{tableExpiries + 1}) {
		if err != nil {
			return nil, nil, next, err
		}
		t, id, ok := splitExpiry(e.Key)
		switch {
		case !ok:
			continue
		case t.After(at):
			return due, after, earlier(next, t), nil
		}
		due[id] = true
		after = append(append(after[:0], e.Key...), 0)
		if looked++; looked == sweepAtOnce {
			break
		}
	}
	return due, after, next, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// expireQueue expires messages of one identity. held tells whether some have
// expired that the device has in hand: their locks end first.
func (h *Hub) expireQueue(ctx context.Context, id device.ID) (held bool, err error) {
	var out []c2d.Outcome
	_, err = h.heads.update(ctx, id, func(old *state) (*state, [][]byte, error) {
		out, held = nil, false
		if !old.registered() {
			return old, nil, nil
		}
		at := now()
		var q *c2d.Queue
		q, out = old.queue.Expire(at, h.heldOf(id, old, at))
		if first, some := q.NextExpiry(); some {
			held = !first.After(at)
		}
		if len(out) == 0 {
			return old, nil, nil
		}
		return h.withQueue(id, old, q, out...), nil, nil
	})
	if err == nil {
		h.messages.count(out...)
	}
	return held, err
}
