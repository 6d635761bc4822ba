package hub

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/route"
)

// newStates makes the states of a hub with a route for them, in a run.
func newStates(t *testing.T, run uint64) *connectionStates {
	t.Helper()
	c := route.Config{Routes: []route.Route{{Name: "r", Source: message.DeviceConnectionStateEvents.String(), Endpoints: []string{route.BuiltIn}}}}
	table, err := route.Compile(c, "h")
	if err != nil {
		t.Fatal(err)
	}
	out := &outgoing{hubName: "h", log: slog.New(slog.DiscardHandler)}
	out.routing.Store(&routing{config: c, table: table})
	return &connectionStates{table: new(presence.Table), out: out, run: run, changed: map[device.ID]stateChange{}, sooner: make(chan struct{}, 1)}
}

// TestStateNumbersGrow, also when the clock is set back and when the hub starts
// anew; the time is that of the sheet's example.
func TestStateNumbersGrow(t *testing.T) {
	at := time.Date(2022, 5, 26, 20, 34, 16, 299445200, time.UTC)
	last := ""
	for run := range uint64(3) {
		s := newStates(t, run)
		for n := range 40 {
			next := s.next(at.Add(-time.Duration(n%7) * time.Hour).Add(-time.Duration(run) * 24 * time.Hour))
			if next <= last || len(next) != 64 {
				t.Errorf("%s after %s", next, last)
			}
			last = next
		}
	}
	if got, want := newStates(t, 7).next(at), "000000000000000701D8713FF7E0851400000000000000000000000000000001"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestStatesAreBounded: a sample comes early, and what is too much is counted.
func TestStatesAreBounded(t *testing.T) {
	s := newStates(t, 1)
	come := func(n int) {
		l := &presence.Link{ID: device.ID{Device: fmt.Sprint(n)}}
		s.enter(l)
		s.use(l)
	}
	for n := range maxChanges/2 - 1 {
		come(n)
	}
	if len(s.sooner) != 0 {
		t.Error("the next sample comes early")
	}
	for n := range maxChanges/2 + 11 {
		come(maxChanges + n)
	}
	if len(s.sooner) != 1 || len(s.changed) != maxChanges || s.out.counts.dropped.Load() != 10 {
		t.Errorf("%d are remembered, %d dropped", len(s.changed), s.out.counts.dropped.Load())
	}
	if n := len(s.take()); n != maxChanges || len(s.changed) != 0 {
		t.Errorf("%d are told, %d remembered", n, len(s.changed))
	}
}

// TestStatesAlternate: whatever happens while samples are taken, each identity
// comes and goes by turns, and the last that is told of it is what it is.
func TestStatesAlternate(t *testing.T) {
	s := newStates(t, 1)
	const identities, enough = 8, 1000
	var work sync.WaitGroup
	var ended atomic.Bool
	for n := range identities {
		id := device.ID{Device: fmt.Sprint(n)}
		work.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			l := &presence.Link{ID: id}
			s.enter(l)
			for !ended.Load() {
				switch r.IntN(3) {
				case 0:
					s.use(l)
				case 1:
					s.leave(l)
					l = &presence.Link{ID: id}
					s.enter(l)
				case 2:
					old := l
					l = &presence.Link{ID: id}
					s.enter(l)
					s.use(old)
					s.leave(old)
				}
			}
		})
	}
	there := map[device.ID]bool{}
	sample := func() (n int) {
		for _, e := range s.take() {
			n++
			if there[e.ID] == (e.Kind == Connected) {
				t.Errorf("%s is told to be what it was: %v", e.ID, there[e.ID])
			}
			there[e.ID] = e.Kind == Connected
		}
		return n
	}
	for told := 0; told < enough; {
		told += sample()
	}
	ended.Store(true)
	work.Wait()
	sample()
	for n := range identities {
		id := device.ID{Device: fmt.Sprint(n)}
		if l := s.table.Find(id); there[id] != l.Used() {
			t.Errorf("%s is told to be there: %v", id, there[id])
		}
	}
}
