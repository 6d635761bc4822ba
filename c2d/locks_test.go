package c2d_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/fault"
)

func TestLocks(t *testing.T) {
	q := filled(t, 3, "")
	var l c2d.Locks
	next := func(at time.Time, skip func(uint64) bool) (sequence uint64, token string) {
		e, token, _ := l.Next(q, at, skip)
		return e.Sequence, token
	}
	first, token := next(start, nil)
	if first != 1 || !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(token) {
		t.Fatalf("message %d, token %s", first, token)
	}
	if n, other := next(start.Add(time.Second), nil); n != 2 || other == token {
		t.Errorf("then message %d, token %s", n, other)
	}
	if n, _ := next(start.Add(2*time.Second), func(sequence uint64) bool { return sequence == 3 }); n != 0 {
		t.Errorf("message %d, all are locked or skipped", n)
	}
	if at, ok := l.NextDeadline(); !ok || !at.Equal(start.Add(time.Minute)) {
		t.Errorf("the first lock ends at %s, %v", at, ok)
	}

	before, after := start.Add(time.Minute-1), start.Add(time.Minute)
	if n, err := l.Find(token, before); n != 1 || err != nil || !l.Held(1, before) {
		t.Errorf("the lock at its end: %d, %v", n, err)
	}
	if _, err := l.Find(token, after); !fault.Is(err, fault.DeviceMessageLockLost) || l.Held(1, after) {
		t.Errorf("the lock after its end: %v", err)
	}
	if _, err := l.Find("", before); !fault.Is(err, fault.DeviceMessageLockLost) {
		t.Errorf("no token: %v", err)
	}
	if e, _ := q.Find(1); e.DeliveryCount != 0 {
		t.Error("a lock that ends counts as abandoned")
	}
	if n, again := next(after, nil); n != 1 || again == token {
		t.Errorf("after the lock: message %d, token %s", n, again)
	}
	l.Release(2)
	if n, _ := next(after, nil); n != 2 {
		t.Errorf("after its release: message %d", n)
	}
}

func TestNothingExpiredIsLocked(t *testing.T) {
	q, _, _ := filled(t, 1, "").Enqueue(toDevice("2", "", start.Add(2*time.Hour)), start, rules)
	var l c2d.Locks
	if e, _, _ := l.Next(q, start.Add(time.Hour), nil); e.Sequence != 2 {
		t.Errorf("message %d", e.Sequence)
	}
	if _, _, ok := l.Next(nil, start, nil); ok {
		t.Error("a message out of nothing")
	}
}

// TestLocksAreBounded: locks of messages that left the queue behind its owner's
// back, and those whose time is over, do not pile up.
func TestLocksAreBounded(t *testing.T) {
	q := filled(t, c2d.MaxDepth, "")
	var l c2d.Locks
	for range 10 * c2d.MaxDepth {
		e, _, ok := l.Next(q, start, nil)
		if !ok {
			t.Fatal("no message")
		}
		q, _, _ = q.Complete(e.Sequence, start)
		q, _, _ = q.Enqueue(toDevice("", "", time.Time{}), start, rules)
		if n := l.Len(); n > c2d.MaxDepth {
			t.Fatalf("%d locks", n)
		}
	}
	for minutes := range 50 {
		l.Next(q, start.Add(time.Duration(minutes)*time.Minute), nil)
	}
	if n := l.Len(); n != 1 {
		t.Errorf("%d locks are left of those whose time is over", n)
	}
}
