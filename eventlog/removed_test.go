package eventlog

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
)

// Whoever has found a stream just before it was removed leaves nothing of it
// behind: this test lets them find it afterwards.
func TestFoundBeforeItWasRemoved(t *testing.T) {
	st := memory.New()
	defer st.Close()
	l, err := Open(st, Config{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Make("queue", Retention{}); err != nil {
		t.Fatal(err)
	}
	submit := func(entries ...Entry) {
		t.Helper()
		told := make(chan error, 1)
		l.Submit(store.Batch{}, entries, func(_ store.Position, err error) { told <- err })
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
	e, other := Entry{Stream: "queue", Time: time.Unix(1, 0)}, Entry{Stream: Events, Time: time.Unix(1, 0)}
	submit(e, e)
	s, err := l.stream("queue")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Remove("queue"); err != nil {
		t.Fatal(err)
	}
	l.streams["queue"] = s
	submit(e)
	submit(e, other, e)
	if err := l.forget(t.Context(), s.parts[0], 2); err != nil {
		t.Error(err)
	}
	if err := l.Keep(t.Context(), "queue", "g", Position{1}); !errors.Is(err, ErrNoStream) {
		t.Errorf("keep: %v", err)
	}
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	n := 0
	for e, err := range v.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		t.Logf("%q", e.Key)
	}
	if n != 2 {
		t.Errorf("%d records, want the number of partitions, and the entry of the other stream", n)
	}
}

// Entries are forgotten by age and by acknowledgement at the same time: the lower
// of two bounds comes too late, and changes nothing.
func TestForgetDoesNotGoBack(t *testing.T) {
	st := memory.New()
	defer st.Close()
	l, err := Open(st, Config{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := l.stream(Events)
	for range 9 {
		told := make(chan error, 1)
		l.Submit(store.Batch{}, []Entry{{Stream: Events}}, func(_ store.Position, err error) { told <- err })
		if err := <-told; err != nil {
			t.Fatal(err)
		}
	}
	for _, before := range []uint64{5, 3, 5, 0, 7} {
		if err := l.forget(t.Context(), s.parts[0], before); err != nil {
			t.Errorf("before %d: %v", before, err)
		}
		if first := s.parts[0].first.Load(); first != max(before, 5) {
			t.Errorf("before %d: the first one is %d", before, first)
		}
	}
}

// TestRemoveOthers: streams of earlier runs go, with all that is kept of them, and
// those of this one stay.
func TestRemoveOthers(t *testing.T) {
	st := memory.New()
	defer st.Close()
	open := func(streams ...string) *Log {
		l, err := Open(st, Config{Partitions: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range streams {
			if err := l.Make(name, Retention{}); err != nil {
				t.Fatal(err)
			}
		}
		return l
	}
	l := open("a", "ab", "b", "c")
	for _, name := range []string{"a", "ab", "b", Events} {
		told := make(chan error, 1)
		l.Submit(store.Batch{}, []Entry{{Stream: name, Time: time.Unix(1, 0)}}, func(_ store.Position, err error) { told <- err })
		if err := <-told; err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"b", "c"} {
		if err := l.Keep(t.Context(), name, "g", Position{0}); err != nil {
			t.Fatal(err)
		}
	}
	l = open("ab")
	if err := l.RemoveOthers(); err != nil {
		t.Fatal(err)
	}
	if names, err := l.stored(); err != nil || !slices.Equal(names, []string{"ab", Events}) {
		t.Errorf("there are %q, %v", names, err)
	}
	for _, name := range []string{"ab", Events} {
		if at, err := l.End(name); err != nil || at.String() == "0" || at.String() == "0.0.0" {
			t.Errorf("%s ends at %v, %v", name, at, err)
		}
	}
	if l = open(); l.Partitions() != 3 {
		t.Errorf("%d partitions", l.Partitions())
	}
}
