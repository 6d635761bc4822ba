package c2d_test

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/fault"
)

// waiting is a message as the model sees it.
type waiting struct {
	sequence  uint64
	expiry    time.Time
	tries     int
	delivered bool
	token     string // of its lock, also when that is over; "" for none
	until     time.Time
}

// model is the queue and its locks in the plainest way: one list, changed in
// place.
type model struct {
	now  time.Time
	last uint64
	list []waiting
	gone []string // sequence number and status of all that left, in order
}

func (m *model) held(w waiting) bool { return w.token != "" && m.now.Before(w.until) }

func (m *model) find(sequence uint64) *waiting {
	for i := range m.list {
		if m.list[i].sequence == sequence {
			return &m.list[i]
		}
	}
	return nil
}

func (m *model) leave(status c2d.Status, leaves func(waiting) bool) {
	m.list = slices.DeleteFunc(m.list, func(w waiting) bool {
		if leaves(w) {
			m.gone = append(m.gone, strconv.FormatUint(w.sequence, 10)+" "+string(status))
			return true
		}
		return false
	})
}

// machine runs both.
type machine struct {
	model
	q      *c2d.Queue
	locks  c2d.Locks
	tokens []string // all that ever were
	gone   []string // as the queue's outcomes say it
}

func (s *machine) out(list ...c2d.Outcome) {
	for _, o := range list {
		s.gone = append(s.gone, strconv.FormatUint(o.Sequence, 10)+" "+string(o.Status))
	}
}

// token draws one that was given, and finds what it locks in the model.
func (s *machine) token(t *rapid.T) (string, *waiting) {
	if len(s.tokens) == 0 {
		return "none", nil
	}
	token := rapid.SampledFrom(s.tokens[max(0, len(s.tokens)-5):]).Draw(t, "token")
	for i, w := range s.list {
		if w.token == token && s.held(w) {
			return token, &s.list[i]
		}
	}
	return token, nil
}

// settled looks up a token in the locks, and compares with the model.
func (s *machine) settled(t *rapid.T) (uint64, bool) {
	token, w := s.token(t)
	sequence, err := s.locks.Find(token, s.now)
	if w == nil {
		// A lock may outlast its message; settling that finds nothing.
		if err == nil && s.find(sequence) != nil || err != nil && !fault.Is(err, fault.DeviceMessageLockLost) {
			t.Fatalf("a token that is over finds message %d, %v", sequence, err)
		}
		return 0, false
	}
	if err != nil || sequence != w.sequence {
		t.Fatalf("token of message %d: %d, %v", w.sequence, sequence, err)
	}
	s.locks.Release(sequence)
	w.token = ""
	return sequence, true
}

func (s *machine) enqueue(t *rapid.T) {
	expiry := s.now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "seconds")) * time.Second)
	q, e, err := s.q.Enqueue(toDevice("m", "full", expiry), s.now, limits)
	if len(s.list) == c2d.MaxDepth {
		if !fault.Is(err, fault.DeviceMaximumQueueDepthExceeded) {
			t.Fatalf("full, and %v", err)
		}
		return
	}
	s.last++
	if err != nil || e.Sequence != s.last {
		t.Fatalf("message %d: %+v, %v", s.last, e, err)
	}
	s.q = q
	s.list = append(s.list, waiting{sequence: s.last, expiry: expiry})
}

var limits = c2d.Rules{DefaultTTL: time.Hour, MaxDeliveryCount: 2}

func (s *machine) next(t *rapid.T) {
	skip := rapid.Uint64Range(0, s.last).Draw(t, "skip")
	var want *waiting
	for i, w := range s.list {
		if !s.held(w) && s.now.Before(w.expiry) && w.sequence != skip {
			want = &s.list[i]
			break
		}
	}
	e, token, ok := s.locks.Next(s.q, s.now, func(sequence uint64) bool { return sequence == skip })
	if ok != (want != nil) || ok && e.Sequence != want.sequence {
		t.Fatalf("locked %d, %v; want %+v", e.Sequence, ok, want)
	}
	if ok {
		want.token, want.until, want.delivered = token, s.now.Add(time.Minute), true
		s.tokens = append(s.tokens, token)
		s.q = s.q.Deliver(e.Sequence)
	}
}

