package eventlog_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
)

// keeps tells what a partition of the built-in stream keeps.
func keeps(t *testing.T, l *eventlog.Log) (n uint64) {
	t.Helper()
	info, err := l.Info(eventlog.Events)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range info {
		n += p.Next - p.First
	}
	return n
}

func TestRetentionIsChecked(t *testing.T) {
	st := memory.New()
	defer st.Close()
	l := open(t, st, eventlog.Config{})
	for _, keep := range []eventlog.Retention{
		{Age: time.Second}, {Age: -time.Hour}, {Age: 8 * 24 * time.Hour}, {Bytes: -1},
	} {
		if err := l.Make("queue", keep); err == nil {
			t.Errorf("%+v was taken", keep)
		}
		if _, err := eventlog.Open(st, eventlog.Config{Retention: keep}); err == nil {
			t.Errorf("%+v was taken for the built-in stream", keep)
		}
	}
	if err := l.Make("queue", eventlog.Retention{Age: time.Minute, Bytes: 1}); err != nil {
		t.Error(err)
	}
}

func TestTrim(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1, Retention: eventlog.Retention{Age: time.Hour, Bytes: 10 * 116}})
		for i := range 20 {
			appendOne(t, l, "d", fmt.Sprintf("%0100d", i), start.Add(time.Duration(i)*10*time.Minute))
		}
		trimmed := func(now time.Time, want uint64) {
			t.Helper()
			if err := l.Trim(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			info, _ := l.Info(eventlog.Events)
			list, gaps := all(t, l, eventlog.Position{0})
			if info[0].First != want || uint64(len(list)) != 20-want || len(list) > 0 && list[0].Sequence != want {
				t.Errorf("from %d, %d records; want them from %d", info[0].First, len(list), want)
			}
			if len(gaps) != 1 || gaps[0].From != 0 || gaps[0].To != want {
				t.Errorf("gaps %v", gaps)
			}
		}
		trimmed(start, 10)                      // too many
		trimmed(start.Add(220*time.Minute), 16) // too old
		trimmed(start.Add(10*time.Hour), 20)
		appendOne(t, l, "d", "new", start)
		if list, _ := all(t, l, eventlog.Position{20}); len(list) != 1 || list[0].Sequence != 20 || list[0].Offset != 20*116 {
			t.Errorf("after all were forgotten: %+v", list)
		}
	})
}

// Entries go when they are older than the bound by a sixteenth, and not before:
// each time is a range deletion. The ranges lie side by side.
func TestTrimInSteps(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1, Retention: eventlog.Retention{Age: 16 * time.Hour}})
		f, err := st.Follow()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const entries = 100
		for i := range entries {
			appendOne(t, l, "d", "x", start.Add(time.Duration(i)*10*time.Minute))
		}
		for i := range 6 * (16 + 24) {
			now := start.Add(time.Duration(i) * 10 * time.Minute)
			if err := l.Trim(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			list, _ := all(t, l, eventlog.Position{0})
			if len(list) > 0 && now.Sub(list[0].Time) > 17*time.Hour {
				t.Fatalf("at %v there is an entry of %v", now, list[0].Time)
			}
			if missing := entries - len(list); missing > 0 && now.Sub(start.Add(time.Duration(missing-1)*10*time.Minute)) <= 16*time.Hour {
				t.Fatalf("at %v %d entries are gone", now, missing)
			}
		}
		if err := submit(t, l, store.Batch{Events: [][]byte{[]byte("the last commit")}}); err != nil {
			t.Fatal(err)
		}
		var cleared []store.Range
		for ended := false; !ended; {
			commits, err := f.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range commits {
				cleared = append(cleared, c.Clear...)
				ended = ended || len(c.Events) > 0
			}
		}
		// 100 entries in steps of seven: those of an hour, and one.
		if n := len(cleared); n < 14 || n > 16 {
			t.Errorf("%d ranges were cleared", n)
		}
		for i := 1; i < len(cleared); i++ {
			if !slices.Equal(cleared[i-1].End, cleared[i].Start) {
				t.Errorf("%x was cleared after %x", cleared[i].Start, cleared[i-1].End)
			}
		}
	})
}

// Run looks at the clock, and at once when much has come.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		defer st.Close()
		l := open(t, st, eventlog.Config{Partitions: 1, Retention: eventlog.Retention{Age: time.Minute, Bytes: 4 << 20}})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.Run(ctx, slog.New(slog.DiscardHandler)) })
		defer running.Wait()
		defer stop()
		appendOne(t, l, "d", "x", time.Now())
		time.Sleep(time.Minute)
		if n := keeps(t, l); n != 1 {
			t.Errorf("%d entries after a minute", n)
		}
		time.Sleep(30 * time.Second)
		if n := keeps(t, l); n != 0 {
			t.Errorf("%d entries after a minute and a half", n)
		}
		// Some 16 MiB at once: no clock helps here.
		for range 16 * 16 {
			appendOne(t, l, "d", string(make([]byte, 64<<10)), time.Now())
			synctest.Wait()
			if n := keeps(t, l); n > 4*16+4+4 {
				t.Fatalf("%d entries of 64 KiB are kept", n)
			}
		}
		if n := keeps(t, l); n < 4*16-1 {
			t.Errorf("%d entries of 64 KiB are kept", n)
		}
	})
}

