package hub

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync/atomic"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/route"
	"github.com/hubtwin/hubtwin/twin"
)

// outgoing turns what has happened into entries of the event log: one for each
// endpoint that the routes lead it to. They are in the commit that they tell of.
type outgoing struct {
	hubName string
	log     *slog.Logger
	routing atomic.Pointer[routing]
	counts  egress
}

// egress counts what became of telemetry.
type egress struct {
	success, fallback, orphaned, invalid, dropped atomic.Int64
}

// EgressStats counts messages of devices by what became of them, since the hub
// was opened. A message is one however many endpoints got it.
type EgressStats struct {
	Success  int64 // went to an endpoint because of a route
	Fallback int64 // went where the fallback route leads
	Orphaned int64 // matched no route, and there was no fallback route
	// Invalid counts copies that were too large for their endpoint with what
	// enrichments added.
	Invalid int64
	// Dropped counts copies, also of events that the hub tells of, which were
	// too large for the event log.
	Dropped int64
}

// EgressStats tells what became of messages.
func (h *Hub) EgressStats() EgressStats {
	c := &h.out.counts
	return EgressStats{c.success.Load(), c.fallback.Load(), c.orphaned.Load(), c.invalid.Load(), c.dropped.Load()}
}

// telemetry gives the entries for a message of a device or module. T is its twin.
func (o *outgoing) telemetry(e *message.Event, t *twin.Twin) []eventlog.Entry {
	r := o.routing.Load()
	if r.table.Plain() {
		o.counts.fallback.Add(1)
		return []eventlog.Entry{{Stream: eventlog.Events, Key: e.DeviceID, Time: e.Enqueued, Body: e.AppendBinary(nil)}}
	}
	list, outcome := o.route(r, e, t)
	switch {
	case outcome.Routed > 0:
		o.counts.success.Add(1)
	case outcome.Fallback:
		o.counts.fallback.Add(1)
	case outcome.Orphaned():
		o.counts.orphaned.Add(1)
	}
	return list
}

// route gives the entries for an event.
func (o *outgoing) route(r *routing, e *message.Event, t *twin.Twin) (list []eventlog.Entry, outcome route.Outcome) {
	var stored []byte // of e itself, which endpoints without enrichments share
	outcome = r.table.Route(subjectOf(e, t), func(stream string, to *message.Event) {
		body := stored
		if to != e || body == nil {
			body = to.AppendBinary(nil)
		}
		if to == e {
			stored = body
		}
		if len(body) > eventlog.MaxBody {
			o.counts.dropped.Add(1)
			return
		}
		list = append(list, eventlog.Entry{Stream: stream, Key: e.DeviceID, Time: e.Enqueued, Body: body})
	})
	o.counts.invalid.Add(int64(outcome.Invalid))
	return list, outcome
}

func subjectOf(e *message.Event, t *twin.Twin) *query.Subject {
	s := &query.Subject{Event: e}
	if t != nil {
		s.Twin = t
	}
	return s
}

// maxTold is how many bytes of entries one commit gets beside what it is about:
// what does not fit is dropped. Only to delete a device with many modules comes
// near it.
const maxTold = 8 << 20

// tell gives the entries for the events of a commit. twinOf gives the twin of an
// identity as the commit leaves it, or as it was if the commit removes it. It
// runs under the heads' locks; nothing is made for sources without a route.
func (o *outgoing) tell(events [][]byte, twinOf func(device.ID) *twin.Twin) []eventlog.Entry {
	if o == nil || len(events) == 0 {
		return nil
	}
	r := o.routing.Load()
	var all []eventlog.Entry
	size := 0
	for _, b := range events {
		f, ok := facts[EventKind(b[0])]
		if !ok || !r.table.Wants(f.source) {
			continue
		}
		e, err := o.message(f, b)
		if err == errUntold {
			o.counts.dropped.Add(1)
			continue
		}
		if err != nil {
			o.log.Error("tell of a change", slog.Any("error", err))
			continue
		}
		list, _ := o.route(r, e, twinOf(device.ID{Device: e.DeviceID, Module: e.ModuleID}))
		for _, entry := range list {
			if size += len(entry.Body); size > maxTold {
				o.counts.dropped.Add(1)
				continue
			}
			all = append(all, entry)
		}
	}
	return all
}

// fact is how the service tells of a kind of event (messaging-and-auth sheet, 6.1).
type fact struct {
	source         message.Source
	opType, schema string
}

var facts = map[EventKind]fact{
	TwinUpdated:     {message.TwinChangeEvents, "updateTwin", "twinChangeNotification"},
	TwinReplaced:    {message.TwinChangeEvents, "replaceTwin", "twinChangeNotification"},
	IdentityCreated: {message.DeviceLifecycleEvents, "createDeviceIdentity", "deviceLifecycleNotification"},
	IdentityDeleted: {message.DeviceLifecycleEvents, "deleteDeviceIdentity", "deviceLifecycleNotification"},
}

// moduleFacts are those that have other names if they are about a module.
var moduleFacts = map[EventKind]fact{
	IdentityCreated: {message.DeviceLifecycleEvents, "createModuleIdentity", "moduleLifecycleNotification"},
	IdentityDeleted: {message.DeviceLifecycleEvents, "deleteModuleIdentity", "moduleLifecycleNotification"},
}

var (
	connectedFact    = fact{message.DeviceConnectionStateEvents, "deviceConnected", "deviceConnectionStateNotification"}
	disconnectedFact = fact{message.DeviceConnectionStateEvents, "deviceDisconnected", "deviceConnectionStateNotification"}
)

// message makes the message that tells of a stored event.
func (o *outgoing) message(f fact, stored []byte) (*message.Event, error) {
	e, err := DecodeEvent(stored)
	if err != nil {
		return nil, err
	}
	body, err := e.Body()
	if err != nil {
		return nil, err
	}
	if of, ok := moduleFacts[e.Kind]; ok && e.ID.IsModule() {
		f = of
	}
	return o.envelope(f, e, randomHex(6), body), nil
}

// envelope puts around a body what all events of the hub have.
func (o *outgoing) envelope(f fact, e Event, correlation string, body []byte) *message.Event {
	m := &message.Event{Source: f.source, DeviceID: e.ID.Device, ModuleID: e.ID.Module, Enqueued: e.Time}
	m.System[message.ContentType] = "application/json"
	m.System[message.ContentEncoding] = "utf-8"
	m.System[message.CorrelationID] = correlation
	m.System[message.UserID] = o.hubName
	m.Properties = make([]message.Property, 0, 6)
	add := func(name, value string) {
		m.Properties = append(m.Properties, message.Property{Name: name, Value: value})
	}
	add("deviceId", e.ID.Device)
	if e.ID.IsModule() {
		add("moduleId", e.ID.Module)
	}
	add("hubName", o.hubName)
	add("opType", f.opType)
	add("iothub-message-schema", f.schema)
	add("operationTimestamp", device.FormatTime(e.Time))
	m.Body = body
	return m
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
