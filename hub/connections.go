package hub

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// MaxSubscriptions bounds the topic filters that one identity may keep.
const MaxSubscriptions = 32

// Connection is a device or module that is connected to the hub. Its front end
// makes one with Connect and must Close it.
//
// Methods that take a done function return at once. Their done functions are
// called in the order of the calls, each after what it answers is durable; they
// run on goroutines of the hub and must not block. So a device may have many
// requests in flight, they share an fsync, and answers leave in order. All
// calls must come from one goroutine, the one that reads from the device.
type Connection struct {
	hub  *Hub
	id   device.ID
	head *head
	link *presence.Link
	// generation is that of the identity that connected.
	generation string
	sender     sender
	// clean says that subscriptions end with the connection [MQTT-3.1.2-6].
	clean bool

	// Subscriptions are those kept from earlier connections.
	Subscriptions []Subscription
	// Resumed tells whether there was a kept session.
	Resumed bool
	// Position is that of the commit by which the connection began. Changes
	// after it must be announced.
	Position uint64

	// sent are the messages that the device has in hand. The lock of hub.locks
	// guards it.
	sent []uint64

	mu          sync.Mutex
	outstanding int // calls whose done function has not returned yet
}

// Connect takes a device that has proved who it is into the hub. An older
// connection of the same identity is closed. With clean, subscriptions kept
// from earlier connections are forgotten. It returns when the fact is durable.
func (h *Hub) Connect(ctx context.Context, who auth.Principal, d presence.Device, clean bool, modelID string) (*Connection, error) {
	id := who.ID
	if err := who.MayActAs(id); err != nil {
		return nil, err
	}
	link := &presence.Link{ID: id, Device: d, Since: now(), Authority: who.Authority}
	c := &Connection{hub: h, id: id, head: h.heads.acquire(id), link: link, clean: clean}
	var displaced *presence.Link
	// The table changes inside the step, under the head's lock: so the order of
	// connects and disconnects in the table is that of their commits.
	var next *state
	step := func(f *family) ([][]byte, error) {
		old, err := f.read(id)
		if err == nil {
			err = mayConnect(old, who)
		}
		if err == nil && f.device().identity.Status == device.Disabled {
			err = disabled(id) // a module's device, now that nobody changes it
		}
		if err != nil {
			return nil, err
		}
		s := *old
		s.connection = &connectionRecord{Connected: true, Epoch: h.epoch, Since: link.Since, Activity: link.Since, ModelID: modelID}
		c.Resumed = old.subscriptions != nil && !clean
		switch {
		case clean:
			s.subscriptions = nil
		case old.subscriptions == nil:
			s.subscriptions = []Subscription{} // a session with nothing in it yet
		}
		if first := h.states.enter(link); first != nil {
			displaced = first
		}
		next = &s
		f.write(id, next)
		return [][]byte{Event{Kind: Connected, ID: id, Time: link.Since}.encode()}, nil
	}
	err := h.heads.decide(ctx, func(done func(error)) error {
		return h.heads.changeFamily(id.Parent(), step, func(pos store.Position, err error) {
			if err == nil {
				link.Begin(uint64(pos))
			}
			done(err)
		})
	})
	if displaced != nil {
		displaced.Device.Close(fault.New(fault.ConnectionClosedOnNewConnection, "%q has connected anew", id))
	}
	if err != nil {
		// If ctx has ended, the commit may still come; this one comes after it.
		c.Close()
		return nil, err
	}
	// An authority may have ceased to count before the link was in the table, where
	// closeUntrusted finds it.
	if err := h.checkAuthority(who.Authority); err != nil {
		c.Close()
		return nil, err
	}
	c.generation = next.identity.GenerationID
	c.sender = senderOf(who, next.identity, modelID)
	c.Subscriptions, c.Position = next.subscriptions, link.Position()
	return c, nil
}

// mayConnect decides again, at the moment of the commit, what the verifier
// decided a moment earlier: the identity may have changed in between.
func mayConnect(s *state, who auth.Principal) error {
	switch {
	case !s.registered():
		return notRegistered(who.ID)
	case s.identity.Status == device.Disabled:
		return disabled(who.ID)
	case who.IdentityEtag != s.identity.Etag:
		return fault.New(fault.ServiceUnavailable, "the identity of %q has just changed; try again", who.ID)
	}
	return nil
}

// Touch notes activity of the device.
func (c *Connection) Touch(at time.Time) { c.link.Touch(at) }

// Use says that the device has asked for direct methods. With that, with the first
// Send or with the first Receive, a device is connected in the eyes of the routes
// of DeviceConnectionStateEvents. It may be called from any goroutine.
func (c *Connection) Use() { c.hub.states.use(c.link) }

// Close takes the connection out of the hub. It returns at once.
func (c *Connection) Close() {
	defer c.head.release()
	c.releaseAll()
	at := now()
	noted := func(_ *state, _ store.Position, err error) {
		if err != nil {
			c.hub.log.Warn("note the disconnect", slog.String("device", c.id.String()), slog.Any("error", err))
		}
	}
	err := c.hub.heads.change(c.head, func(old *state) (*state, [][]byte, error) {
		// If another connection has taken over, the device is still connected;
		// if the identity is gone, there is nothing to note.
		if !c.hub.states.leave(c.link) || !old.registered() || old.connection == nil {
			return old, nil, nil
		}
		next := *old
		r := *old.connection
		r.Connected, r.Since, r.Activity = false, at, c.link.LastActivity()
		next.connection = &r
		return &next, [][]byte{Event{Kind: Disconnected, ID: c.id, Time: at}.encode()}, nil
	}, noted)
	if err != nil {
		c.hub.states.leave(c.link)
		noted(nil, 0, err)
	}
}