func (s *machine) complete(t *rapid.T) {
	if sequence, ok := s.settled(t); ok {
		q, out, _ := s.q.Complete(sequence, s.now)
		s.q = q
		s.out(out)
		s.leave(c2d.Success, func(w waiting) bool { return w.sequence == sequence })
	}
}

func (s *machine) reject(t *rapid.T) {
	if sequence, ok := s.settled(t); ok {
		q, out, _ := s.q.Reject(sequence, s.now)
		s.q = q
		s.out(out)
		s.leave(c2d.Rejected, func(w waiting) bool { return w.sequence == sequence })
	}
}

func (s *machine) abandon(t *rapid.T) {
	if sequence, ok := s.settled(t); ok {
		q, out, _ := s.q.Abandon(sequence, s.now, limits)
		s.q = q
		s.out(out...)
		s.find(sequence).tries++
		s.leave(c2d.DeliveryCountExceeded, func(w waiting) bool { return w.tries > 2 })
	}
}

// late is an acknowledgement by sequence number, whatever the locks say.
func (s *machine) late(t *rapid.T) {
	sequence := rapid.Uint64Range(0, s.last+1).Draw(t, "sequence")
	q, out, ok := s.q.Complete(sequence, s.now)
	if ok != (s.find(sequence) != nil) {
		t.Fatalf("late for %d: %v", sequence, ok)
	}
	if ok {
		s.q = q
		s.out(out)
		s.leave(c2d.Success, func(w waiting) bool { return w.sequence == sequence })
	}
}

func (s *machine) expire(*rapid.T) {
	q, out := s.q.Expire(s.now, func(sequence uint64) bool { return s.locks.Held(sequence, s.now) })
	s.q = q
	s.out(out...)
	s.leave(c2d.Expired, func(w waiting) bool { return !s.now.Before(w.expiry) && !s.held(w) })
}

func (s *machine) purge(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "really") > 0 {
		return // seldom, for others to have queues that are full
	}
	q, out := s.q.Purge(s.now)
	s.q = q
	s.out(out...)
	s.leave(c2d.Purged, func(waiting) bool { return true })
}

func (s *machine) wait(t *rapid.T) {
	s.now = s.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
}

// restart loses the locks, and nothing else.
func (s *machine) restart(t *rapid.T) {
	if s.q == nil {
		return
	}
	q, err := c2d.Decode(s.q.AppendBinary(nil))
	if err != nil {
		t.Fatal(err)
	}
	s.q, s.locks = q, c2d.Locks{}
	for i := range s.list {
		s.list[i].token = ""
	}
}

func (s *machine) check(t *rapid.T) {
	type brief struct {
		Sequence uint64
		Expiry   time.Time
		Count    int
		Held     bool
		Sent     bool
	}
	var got, want []brief
	for _, e := range s.q.Entries() {
		got = append(got, brief{e.Sequence, e.Expiry, e.DeliveryCount, s.locks.Held(e.Sequence, s.now), e.Delivered})
	}
	for _, w := range s.list {
		want = append(want, brief{w.sequence, w.expiry, w.tries, s.held(w), w.delivered})
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff(s.model.gone, s.gone); d != "" {
		t.Fatal(d)
	}
}

// TestHistories runs random histories on a queue with its locks, and on a model of
// them. No step may change the queue that it begins with.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &machine{model: model{now: start}}
		var old *c2d.Queue
		var text []byte
		steps := map[string]func(*rapid.T){
			"enqueue": s.enqueue, "next": s.next, "complete": s.complete, "reject": s.reject, "abandon": s.abandon,
			"late": s.late, "expire": s.expire, "purge": s.purge, "wait": s.wait, "restart": s.restart, "": s.check,
		}
		for _, again := range []string{" 2", " 3"} { // else most queues would be empty
			steps["enqueue"+again], steps["next"+again] = s.enqueue, s.next
		}
		for name, step := range steps {
			if name == "" {
				continue
			}
			steps[name] = func(t *rapid.T) {
				if old = s.q; old != nil {
					text = old.AppendBinary(nil)
				}
				step(t)
				if old != nil && !bytes.Equal(old.AppendBinary(nil), text) {
					t.Fatalf("%s changed the queue in place", name)
				}
			}
		}
		t.Repeat(steps)
	})
}
