package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/store/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eachStore runs a test on a store in memory, and on one on disk.
func eachStore(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Run("memory", func(t *testing.T) {
		st := memory.New()
		defer st.Close()
		test(t, st)
	})
	t.Run("pebble", func(t *testing.T) {
		st := openPebble(t, t.TempDir())
		defer st.Close()
		test(t, st)
	})
}

func openPebble(tb testing.TB, dir string) store.Store {
	st, err := pebble.Open(dir, pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

func open(tb testing.TB, st store.Store, c eventlog.Config) *eventlog.Log {
	l, err := eventlog.Open(st, c)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

var start = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func submit(tb testing.TB, l *eventlog.Log, b store.Batch, entries ...eventlog.Entry) error {
	told := make(chan error, 1)
	l.Submit(b, entries, func(_ store.Position, err error) { told <- err })
	return <-told
}

func appendOne(tb testing.TB, l *eventlog.Log, key, body string, at time.Time) {
	tb.Helper()
	if err := submit(tb, l, store.Batch{}, eventlog.Entry{Stream: eventlog.Events, Key: key, Time: at, Body: []byte(body)}); err != nil {
		tb.Fatal(err)
	}
}

// all reads what there is from a position, and tells how it goes on.
func all(tb testing.TB, l *eventlog.Log, from eventlog.Position) (list []eventlog.Record, gaps []eventlog.Gap) {
	tb.Helper()
	r, err := l.Read(eventlog.Events, from)
	if err != nil {
		tb.Fatal(err)
	}
	end, err := l.End(eventlog.Events)
	if err != nil {
		tb.Fatal(err)
	}
	for !slices.Equal(r.Position(), end) {
		records, missed, err := r.Next(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		list, gaps = append(list, records...), append(gaps, missed...)
	}
	return list, gaps
}

func TestOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{})
		const devices, each = 20, 50
		var senders sync.WaitGroup
		for d := range devices {
			senders.Go(func() {
				var told sync.WaitGroup
				for i := range each {
					told.Add(1)
					e := eventlog.Entry{Stream: eventlog.Events, Key: fmt.Sprint(d), Time: start.Add(time.Duration(-i) * time.Second), Body: fmt.Appendf(nil, "%d/%d", d, i)}
					l.Submit(store.Batch{}, []eventlog.Entry{e}, func(_ store.Position, err error) {
						if err != nil {
							t.Error(err)
						}
						told.Done()
					})
				}
				told.Wait()
			})
		}
		senders.Wait()
		list, _ := all(t, l, make(eventlog.Position, 4))
		if len(list) != devices*each {
			t.Fatalf("%d records", len(list))
		}
		next, offset := map[int]uint64{}, map[int]uint64{}
		last, of := map[int]time.Time{}, map[int]int{}
		seen := map[int]int{}
		for _, r := range list {
			var d, i int
			fmt.Sscanf(string(r.Body), "%d/%d", &d, &i)
			if r.Sequence != next[r.Partition] || r.Offset != offset[r.Partition] || r.Time.Before(last[r.Partition]) {
				t.Fatalf("%d.%d at offset %d, %v; want %d at %d, not before %v", r.Partition, r.Sequence, r.Offset, r.Time, next[r.Partition], offset[r.Partition], last[r.Partition])
			}
			next[r.Partition]++
			offset[r.Partition] += uint64(16 + len(r.Body))
			last[r.Partition] = r.Time
			if p, ok := of[d]; ok && p != r.Partition {
				t.Fatalf("device %d is in partitions %d and %d", d, p, r.Partition)
			}
			of[d] = r.Partition
			if i != seen[d] {
				t.Fatalf("message %d of device %d, not %d", i, d, seen[d])
			}
			seen[d]++
		}
		if len(next) != 4 {
			t.Errorf("only the partitions %v are used", next)
		}
	})
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	st := openPebble(t, dir)
	l := open(t, st, eventlog.Config{Partitions: 2})
	for i := range 10 {
		appendOne(t, l, fmt.Sprint(i), "before", start.Add(time.Duration(i)))
	}
	before, _ := all(t, l, eventlog.Position{0, 0})
	st.Close()
	st = openPebble(t, dir)
	defer func() { st.Close() }()
	l = open(t, st, eventlog.Config{Partitions: 7}) // which comes too late
	if l.Partitions() != 2 {
		t.Fatalf("%d partitions", l.Partitions())
	}
	appendOne(t, l, "0", "after", start)
	list, _ := all(t, l, eventlog.Position{0, 0})
	if len(list) != 11 {
		t.Fatalf("%d records", len(list))
	}
	at := slices.IndexFunc(list, func(r eventlog.Record) bool { return string(r.Body) == "after" })
	after := list[at]
	for i, r := range slices.Delete(list, at, at+1) {
		if r.Sequence != before[i].Sequence || r.Partition != before[i].Partition || string(r.Body) != "before" {
			t.Errorf("record %d is %+v, not %+v", i, r, before[i])
		}
	}
	for _, r := range before {
		if r.Partition == after.Partition && (after.Sequence <= r.Sequence || after.Offset <= r.Offset || after.Time.Before(r.Time)) {
			t.Errorf("%+v comes after %+v", after, r)
		}
	}
	// Also if none of the old ones are left.
	if err := l.Trim(t.Context(), start.Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	end, _ := l.End(eventlog.Events)
	st.Close()
	st = openPebble(t, dir)
	l = open(t, st, eventlog.Config{})
	if again, _ := l.End(eventlog.Events); !slices.Equal(again, end) || slices.Equal(end, eventlog.Position{0, 0}) {
		t.Errorf("the end was %v and is %v", end, again)
	}
	if first, _ := l.Start(eventlog.Events); !slices.Equal(first, end) {
		t.Errorf("the log begins at %v, not %v", first, end)
	}
}

// A batch that the store refuses leaves a gap of numbers, and nothing else.
func TestRefusedBatch(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1})
		if err := l.Make("queue", eventlog.Retention{}); err != nil {
			t.Fatal(err)
		}
		conflict := store.Batch{Expect: []store.Expectation{{Key: []byte("x"), Revision: 5}}}
		e := eventlog.Entry{Stream: eventlog.Events, Key: "d", Time: start, Body: []byte("refused")}
		other := eventlog.Entry{Stream: "queue", Key: "d", Time: start, Body: []byte("refused")}
		appendOne(t, l, "d", "one", start)
		if err := submit(t, l, conflict, e); !errors.Is(err, store.ErrConflict) {
			t.Fatal(err)
		}
		if err := submit(t, l, conflict, other, e); !errors.Is(err, store.ErrConflict) {
			t.Fatal(err)
		}
		e.Body = make([]byte, eventlog.MaxBody+1)
		if err := submit(t, l, store.Batch{}, e); !errors.Is(err, store.ErrInvalid) {
			t.Fatal(err)
		}
		if info, _ := l.Info(eventlog.Events); info[0].Next != 1 {
			t.Errorf("%+v after refused batches", info)
		}
		appendOne(t, l, "d", "two", start)
		list, gaps := all(t, l, eventlog.Position{0})
		if len(list) != 2 || string(list[1].Body) != "two" || len(gaps) != 0 {
			t.Fatalf("%v, %v", list, gaps)
		}
		if list[1].Sequence != 4 || list[1].Offset <= list[0].Offset {
			t.Errorf("%+v", list[1])
		}
		if info, _ := l.Info("queue"); info[0].Next != 0 {
			t.Errorf("%+v of a stream that got nothing", info)
		}
		e.Body = make([]byte, eventlog.MaxBody)
		if err := submit(t, l, store.Batch{}, e); err != nil {
			t.Errorf("the largest body: %v", err)
		}
	})
}