// mayGoOn tells whether the device may still do something in the state s: it
// may have been taken over, deleted or disabled, and will soon be told.
func (c *Connection) mayGoOn(s *state) error {
	switch {
	case c.link.Displaced():
		return fault.New(fault.ConnectionClosedOnNewConnection, "%q has connected anew", c.id)
	case !s.registered() || s.identity.GenerationID != c.generation:
		return notRegistered(c.id)
	case s.identity.Status == device.Disabled:
		return disabled(c.id)
	}
	return nil
}

func disabled(id device.ID) error { return fault.New(fault.DeviceDisabled, "%q is disabled", id) }

// Twin reads the device's own twin. It sees every change that the device made
// on this connection before it asked, and every change that was announced.
func (c *Connection) Twin(done func(*twin.Twin, error)) {
	c.InOrder(func() {
		s, err := c.hub.heads.readHead(c.head)
		if err == nil {
			err = c.mayGoOn(s)
		}
		if err != nil {
			done(nil, err)
			return
		}
		done(s.twin, nil)
	})
}

// AnyVersion makes Report unconditional.
const AnyVersion int64 = -1

// Report merges a patch into the reported properties and gives their new
// version. If base is not AnyVersion, the reported properties must be at that
// version.
func (c *Connection) Report(body []byte, rules twin.Rules, base int64, done func(version int64, err error)) {
	p, err := twin.ParseReported(body, rules)
	if err != nil {
		c.InOrder(func() { done(0, err) })
		return
	}
	c.change(func(old *state) (*state, [][]byte, error) {
		if err := c.mayGoOn(old); err != nil {
			return nil, nil, err
		}
		if at := old.twin.ReportedVersion(); base != AnyVersion && base != at {
			return nil, nil, fault.New(fault.PreconditionFailed, "the reported properties are at version %d, not %d", at, base)
		}
		return applyTwin(c.id, old, now(), func(t *twin.Twin, at time.Time) (*twin.Twin, *twin.Change, error) { return t.Report(p, at) })
	}, func(s *state, err error) {
		if err != nil {
			done(0, err)
			return
		}
		done(s.twin.ReportedVersion(), nil)
	})
}

// Subscribe keeps subscriptions, unless the session is clean: a filter that is
// there already gets the new QoS. since is a position before the subscription:
// changes after it must be announced from now on.
func (c *Connection) Subscribe(subs []Subscription, done func(err error)) (since uint64) {
	v, err := c.hub.store.View()
	if err == nil {
		since = uint64(v.Position())
		err = v.Close()
	}
	if err != nil {
		c.InOrder(func() { done(outcome(err)) })
		return 0
	}
	c.change(func(old *state) (*state, [][]byte, error) {
		if err := c.mayGoOn(old); err != nil {
			return nil, nil, err
		}
		if c.clean {
			return old, nil, nil
		}
		next := *old
		next.subscriptions = merged(old.subscriptions, subs)
		if slices.Equal(next.subscriptions, old.subscriptions) {
			return old, nil, nil
		}
		if len(next.subscriptions) > MaxSubscriptions {
			return nil, nil, fault.New(fault.IotHubQuotaExceeded, "%q has more than %d subscriptions", c.id, MaxSubscriptions)
		}
		return &next, nil, nil
	}, func(_ *state, err error) { done(err) })
	return since
}

// Unsubscribe forgets subscriptions. Filters that are not there are ignored.
func (c *Connection) Unsubscribe(filters []string, done func(err error)) {
	c.change(func(old *state) (*state, [][]byte, error) {
		if err := c.mayGoOn(old); err != nil {
			return nil, nil, err
		}
		next := *old
		next.subscriptions = []Subscription{}
		for _, s := range old.subscriptions {
			if !slices.Contains(filters, s.Filter) {
				next.subscriptions = append(next.subscriptions, s)
			}
		}
		if len(next.subscriptions) == len(old.subscriptions) {
			return old, nil, nil
		}
		return &next, nil, nil
	}, func(_ *state, err error) { done(err) })
}

// change is heads.change on this connection's head, counted and in order.
func (c *Connection) change(f step, done func(*state, error)) {
	c.begin()
	err := c.hub.heads.change(c.head, f, func(s *state, _ store.Position, err error) {
		done(s, outcome(err))
		c.end()
	})
	if err != nil {
		// Refused before it got to the store: the refusal waits its turn.
		c.end()
		c.InOrder(func() { done(nil, outcome(err)) })
	}
}

// InOrder calls f after the done functions of all earlier calls: at once, before
// it returns, if there are none to wait for. It is for answers that need nothing
// from the hub.
func (c *Connection) InOrder(f func()) {
	c.mu.Lock()
	idle := c.outstanding == 0
	c.outstanding++
	c.mu.Unlock()
	if idle {
		f()
		c.end()
		return
	}
	c.hub.store.Submit(store.Batch{}, func(store.Position, error) {
		f()
		c.end()
	})
}

func (c *Connection) begin() {
	c.mu.Lock()
	c.outstanding++
	c.mu.Unlock()
}

func (c *Connection) end() {
	c.mu.Lock()
	c.outstanding--
	c.mu.Unlock()
}

func merged(old, add []Subscription) []Subscription {
	next := append(make([]Subscription, 0, len(old)+len(add)), old...)
add:
	for _, s := range add {
		for i := range next {
			if next[i].Filter == s.Filter {
				next[i].QoS = s.QoS
				continue add
			}
		}
		next = append(next, s)
	}
	return next
}
