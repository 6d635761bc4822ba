package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
)

// partitionOf sends a message and looks where it went.
func partitionOf(t *testing.T, l *eventlog.Log, device string) int {
	t.Helper()
	from, err := l.End(eventlog.Events)
	if err != nil {
		t.Fatal(err)
	}
	appendOne(t, l, device, "x", start)
	list, _ := all(t, l, from)
	return list[0].Partition
}

// The partition of a device is part of the format: docs/formats/store.md.
func TestPartitionOfDevice(t *testing.T) {
	st := memory.New()
	defer st.Close()
	l := open(t, st, eventlog.Config{Partitions: 32})
	for device, want := range map[string]int{"": 18, "a": 13, "pump-7": 16, "thermostat-0001": 20, "Süd": 1} {
		if got := partitionOf(t, l, device); got != want {
			t.Errorf("device %q goes to partition %d, want %d", device, got, want)
		}
	}
}

// Devices spread over the partitions, also if their ids differ in little.
func TestDevicesSpread(t *testing.T) {
	for _, ids := range []string{"device-%04d", "%[1]d-%[1]d", "%x", "even%d0", "%08d@plant", "aa%[1]d%[1]d%[1]d%[1]daa"} {
		st := memory.New()
		l := open(t, st, eventlog.Config{Partitions: 8})
		const devices = 4000
		var entries []eventlog.Entry
		for i := range devices {
			entries = append(entries, eventlog.Entry{Stream: eventlog.Events, Key: fmt.Sprintf(ids, 2*i), Time: start})
		}
		if err := submit(t, l, store.Batch{}, entries...); err != nil {
			t.Fatal(err)
		}
		info, _ := l.Info(eventlog.Events)
		for _, p := range info {
			if p.Next < devices/8*3/4 || p.Next > devices/8*5/4 {
				t.Errorf("of %q partition %d has %d devices", ids, p.Partition, p.Next)
			}
		}
		st.Close()
	}
}

func TestNames(t *testing.T) {
	st := memory.New()
	defer st.Close()
	l := open(t, st, eventlog.Config{})
	for name, good := range map[string]bool{
		"a": true, "A-b_c.9": true, strings.Repeat("n", 64): true,
		"": false, "a/b": false, "a b": false, "a\x00": false, "ü": false, "$a": false, strings.Repeat("n", 65): false,
	} {
		if err := l.Make(name, eventlog.Retention{}); (err == nil) != good {
			t.Errorf("stream %q: %v", name, err)
		}
		if err := l.Keep(t.Context(), eventlog.Events, name, eventlog.Position{0, 0, 0, 0}); (err == nil) != (good || name == "$a") {
			t.Errorf("group %q: %v", name, err)
		}
	}
	for _, n := range []int{-1, eventlog.MaxPartitions + 1} {
		if _, err := eventlog.Open(st, eventlog.Config{Partitions: n}); err == nil {
			t.Errorf("a log of %d partitions", n)
		}
	}
}

// leftovers are the records of the log that are not of the built-in stream.
func leftovers(t *testing.T, st store.Store) (list []string) {
	t.Helper()
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for e, err := range v.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(e.Key), "events\x00") && string(e.Key) != "l\x00" {
			list = append(list, fmt.Sprintf("%q", e.Key))
		}
	}
	return list
}

func TestRemove(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1})
		fill := func(l *eventlog.Log) {
			t.Helper()
			if err := l.Make("queue", eventlog.Retention{}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := submit(t, l, store.Batch{}, eventlog.Entry{Stream: "queue", Time: start, Body: []byte("x")}); err != nil {
					t.Fatal(err)
				}
				// Now there is a note where the stream goes on.
				if err := l.Trim(t.Context(), start.AddDate(1, 0, 0)); err != nil {
					t.Fatal(err)
				}
			}
			if err := submit(t, l, store.Batch{}, eventlog.Entry{Stream: "queue", Time: start, Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			if err := l.Keep(t.Context(), "queue", "g", eventlog.Position{1}); err != nil {
				t.Fatal(err)
			}
			if n := len(leftovers(t, st)); n != 3 {
				t.Fatalf("%d records", n)
			}
		}
		fill(l)
		if err := l.Remove("queue"); err != nil {
			t.Fatal(err)
		}
		if list := leftovers(t, st); len(list) != 0 {
			t.Errorf("there are still %v", list)
		}
		if _, err := l.Read("queue", eventlog.Position{0}); !errors.Is(err, eventlog.ErrNoStream) {
			t.Errorf("read: %v", err)
		}
		if err := l.Keep(t.Context(), "queue", "g", eventlog.Position{1}); !errors.Is(err, eventlog.ErrNoStream) {
			t.Errorf("keep: %v", err)
		}
		fill(l)
		// One that is only in the store.
		l = open(t, st, eventlog.Config{})
		if err := l.Remove("queue"); err != nil {
			t.Fatal(err)
		}
		if list := leftovers(t, st); len(list) != 0 {
			t.Errorf("there are still %v", list)
		}
		for _, name := range []string{eventlog.Events, "", "a/b"} {
			if err := l.Remove(name); err == nil {
				t.Errorf("%q was removed", name)
			}
		}
	})
}