// A reader that is overtaken hears exactly what it has missed.
func TestOvertaken(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		const entries, step = 30_000, 100
		l := open(t, st, eventlog.Config{Partitions: 2, Retention: eventlog.Retention{Bytes: 1000 * 20}})
		r, err := l.Read(eventlog.Events, eventlog.Position{0, 0})
		if err != nil {
			t.Fatal(err)
		}
		var writers sync.WaitGroup
		writers.Go(func() {
			for i := range entries / step {
				var batch []eventlog.Entry
				for j := range step {
					batch = append(batch, eventlog.Entry{
						Stream: eventlog.Events, Key: fmt.Sprint(j), Time: start.Add(time.Duration(i)), Body: fmt.Appendf(nil, "%04d", j),
					})
				}
				if err := submit(t, l, store.Batch{}, batch...); err != nil {
					t.Error(err)
				}
				if i%7 == 0 {
					if err := l.Trim(t.Context(), start); err != nil {
						t.Error(err)
					}
				}
			}
		})
		next := make(eventlog.Position, 2)
		read, missed := uint64(0), uint64(0)
		for read+missed < entries {
			records, gaps, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range gaps {
				if g.From != next[g.Partition] || g.To <= g.From {
					t.Fatalf("gap %+v, the reader is at %v", g, next)
				}
				next[g.Partition] = g.To
				missed += g.To - g.From
			}
			for _, e := range records {
				if e.Sequence != next[e.Partition] {
					t.Fatalf("entry %d of partition %d, the reader is at %v", e.Sequence, e.Partition, next)
				}
				next[e.Partition]++
				read++
			}
			if !slices.Equal(next, r.Position()) {
				t.Fatalf("the reader is at %v, and says %v", next, r.Position())
			}
		}
		writers.Wait()
		t.Logf("%d read, %d missed", read, missed)
		// One that comes late has missed most.
		if _, gaps := all(t, l, eventlog.Position{0, 0}); len(gaps) != 2 {
			t.Errorf("gaps %v", gaps)
		}
	})
}

// Trimming by age and by acknowledgement at the same time must not turn the
// partition's numbers back.
func TestReleaseAndTrim(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{})
		if err := l.Make("queue", eventlog.Retention{}); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		stop := make(chan struct{})
		forget := func(do func() error) {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := do(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		forget(func() error { return l.Trim(t.Context(), start.Add(100*time.Hour)) })
		forget(func() error { return l.Release(t.Context(), "queue", 1<<40) })
		const batches, each = 30, 2000
		first := uint64(0)
		for range batches {
			entries := make([]eventlog.Entry, each)
			for i := range entries {
				entries[i] = eventlog.Entry{Stream: "queue", Time: start, Body: []byte("x")}
			}
			if err := submit(t, l, store.Batch{}, entries...); err != nil {
				t.Fatal(err)
			}
			info, _ := l.Info("queue")
			if info[0].First < first {
				t.Fatalf("the first entry is %d, and was %d", info[0].First, first)
			}
			first = info[0].First
		}
		close(stop)
		all.Wait()
		if err := l.Trim(t.Context(), start.Add(100*time.Hour)); err != nil {
			t.Fatal(err)
		}
		again := open(t, st, eventlog.Config{})
		if err := again.Make("queue", eventlog.Retention{}); err != nil {
			t.Fatal(err)
		}
		if end, _ := again.End("queue"); end[0] != batches*each {
			t.Errorf("the stream goes on at %d, want %d", end[0], batches*each)
		}
		if err := l.Release(t.Context(), eventlog.Events, 1); err == nil {
			t.Error("the built-in stream was released by one of its readers")
		}
	})
}

func TestRelease(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{})
		if err := l.Make("queue", eventlog.Retention{}); err != nil {
			t.Fatal(err)
		}
		var entries []eventlog.Entry
		for range 5000 {
			entries = append(entries, eventlog.Entry{Stream: "queue", Time: start, Body: []byte("x")})
		}
		if err := submit(t, l, store.Batch{}, entries...); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct{ before, first uint64 }{{100, 0}, {4095, 0}, {4200, 4200}, {5000, 4200}} {
			if err := l.Release(t.Context(), "queue", step.before); err != nil {
				t.Fatal(err)
			}
			if info, _ := l.Info("queue"); info[0].First != step.first {
				t.Errorf("released before %d: the first is %d, want %d", step.before, info[0].First, step.first)
			}
		}
	})
}