// A batch may be submitted once more, after a conflict or before it: what the log
// adds to one is not in the way of what it adds to the other.
func TestBatchTwice(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1})
		b := store.Batch{Writes: make([]store.Write, 1, 8)}
		b.Writes[0] = store.Write{Key: []byte("x"), Value: []byte("fact"), Revision: 1}
		var told sync.WaitGroup
		for i := range 4 {
			told.Add(1)
			list := []eventlog.Entry{{Stream: eventlog.Events, Time: start, Body: fmt.Append(nil, i)}}
			if i%2 == 1 {
				list = append(list, eventlog.Entry{Stream: "nowhere"})
			}
			l.Submit(b, list, func(_ store.Position, err error) {
				if err != nil {
					t.Error(err)
				}
				told.Done()
			})
		}
		told.Wait()
		list, _ := all(t, l, eventlog.Position{0})
		for i, r := range list {
			if string(r.Body) != fmt.Sprint(i) {
				t.Errorf("entry %d is %q", i, r.Body)
			}
		}
		if len(list) != 4 || len(b.Writes) != 1 {
			t.Errorf("%d entries, %d writes", len(list), len(b.Writes))
		}
	})
}

func TestFactAndEntries(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{})
		if err := l.Make("queue", eventlog.Retention{}); err != nil {
			t.Fatal(err)
		}
		fact := store.Batch{Writes: []store.Write{{Key: []byte("x"), Value: []byte("fact"), Revision: 1}}}
		entries := []eventlog.Entry{
			{Stream: "queue", Key: "d", Time: start, Body: []byte("1")},
			{Stream: eventlog.Events, Key: "d", Time: start, Body: []byte("1")},
			{Stream: "nowhere", Key: "d", Time: start, Body: []byte("1")},
			{Stream: "queue", Key: "e", Time: start, Body: []byte("2")},
		}
		if err := submit(t, l, fact, entries...); err != nil {
			t.Fatal(err)
		}
		if list, _ := all(t, l, make(eventlog.Position, 4)); len(list) != 1 {
			t.Errorf("events has %v", list)
		}
		r, err := l.Read("queue", eventlog.Position{0})
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := r.Next(t.Context())
		if err != nil || len(list) != 2 || string(list[1].Body) != "2" {
			t.Errorf("queue has %v, %v", list, err)
		}
		v, _ := st.View()
		defer v.Close()
		if _, ok, _ := v.Get([]byte("x")); !ok {
			t.Error("the fact is not there")
		}
		if err := l.Remove("queue"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Info("queue"); !errors.Is(err, eventlog.ErrNoStream) {
			t.Errorf("of a removed stream: %v", err)
		}
		if err := l.Make("queue", eventlog.Retention{}); err != nil {
			t.Fatal(err)
		}
		if p, _ := l.End("queue"); p[0] != 0 {
			t.Errorf("the stream of the same name begins at %v", p)
		}
	})
}

