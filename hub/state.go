package hub

import (
	"encoding/json"
	"fmt"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// state is all the hub knows of one identity at one moment. It is immutable:
// a change makes a new one. The zero state is an id that is not registered.
type state struct {
	identity      *device.Identity
	twin          *twin.Twin
	connection    *connectionRecord
	subscriptions []Subscription
	queue         *c2d.Queue // of messages; nil if there never was one
	modules       []string   // the ids of a device's modules, in their order

	// along are writes that are committed with the state, and no part of it:
	// bodies of messages, and feedback. Once they are in the batch it is nil.
	along []store.Write

	revisions [len(partOrder)]store.Revision // of the parts, in the order of partOrder
	sizes     [len(partOrder)]int            // of the stored parts, for the bound of the cache
}

var partOrder = [...]byte{partConnection, partIdentity, partSubscriptions, partTwin, partQueue, partModules}

// footprint is about how much memory s takes: a decoded twin is several times
// its stored size.
func (s *state) footprint() int {
	n := 1 << 10
	for _, size := range s.sizes {
		n += 5 * size
	}
	return n
}

func (s *state) registered() bool { return s.identity != nil }

// Subscription is a topic filter that a device subscribed to, kept until it
// unsubscribes, connects with a clean session, or is deleted (device sheet,
// rule R1).
type Subscription struct {
	Filter string `json:"filter"`
	QoS    byte   `json:"qos"`
}

// setPart puts a stored record into s, which must not be shared yet.
func (s *state) setPart(part byte, r store.Record) (err error) {
	i := -1
	switch part {
	case partConnection:
		var c connectionRecord
		i = 0
		c, err = decodeConnection(r.Value)
		s.connection = &c
	case partIdentity:
		var id device.Identity
		i = 1
		id, err = device.Decode(r.Value)
		s.identity = &id
	case partSubscriptions:
		i = 2
		err = json.Unmarshal(r.Value, &s.subscriptions)
	case partTwin:
		i = 3
		s.twin, err = twin.Decode(r.Value)
	case partQueue:
		i = 4
		s.queue, err = c2d.Decode(r.Value)
	case partModules:
		i = 5
		err = json.Unmarshal(r.Value, &s.modules)
	default:
		return fmt.Errorf("stored part %q is not known to this version", part)
	}
	if err != nil {
		return fmt.Errorf("decode part %q: %w", part, err)
	}
	s.revisions[i] = r.Revision
	s.sizes[i] = len(r.Value)
	return nil
}

// part encodes one part of s, or gives nil if s has none.
func (s *state) part(i int) ([]byte, error) {
	switch {
	case i == 0 && s.connection != nil:
		return s.connection.append(nil), nil
	case i == 1 && s.identity != nil:
		return device.Encode(nil, *s.identity), nil
	case i == 2 && s.subscriptions != nil:
		return json.Marshal(s.subscriptions)
	case i == 3 && s.twin != nil:
		return s.twin.AppendBinary(make([]byte, 0, s.sizes[3]+256)), nil
	case i == 4 && s.queue != nil:
		return s.queue.AppendBinary(nil), nil
	case i == 5 && len(s.modules) > 0:
		return json.Marshal(s.modules)
	}
	return nil, nil
}

// changed tells which parts of next differ from s.
func (s *state) changed(next *state) (c [len(partOrder)]bool) {
	c[0] = s.connection != next.connection
	c[1] = s.identity != next.identity
	c[2] = !sameList(s.subscriptions, next.subscriptions)
	c[3] = s.twin != next.twin
	c[4] = s.queue != next.queue
	c[5] = !sameList(s.modules, next.modules)
	return c
}

// sameList tells whether both are one slice: what changes is made anew.
func sameList[T any](a, b []T) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0]
}

// appendExpectations appends what must hold for s to become next: that the parts
// which change, and those which are not durable yet, are as s has them. So what
// builds on a failed change fails too, also if it writes other parts, or none.
func (s *state) appendExpectations(list []store.Expectation, id device.ID, durable, next *state) []store.Expectation {
	for i, changed := range s.changed(next) {
		if r := s.revisions[i]; changed || r != durable.revisions[i] {
			list = append(list, store.Expectation{Key: keyPart(id, partOrder[i]), Revision: r})
		}
	}
	return list
}

// commitTo fills b with the writes that turn s into next, and gives next its
// revisions.
func (s *state) commitTo(b *store.Batch, id device.ID, next *state) error {
	next.revisions, next.sizes = s.revisions, s.sizes
	for i, changed := range s.changed(next) {
		if !changed {
			continue
		}
		value, err := next.part(i)
		if err != nil {
			return err
		}
		key := keyPart(id, partOrder[i])
		switch {
		case value == nil:
			next.revisions[i] = 0
		case s.revisions[i] == 0:
			next.revisions[i] = store.NewRevision()
		default:
			next.revisions[i] = s.revisions[i] + 1
		}
		next.sizes[i] = len(value)
		b.Writes = append(b.Writes, store.Write{Key: key, Value: value, Revision: next.revisions[i]})
	}
	appendQueueWrites(b, id, s.queue, next.queue)
	b.Writes = append(b.Writes, next.along...)
	next.along = nil
	return nil
}
