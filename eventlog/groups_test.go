package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/store"
)

func TestGroups(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 2})
		for i := range eventlog.MaxGroups {
			if err := l.Keep(t.Context(), eventlog.Events, fmt.Sprint("group-", i), eventlog.Position{1, uint64(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Keep(t.Context(), eventlog.Events, "one-more", eventlog.Position{1, 1}); !errors.Is(err, eventlog.ErrGroups) {
			t.Errorf("one more: %v", err)
		}
		if err := l.Keep(t.Context(), eventlog.Events, "group-1", eventlog.Position{7, 7}); err != nil {
			t.Error(err)
		}
		if p, err := l.Kept(eventlog.Events, "group-1"); err != nil || p.String() != "7.7" {
			t.Errorf("%v, %v", p, err)
		}
		if err := l.Forget(t.Context(), eventlog.Events, "group-1"); err != nil {
			t.Error(err)
		}
		if p, err := l.Kept(eventlog.Events, "group-1"); err != nil || p != nil {
			t.Errorf("after it was forgotten: %v, %v", p, err)
		}
		for _, text := range []string{"", "1", "1.2.3", "1.x", "1.-2", "1.9223372036854775808"} {
			if _, err := l.ParsePosition(eventlog.Events, text); !errors.Is(err, eventlog.ErrPosition) {
				t.Errorf("%q: %v", text, err)
			}
		}
		if err := l.Keep(t.Context(), eventlog.Events, "a/b", eventlog.Position{1, 1}); err == nil {
			t.Error("a group a/b")
		}
	})
}

// The bound holds for groups that come at the same time, also if who makes them
// does not wait.
func TestGroupsAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var all sync.WaitGroup
		for i := range 3 * eventlog.MaxGroups {
			all.Go(func() {
				ctx := t.Context()
				if i%2 == 0 {
					ctx = gone
				}
				err := l.Keep(ctx, eventlog.Events, fmt.Sprint("group-", i), eventlog.Position{1})
				if err != nil && !errors.Is(err, eventlog.ErrGroups) && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := submit(t, l, store.Batch{}); err != nil { // after all others
			t.Fatal(err)
		}
		known, err := l.Groups(eventlog.Events)
		if err != nil || len(known) != eventlog.MaxGroups {
			t.Errorf("%d groups, %v", len(known), err)
		}
	})
}

// What is no position of the stream is not kept: it would be in the way of all.
func TestKeepNoPosition(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 2})
		for _, p := range []eventlog.Position{nil, {1}, {1, 2, 3}, {1, 1 << 63}} {
			if err := l.Keep(t.Context(), eventlog.Events, "g", p); !errors.Is(err, eventlog.ErrPosition) {
				t.Errorf("%v: %v", p, err)
			}
		}
		if known, err := l.Groups(eventlog.Events); err != nil || len(known) != 0 {
			t.Errorf("%v, %v", known, err)
		}
	})
}