func TestSince(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1})
		for i := range 9 {
			appendOne(t, l, "d", "x", start.Add(time.Duration(i/2)*time.Minute))
		}
		for after, want := range map[time.Duration]uint64{-time.Hour: 0, 0: 0, 1: 2, time.Minute: 2, 3*time.Minute + 1: 8, time.Hour: 9} {
			p, err := l.Since(eventlog.Events, start.Add(after))
			if err != nil || p[0] != want {
				t.Errorf("%v later: %v, %v, want %d", after, p, err, want)
			}
		}
	})
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		defer st.Close()
		l := open(t, st, eventlog.Config{})
		var readers sync.WaitGroup
		var mu sync.Mutex
		got := 0
		for range 3 {
			readers.Go(func() {
				r, err := l.Read(eventlog.Events, make(eventlog.Position, 4))
				if err != nil {
					t.Error(err)
					return
				}
				for n := 0; n < 2; {
					list, _, err := r.Next(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					n += len(list)
					mu.Lock()
					got += len(list)
					mu.Unlock()
				}
			})
		}
		for i := range 2 {
			synctest.Wait()
			if got != 3*i {
				t.Fatalf("%d records after %d entries", got, i)
			}
			appendOne(t, l, fmt.Sprint(i), "x", start)
		}
		readers.Wait()
		r, _ := l.Read(eventlog.Events, eventlog.Position{9, 9, 9, 9})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the end: %v", err)
		}
	})
}

// A position beyond the end, as of data that was restored from a copy, does not
// hide what comes.
func TestPositionBeyondTheEnd(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1})
		appendOne(t, l, "d", "old", start)
		r, err := l.Read(eventlog.Events, eventlog.Position{9})
		if err != nil {
			t.Fatal(err)
		}
		appendOne(t, l, "d", "new", start)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		list, gaps, err := r.Next(ctx)
		if err != nil || len(list) != 1 || string(list[0].Body) != "new" || len(gaps) != 0 {
			t.Errorf("%v, %v, %v", list, gaps, err)
		}
	})
}
