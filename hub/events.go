package hub

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/twin"
)

// EventKind says what an event tells of.
type EventKind byte

const (
	TwinUpdated     EventKind = 1 // opType updateTwin
	TwinReplaced    EventKind = 2 // opType replaceTwin
	IdentityCreated EventKind = 3 // opType createDeviceIdentity
	IdentityDeleted EventKind = 4 // opType deleteDeviceIdentity
	IdentityUpdated EventKind = 5 // not published: for the hub's followers only
	Connected       EventKind = 6 // opType deviceConnected
	Disconnected    EventKind = 7 // opType deviceDisconnected
)

// Event is an entry of the event log: a fact, committed with the change that it
// tells of. docs/formats/store.md draws its bytes.
type Event struct {
	Kind EventKind
	ID   device.ID
	Time time.Time
	// Desired is the notification for the device, if its desired properties
	// changed.
	Desired        []byte
	DesiredVersion int64
	// Revoked says that whoever is connected with the old credentials must go.
	Revoked bool
	// Record is what Body is made from: of a change of a twin, or of the whole
	// twin at that moment.
	Record []byte
}

// errUntold is given for the body of an event that was kept short; see maxRemoved.
var errUntold = errors.New("the event has no record")

// Body is the JSON that the service publishes of a change of a twin or of an
// identity's life (twin sheet, section 11); nil for other events.
func (e Event) Body() ([]byte, error) {
	if len(e.Record) == 0 && e.Kind == IdentityDeleted {
		return nil, errUntold
	}
	switch e.Kind {
	case TwinUpdated:
		b, err := twin.AppendEvent([]byte{'{'}, e.Record)
		return append(b, '}'), err
	case TwinReplaced, IdentityCreated, IdentityDeleted:
		b, err := twin.AppendEvent(append(document.AppendIDs([]byte{'{'}, e.ID), ','), e.Record)
		return append(b, '}'), err
	}
	return nil, nil
}

const (
	eventHasDesired = 1 << iota
	eventRevoked
)

// encode gives the event's stored form.
func (e Event) encode() []byte {
	var flags byte
	if e.Desired != nil {
		flags |= eventHasDesired
	}
	if e.Revoked {
		flags |= eventRevoked
	}
	b := make([]byte, 0, 40+len(e.ID.Device)+len(e.ID.Module)+len(e.Desired)+len(e.Record))
	b = append(b, byte(e.Kind), flags)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.UnixNano()))
	b = appendText(b, e.ID.Device)
	b = appendText(b, e.ID.Module)
	if e.Desired != nil {
		b = binary.AppendUvarint(b, uint64(e.DesiredVersion))
		b = appendText(b, string(e.Desired))
	}
	return append(b, e.Record...)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

var errEvent = errors.New("malformed event")

// DecodeEvent reads the stored form. Desired and Record are parts of b.
func DecodeEvent(b []byte) (Event, error) {
	if len(b) < 10 {
		return Event{}, errEvent
	}
	e := Event{Kind: EventKind(b[0]), Revoked: b[1]&eventRevoked != 0}
	hasDesired := b[1]&eventHasDesired != 0
	e.Time = time.Unix(0, int64(binary.BigEndian.Uint64(b[2:]))).UTC()
	b = b[10:]
	var dev, mod []byte
	var ok bool
	if dev, b, ok = cutText(b); !ok {
		return Event{}, errEvent
	}
	if mod, b, ok = cutText(b); !ok {
		return Event{}, errEvent
	}
	e.ID = device.ID{Device: string(dev), Module: string(mod)}
	if hasDesired {
		version, n := binary.Uvarint(b)
		if n <= 0 {
			return Event{}, errEvent
		}
		e.DesiredVersion = int64(version)
		if e.Desired, b, ok = cutText(b[n:]); !ok {
			return Event{}, errEvent
		}
	}
	e.Record = b
	return e, nil
}

func cutText(b []byte) (text, rest []byte, ok bool) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n > uint64(len(b)-width) {
		return nil, nil, false
	}
	b = b[width:]
	return b[:n:n], b[n:], true
}

// concernsConnection tells, from the first bytes alone, whether a follower of
// connections must decode the event. Most events are reported patches, which
// it need not.
func concernsConnection(b []byte) bool {
	return len(b) > 1 && b[1]&(eventHasDesired|eventRevoked) != 0
}

// twinEvent tells of c, which made t.
func twinEvent(id device.ID, t *twin.Twin, c *twin.Change, at time.Time) Event {
	e := Event{Kind: TwinUpdated, ID: id, Time: at, Record: c.AppendRecord(nil)}
	if c.Op() == "replaceTwin" {
		e.Kind = TwinReplaced
	}
	if c.HasDesired() {
		e.Desired = c.AppendDesired(nil)
		e.DesiredVersion = t.DesiredVersion()
	}
	return e
}

func desiredChange(pos uint64, e Event) presence.DesiredChange {
	return presence.DesiredChange{Position: pos, Version: e.DesiredVersion, Patch: e.Desired}
}
