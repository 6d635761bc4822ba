package hub

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

const (
	// sampleTime is how often back ends are told which identities have come and
	// gone (messaging-and-auth sheet, 6.3).
	sampleTime = time.Minute
	// maxChanges is how many identities may come or go between two samples. At
	// half of that the next sample comes early, so it takes a very fast fleet, and
	// a slow disk, to get beyond it; then events are dropped, and counted.
	maxChanges = 200_000
)

// connectionStates tells back ends of identities that come and go. One is there
// when its connection has been used: to send, or to receive messages or methods.
// Every minute it is compared with what it was a minute before, and only a
// difference is told: a device that loses its connection and comes back is not
// news. Nothing is remembered while no route wants to know.
//
// What is remembered is lost with the process. After that all identities come
// anew; that some have gone is not told.
type connectionStates struct {
	table *presence.Table
	out   *outgoing

	// mu is held while a link comes, goes or gets used, and the change is noted.
	mu      sync.Mutex
	changed map[device.ID]stateChange
	sooner  chan struct{} // has a value when the next sample must not wait

	// What follows is the sampler's.
	run      uint64 // of the hub, on its store
	newest   uint64 // time in a sequence number
	sequence uint64
}

// stateChange is of an identity that has come or gone since the last sample.
type stateChange struct {
	before bool      // whether it was there then
	at     time.Time // of the last change
}

// enter puts a link into the table and returns the one that it displaces.
func (s *connectionStates) enter(l *presence.Link) (displaced *presence.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	displaced = s.table.Enter(l)
	if displaced == l {
		return nil
	}
	if displaced != nil && displaced.Used() {
		s.note(l.ID, true)
	}
	return displaced
}

// use says that a link is used.
func (s *connectionStates) use(l *presence.Link) {
	if l.Used() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.Use() && s.table.Find(l.ID) == l {
		s.note(l.ID, false)
	}
}

// leave takes a link out of the table, and tells whether it was there.
func (s *connectionStates) leave(l *presence.Link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.table.Leave(l) {
		return false
	}
	if l.Used() {
		s.note(l.ID, true)
	}
	return true
}

// note remembers what an identity was before its first change. The caller holds mu.
func (s *connectionStates) note(id device.ID, before bool) {
	if !s.wanted() {
		return
	}
	c, ok := s.changed[id]
	switch {
	case !ok && len(s.changed) >= maxChanges:
		s.out.counts.dropped.Add(1)
		return
	case !ok:
		c.before = before
	}
	c.at = now()
	s.changed[id] = c
	if len(s.changed) >= maxChanges/2 {
		select {
		case s.sooner <- struct{}{}:
		default:
		}
	}
}

func (s *connectionStates) wanted() bool {
	return s.out.routing.Load().table.Wants(message.DeviceConnectionStateEvents)
}

// take gives the differences since the last sample, in the order of their times.
func (s *connectionStates) take() []Event {
	s.mu.Lock()
	changed := s.changed
	s.changed = map[device.ID]stateChange{}
	s.mu.Unlock()
	var list []Event
	for id, c := range changed {
		switch there := s.then(id); {
		case there == c.before:
		case there:
			list = append(list, Event{Kind: Connected, ID: id, Time: c.at})
		default:
			list = append(list, Event{Kind: Disconnected, ID: id, Time: c.at})
		}
	}
	slices.SortFunc(list, func(a, b Event) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID.String(), b.ID.String())) })
	return list
}

// then tells whether an identity was there when the sample was taken: as it is now,
// unless it has changed meanwhile.
func (s *connectionStates) then(id device.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.changed[id]; ok {
		return c.before
	}
	l := s.table.Find(id)
	return l != nil && l.Used()
}

// untold takes differences back that could not be told: the next sample has them,
// unless identities are by then what they were.
func (s *connectionStates) untold(events []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		c, ok := s.changed[e.ID]
		if !ok && len(s.changed) >= maxChanges {
			s.out.counts.dropped.Add(1)
			continue
		}
		if !ok {
			c.at = e.Time
		}
		c.before = e.Kind == Disconnected
		s.changed[e.ID] = c
	}
}

// message makes the message that tells of a difference.
func (s *connectionStates) message(e Event) *message.Event {
	f := connectedFact
	if e.Kind == Disconnected {
		f = disconnectedFact
	}
	body := fmt.Appendf(nil, `{"sequenceNumber":"%s"}`, s.next(e.Time))
	return s.out.envelope(f, e, c2d.NewToken(), body)
}

// next is a sequence number: 64 hexadecimal digits that grow, also when the hub
// starts anew and when its clock is set back (messaging-and-auth sheet, 6.2). They
// are the run of the hub, the time in 100 ns since 1601, as the cloud has it, and
// a counter.
func (s *connectionStates) next(at time.Time) string {
	const to1970 = 116_444_736_000_000_000
	s.newest = max(s.newest, uint64(at.UnixNano()/100+to1970))
	s.sequence++
	return fmt.Sprintf("%016X%016X%032X", s.run, s.newest, s.sequence)
}

// tellStates tells of identities that come and go, until ctx ends; then of those
// that went with the hub.
func (h *Hub) tellStates(ctx context.Context) {
	tick := time.NewTicker(sampleTime)
	defer tick.Stop()
	for {
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		case <-h.states.sooner:
		}
		if err := h.tellDifferences(); err != nil {
			h.log.Error("tell of connections", slog.Any("error", err))
		}
		if ended {
			return
		}
	}
}

// maxToldTogether is how many events of connections are in one commit.
const maxToldTogether = 500

// tellDifferences tells what has changed since the last sample. What can't be told
// counts as changed until the next one. The error is the first of all.
func (h *Hub) tellDifferences() (failure error) {
	failed := func(events []Event, err error) {
		h.states.untold(events)
		if failure == nil {
			failure = err
		}
	}
	for part := range slices.Chunk(h.states.take(), maxToldTogether) {
		r := h.out.routing.Load()
		told := part[:0]
		var entries []eventlog.Entry
		for _, e := range part {
			var t *twin.Twin
			if r.table.UsesTwin(message.DeviceConnectionStateEvents) {
				state, err := h.heads.read(e.ID)
				if err != nil {
					failed([]Event{e}, err)
					continue
				}
				t = state.twin
			}
			list, _ := h.out.route(r, h.states.message(e), t)
			entries, told = append(entries, list...), append(told, e)
		}
		decided := make(chan error, 1)
		h.events.Submit(store.Batch{}, entries, func(_ store.Position, err error) { decided <- err })
		if err := <-decided; err != nil {
			failed(told, err)
		}
	}
	return failure
}