// Streams come and go while others send to them, read them and keep positions.
// What is left of a removed stream is nothing, and of a new one what was sent to
// it.
func TestRemoveWhileBusy(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 1})
		ctx, stop := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		again := func(do func()) {
			busy.Go(func() {
				for ctx.Err() == nil {
					do()
				}
			})
		}
		e := eventlog.Entry{Stream: "queue", Time: start, Body: []byte("x")}
		other := eventlog.Entry{Stream: eventlog.Events, Time: start, Body: []byte("x")}
		for range 3 {
			again(func() {
				if err := errors.Join(submit(t, l, store.Batch{}, e), submit(t, l, store.Batch{}, e, other, e)); err != nil {
					t.Error(err)
				}
			})
		}
		again(func() {
			if err := l.Keep(ctx, "queue", "g", eventlog.Position{1}); err != nil && !errors.Is(err, eventlog.ErrNoStream) && ctx.Err() == nil {
				t.Error(err)
			}
		})
		again(func() {
			if err := l.Trim(ctx, start.AddDate(1, 0, 0)); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
		again(func() {
			r, err := l.Read("queue", eventlog.Position{0})
			for err == nil {
				_, _, err = r.Next(ctx)
			}
			if !errors.Is(err, eventlog.ErrNoStream) && ctx.Err() == nil {
				t.Error(err)
			}
		})
		for range 50 {
			if err := l.Make("queue", eventlog.Retention{}); err != nil {
				t.Fatal(err)
			}
			if err := submit(t, l, store.Batch{}, e); err != nil {
				t.Fatal(err)
			}
			if err := l.Remove("queue"); err != nil {
				t.Fatal(err)
			}
			if list := leftovers(t, st); len(list) != 0 {
				t.Fatalf("there are still %v", list)
			}
		}
		stop()
		busy.Wait()
	})
}

// Whoever waits for a stream that is removed waits no longer.
func TestRemoveWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		defer st.Close()
		l := open(t, st, eventlog.Config{})
		if err := l.Make("queue", eventlog.Retention{}); err != nil {
			t.Fatal(err)
		}
		r, err := l.Read("queue", eventlog.Position{0})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, _, err := r.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		if err := l.Remove("queue"); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, eventlog.ErrNoStream) {
			t.Errorf("the reader ended with %v", err)
		}
	})
}

// The order of numbers is that of commits, whatever partitions a batch has entries
// for, and in whatever order.
func TestNumbersFollowCommits(t *testing.T) {
	eachStore(t, func(t *testing.T, st store.Store) {
		l := open(t, st, eventlog.Config{Partitions: 3})
		for _, name := range []string{"a", "b"} {
			if err := l.Make(name, eventlog.Retention{}); err != nil {
				t.Fatal(err)
			}
		}
		f, err := st.Follow()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const senders, each = 12, 60
		var all sync.WaitGroup
		sent := 0
		for s := range senders {
			for i := range each {
				n := (s*7+i*3)%5 + 1
				sent += n
				var entries []eventlog.Entry
				for k := range n {
					stream := []string{"a", eventlog.Events, "b"}[(s+k*i)%3]
					entries = append(entries, eventlog.Entry{Stream: stream, Key: fmt.Sprint(s * k), Time: start})
				}
				all.Add(1)
				go l.Submit(store.Batch{}, entries, func(_ store.Position, err error) {
					defer all.Done()
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		next := map[string]uint64{}
		for got := 0; got < sent; {
			commits, err := f.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range commits {
				for _, w := range c.Writes {
					part, sequence := w.Key[:len(w.Key)-8], w.Key[len(w.Key)-8:]
					if !slices.Equal(sequence, []byte{0, 0, 0, 0, 0, 0, byte(next[string(part)] >> 8), byte(next[string(part)])}) {
						t.Fatalf("entry %x of %q was committed when %d was next", sequence, part, next[string(part)])
					}
					next[string(part)]++
					got++
				}
			}
		}
		if len(next) != 5 {
			t.Errorf("%d partitions have entries, want 5", len(next))
		}
	})
}
