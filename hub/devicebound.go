package hub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/store"
)

// Delivery is a message in the hands of its device, for [c2d.LockTime].
type Delivery struct {
	Entry   c2d.Entry
	Message message.Message
	Token   string // of the lock, a UUID
}

// address is where messages of an identity go whose sender did not say so: two of
// the SDKs need an address in each message (device sheet, R5).
func address(id device.ID) string {
	if id.IsModule() {
		return "/devices/" + id.Device + "/modules/" + id.Module + "/messages/deviceBound"
	}
	return "/devices/" + id.Device + "/messages/deviceBound"
}

// ReceiveMessage gives the next message of a device that has no connection, or
// nil if none is there to be had.
func (h *Hub) ReceiveMessage(ctx context.Context, who auth.Principal, id device.ID) (*Delivery, error) {
	if err := who.MayActAs(id); err != nil {
		return nil, err
	}
	d, _, err := h.next(id, nil, func(s *state) error { return mayConnect(s, who) })
	return d, err
}

// next locks the next message of id, and reads its body. Sent are those that the
// asking connection has sent; what it gets is added. If there are only messages
// that others have in hand, again is when one of those may be free.
func (h *Hub) next(id device.ID, sent *[]uint64, may func(*state) error) (d *Delivery, again time.Time, err error) {
	// A message may be settled between the look at the queue and the look at its
	// body: then the queue is another one now.
	for range 1 + c2d.MaxDepth {
		s, err := h.heads.read(id)
		if err == nil {
			err = may(s)
		}
		if err != nil || s.queue.Len() == 0 {
			return nil, time.Time{}, err
		}
		d = new(Delivery)
		var ok bool
		h.locks.use(id, s.identity.GenerationID, func(k *c2d.Locks) {
			d.Entry, d.Token, ok = k.Next(s.queue, now(), func(sequence uint64) bool {
				return sent != nil && slices.Contains(*sent, sequence)
			})
			if ok && sent != nil {
				*sent = append(*sent, d.Entry.Sequence)
			} else if !ok {
				again, _ = k.NextDeadline()
			}
		})
		if !ok {
			return nil, again, nil
		}
		if ok, err = h.readBody(id, d); ok {
			return d, time.Time{}, nil
		}
		h.forget(id, s.identity.GenerationID, sent, d.Entry.Sequence)
		if err != nil {
			return nil, time.Time{}, err
		}
	}
	return nil, time.Time{}, fmt.Errorf("messages of %q come and go, or their bodies are lost", id)
}

// readBody reads the message that d has locked. ok is false if it was settled.
func (h *Hub) readBody(id device.ID, d *Delivery) (ok bool, err error) {
	v, err := h.store.View()
	if err != nil {
		return false, outcome(err)
	}
	defer v.Close()
	r, ok, err := v.Get(keyBody(id, d.Entry.Sequence))
	if err != nil || !ok {
		return false, err
	}
	if err := d.Message.Decode(r.Value); err != nil {
		return false, fmt.Errorf("message %d of %q: %w", d.Entry.Sequence, id, err)
	}
	if to := &d.Message.System[message.To]; *to == "" {
		*to = address(id)
	}
	return true, nil
}

// forget ends the lock of a message that a connection has, or sent is nil.
func (h *Hub) forget(id device.ID, generation string, sent *[]uint64, sequence uint64) {
	h.locks.use(id, generation, func(k *c2d.Locks) {
		k.Release(sequence)
		if sent != nil {
			*sent = slices.DeleteFunc(*sent, func(n uint64) bool { return n == sequence })
		}
	})
}

// CompleteMessage takes the message that a token locks off the queue: the device
// has it. The fault is DeviceMessageLockLost.
func (h *Hub) CompleteMessage(ctx context.Context, who auth.Principal, id device.ID, token string) error {
	return h.settle(ctx, who, id, token, func(q *c2d.Queue, sequence uint64) (*c2d.Queue, []c2d.Outcome, bool) {
		next, out, ok := q.Complete(sequence, now())
		return next, []c2d.Outcome{out}, ok
	})
}

// RejectMessage takes the message that a token locks off the queue: the device
// does not want it. The fault is DeviceMessageLockLost.
func (h *Hub) RejectMessage(ctx context.Context, who auth.Principal, id device.ID, token string) error {
	return h.settle(ctx, who, id, token, func(q *c2d.Queue, sequence uint64) (*c2d.Queue, []c2d.Outcome, bool) {
		next, out, ok := q.Reject(sequence, now())
		return next, []c2d.Outcome{out}, ok
	})
}

