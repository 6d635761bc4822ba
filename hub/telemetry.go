package hub

import (
	"context"
	"log/slog"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/store"
)

// sender is what the hub stamps on messages of a device or module.
type sender struct {
	id                          device.ID
	generation, method, modelID string
}

func senderOf(who auth.Principal, identity *device.Identity, modelID string) sender {
	scope := "device"
	switch {
	case who.Policy != "":
		scope = "hub"
	case who.ID.IsModule():
		scope = "module"
	}
	kind := "sas"
	if identity.Authentication.Type != device.SAS {
		kind = "x509"
	}
	return sender{who.ID, identity.GenerationID, message.AuthMethod(scope, kind), modelID}
}

// stamp makes the event that tells of a message.
func (s *sender) stamp(m message.Message, at time.Time) message.Event {
	return message.Event{
		Message: m, Source: message.DeviceMessages,
		DeviceID: s.id.Device, ModuleID: s.id.Module, GenerationID: s.generation, AuthMethod: s.method, ModelID: s.modelID,
		Enqueued: at,
	}
}

// Send takes a message from the device, and tells done when it is durable. The
// hub keeps nothing of m's memory. Faults of the message are ArgumentInvalid and
// MessageTooLarge.
func (c *Connection) Send(m message.Message, done func(err error)) {
	var s *state
	err := m.Check(message.MaxD2C)
	if err == nil {
		s, err = c.maySend()
	}
	if err != nil {
		c.InOrder(func() { done(err) })
		return
	}
	c.Use()
	e := c.sender.stamp(m, now())
	c.begin()
	c.hub.events.Submit(store.Batch{}, c.hub.out.telemetry(&e, s.twin), func(_ store.Position, err error) {
		done(outcome(err))
		c.end()
	})
}

func (c *Connection) maySend() (*state, error) {
	s, err := c.hub.heads.readHead(c.head)
	if err != nil {
		return nil, err
	}
	return s, c.mayGoOn(s)
}

// Will takes the message that a device left for the case that its connection is
// lost. Also if another connection has taken its place: that is such a case. It
// returns at once.
func (c *Connection) Will(m message.Message) {
	s, err := c.hub.heads.readHead(c.head)
	if err == nil {
		err = m.Check(message.MaxD2C)
	}
	if err == nil && (!s.registered() || s.identity.GenerationID != c.generation) {
		err = notRegistered(c.id)
	}
	noted := func(_ store.Position, err error) {
		if err != nil {
			c.hub.log.Warn("store the will", slog.String("device", c.id.String()), slog.Any("error", err))
		}
	}
	if err != nil {
		noted(0, err)
		return
	}
	e := c.sender.stamp(m, now())
	c.hub.events.Submit(store.Batch{}, c.hub.out.telemetry(&e, s.twin), noted)
}

// SendEvents takes messages from a device that has no connection, all or none of
// them, and returns when they are durable.
func (h *Hub) SendEvents(ctx context.Context, who auth.Principal, id device.ID, list []message.Message) error {
	if err := who.MayActAs(id); err != nil {
		return err
	}
	s, err := h.heads.read(id)
	if err != nil {
		return err
	}
	if err := mayConnect(s, who); err != nil {
		return err
	}
	from, at := senderOf(who, s.identity, s.modelID()), now()
	var all []eventlog.Entry
	for i := range list {
		if err := list[i].Check(message.MaxD2C); err != nil {
			return err
		}
		e := from.stamp(list[i], at)
		all = append(all, h.out.telemetry(&e, s.twin)...)
	}
	decided := make(chan error, 1)
	h.events.Submit(store.Batch{}, all, func(_ store.Position, err error) { decided <- err })
	select {
	case err := <-decided:
		return outcome(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// modelID is the plug-and-play model that the device announced when it last
// connected.
func (s *state) modelID() string {
	if s.connection == nil {
		return ""
	}
	return s.connection.ModelID
}

// Telemetry is an event as it is read from the event log.
type Telemetry struct {
	message.Stored
	Position string // after it, for From
}

// EventReader reads a stream of events from a position.
type EventReader struct {
	reader *eventlog.Reader
	at     eventlog.Position // after what was returned
}

// From says where a reader of events begins: at a position, at a time, with the
// oldest event that is kept, or, if it says nothing, with the next one.
type From struct {
	Position string
	Time     time.Time
	Start    bool
}

// ReadEvents makes a reader of the stream of that name. It asks for the right
// ServiceConnect. Faults are ArgumentInvalid for a stream or position that is
// none.
func (h *Hub) ReadEvents(who auth.Principal, stream string, from From) (*EventReader, error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return nil, err
	}
	at, err := h.positionOf(stream, from)
	if err != nil {
		return nil, badPosition(err)
	}
	r, err := h.events.Read(stream, at)
	if err != nil {
		return nil, badPosition(err)
	}
	return &EventReader{r, r.Position()}, nil
}

func (h *Hub) positionOf(stream string, from From) (eventlog.Position, error) {
	switch {
	case from.Position != "":
		return h.events.ParsePosition(stream, from.Position)
	case !from.Time.IsZero():
		return h.events.Since(stream, from.Time)
	case from.Start:
		return h.events.Start(stream)
	}
	return h.events.End(stream)
}

func badPosition(err error) error { return fault.New(fault.ArgumentInvalid, "%w", err) }

// Position is after everything that Next has returned, for From.
func (r *EventReader) Position() string { return r.at.String() }

// Next waits for events and returns some. Gaps are events that were forgotten
// before they could be read. It ends with ctx.
func (r *EventReader) Next(ctx context.Context) (list []Telemetry, gaps []eventlog.Gap, err error) {
	records, gaps, err := r.reader.Next(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range gaps {
		r.at[g.Partition] = g.To
	}
	list = make([]Telemetry, len(records))
	for i, record := range records {
		t := &list[i]
		if err := t.Decode(record.Body); err != nil {
			return nil, nil, err
		}
		t.Enqueued = record.Time
		r.at[record.Partition] = record.Sequence + 1
		t.Partition, t.Sequence, t.Offset, t.Position = record.Partition, record.Sequence, record.Offset, r.at.String()
	}
	return list, gaps, nil
}
