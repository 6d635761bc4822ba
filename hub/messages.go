package hub

import (
	"context"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/store"
)

// SendMessage puts m into the queue of a device or module and returns when it is
// durable there. Two messages may have the same id. Besides those of
// [message.Message.Check] the faults are DeviceNotFound, ModuleNotFound,
// DeviceMaximumQueueDepthExceeded and InvalidMessageExpiryTime.
func (h *Hub) SendMessage(ctx context.Context, who auth.Principal, id device.ID, m *message.Message) error {
	if err := who.May(auth.ServiceConnect); err != nil {
		return err
	}
	var expired []c2d.Outcome
	var e c2d.Entry
	_, err := h.heads.update(ctx, id, func(old *state) (*state, [][]byte, error) {
		if !old.registered() {
			return nil, nil, notRegistered(id)
		}
		at := now()
		var q *c2d.Queue
		var err error
		q, expired = old.queue.Expire(at, h.heldOf(id, old, at))
		if q, e, err = q.Enqueue(m, at, h.rules); err != nil {
			return nil, nil, err
		}
		next := h.withQueue(id, old, q, expired...)
		next.along = append(next.along, store.Write{
			Key: keyBody(id, e.Sequence), Value: m.AppendBinary(nil), Revision: store.NewRevision(),
		})
		return next, nil, nil
	})
	if err != nil {
		return err
	}
	h.messages.sent.Add(1)
	h.messages.count(expired...)
	h.expiry.expect(e.Expiry)
	return nil
}

// heldOf tells which messages of an identity are in the hands of its device.
func (h *Hub) heldOf(id device.ID, s *state, at time.Time) func(uint64) bool {
	return func(sequence uint64) bool { return h.locks.held(id, s.identity.GenerationID, sequence, at) }
}

// PurgeMessages takes all messages off the queue of a device or module, also
// those that it has in hand, and gives their number.
func (h *Hub) PurgeMessages(ctx context.Context, who auth.Principal, id device.ID) (int, error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return 0, err
	}
	var out []c2d.Outcome
	_, err := h.heads.update(ctx, id, func(old *state) (*state, [][]byte, error) {
		out = nil
		if !old.registered() {
			return nil, nil, notRegistered(id)
		}
		var q *c2d.Queue
		if q, out = old.queue.Purge(now()); len(out) == 0 {
			return old, nil, nil
		}
		return h.withQueue(id, old, q, out...), nil, nil
	})
	if err != nil {
		return 0, err
	}
	h.messages.count(out...)
	return len(out), nil
}

// checkRules refuses rules that the service does not know either.
func checkRules(r c2d.Rules) error {
	switch {
	case r.DefaultTTL < time.Minute || r.DefaultTTL > c2d.MaxTTL:
		return fault.New(fault.ArgumentInvalid, "messages live %s if they do not say how long; it may be 1m to %s", r.DefaultTTL, c2d.MaxTTL)
	case r.MaxDeliveryCount < 1 || r.MaxDeliveryCount > 100:
		return fault.New(fault.ArgumentInvalid, "messages may be abandoned %d times; it may be 1 to 100", r.MaxDeliveryCount)
	}
	return nil
}