// AbandonMessage gives the message that a token locks back to the queue. The
// fault is DeviceMessageLockLost.
func (h *Hub) AbandonMessage(ctx context.Context, who auth.Principal, id device.ID, token string) error {
	err := h.settle(ctx, who, id, token, func(q *c2d.Queue, sequence uint64) (*c2d.Queue, []c2d.Outcome, bool) {
		return q.Abandon(sequence, now(), h.rules)
	})
	if err == nil {
		h.messages.abandoned.Add(1)
		h.wake(id)
	}
	return err
}

// settlement is a step of c2d.Queue for a message.
type settlement func(q *c2d.Queue, sequence uint64) (next *c2d.Queue, out []c2d.Outcome, ok bool)

func (h *Hub) settle(ctx context.Context, who auth.Principal, id device.ID, token string, f settlement) error {
	if err := who.MayActAs(id); err != nil {
		return err
	}
	var out []c2d.Outcome
	var sequence uint64
	s, err := h.heads.update(ctx, id, func(old *state) (_ *state, _ [][]byte, err error) {
		if err := mayConnect(old, who); err != nil {
			return nil, nil, err
		}
		h.locks.use(id, old.identity.GenerationID, func(k *c2d.Locks) { sequence, err = k.Find(token, now()) })
		if err != nil {
			return nil, nil, err
		}
		var q *c2d.Queue
		var ok bool
		if q, out, ok = f(old.queue, sequence); !ok {
			return nil, nil, fault.New(fault.DeviceMessageLockLost, "the message of the lock token %.50q is not in the queue any more", token)
		}
		return h.withQueue(id, old, q, out...), nil, nil
	})
	if err != nil {
		return err
	}
	h.locks.release(id, s.identity.GenerationID, sequence)
	h.messages.count(out...)
	return nil
}

// wake tells the connection of id, if there is one, that it may find messages.
func (h *Hub) wake(id device.ID) {
	if link := h.table.Find(id); link != nil {
		link.Device.Wake()
	}
}

// Receive gives the next message for the device that this connection has not
// sent, or nil. If others have all of them in hand, again is when one may be
// free. With note it returns when the queue knows, durably, that the message is on
// its way: if it ever comes again, its Entry.Delivered tells. It may be called
// from any goroutine, one at a time, and waits for the disk. The message stays with
// the connection until Complete, Release or Close, also when its lock is over:
// two copies on one connection confuse devices (device sheet, 3.2).
func (c *Connection) Receive(note bool) (d *Delivery, again time.Time, err error) {
	c.Use()
	for {
		d, again, err = c.hub.next(c.id, &c.sent, c.mayGoOn)
		if d == nil || !note || d.Entry.Delivered {
			return d, again, err
		}
		still := false
		// Not to be given up half-way: the wait is that for the disk.
		_, err = c.hub.heads.update(context.Background(), c.id, func(old *state) (*state, [][]byte, error) {
			if err := c.mayGoOn(old); err != nil {
				return nil, nil, err
			}
			if _, still = old.queue.Find(d.Entry.Sequence); !still {
				return old, nil, nil
			}
			return c.hub.withQueue(c.id, old, old.queue.Deliver(d.Entry.Sequence)), nil, nil
		})
		if err != nil {
			c.Release(d.Entry.Sequence)
			return nil, time.Time{}, err
		}
		if still {
			return d, time.Time{}, nil
		}
		c.Release(d.Entry.Sequence)
	}
}

// Complete takes a message that Receive gave off the queue: the device has it.
// It returns at once. If the message is not there any more, nothing happens; its
// lock need not be in force.
func (c *Connection) Complete(sequence uint64, done func(error)) {
	var out []c2d.Outcome
	err := c.hub.heads.change(c.head, func(old *state) (*state, [][]byte, error) {
		if err := c.mayGoOn(old); err != nil {
			return nil, nil, err
		}
		q, o, ok := old.queue.Complete(sequence, now())
		if !ok {
			return old, nil, nil
		}
		out = []c2d.Outcome{o}
		return c.hub.withQueue(c.id, old, q, o), nil, nil
	}, func(_ *state, _ store.Position, err error) {
		if err == nil {
			c.hub.messages.count(out...)
		}
		c.Release(sequence)
		done(outcome(err))
	})
	if err != nil {
		c.Release(sequence)
		done(outcome(err))
	}
}

// Release gives a message back that Receive gave: it was not sent.
func (c *Connection) Release(sequence uint64) {
	c.hub.forget(c.id, c.generation, &c.sent, sequence)
}

// releaseAll gives back what the device had in hand when its connection ended,
// and tells the connection that has taken its place.
func (c *Connection) releaseAll() {
	some := false
	c.hub.locks.use(c.id, c.generation, func(k *c2d.Locks) {
		for _, n := range c.sent {
			k.Release(n)
		}
		some, c.sent = len(c.sent) > 0, nil
	})
	if some {
		c.hub.wake(c.id)
	}
}
