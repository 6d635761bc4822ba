package eventlog_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/pebble"
)

func openOn(t *testing.T, fs vfs.FS) store.Store {
	t.Helper()
	st, err := pebble.Open("hub", pebble.Options{FS: fs, Logger: slog.New(slog.DiscardHandler), CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// told is what senders have been told, and what readers have seen.
type told struct {
	mu    sync.Mutex
	acked map[string]uint64 // the last message of each device
}

func (a *told) note(device string, n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acked[device] = n
}

func (a *told) copy() map[string]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.acked)
}

// send lets a device send messages until stop is closed: each is a fact, which
// says how many there are, and an entry of two streams with the number.
func send(t *testing.T, l *eventlog.Log, device string, n uint64, stop <-chan struct{}, a *told) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		n++
		body := binary.BigEndian.AppendUint64([]byte(device+" "), n)
		b := store.Batch{Writes: []store.Write{{Key: []byte("d" + device), Value: body, Revision: 1}}}
		at := start.Add(time.Duration(n) * time.Second)
		if n%5 == 0 { // and now and then one that is refused
			refused := store.Batch{Expect: []store.Expectation{{Key: []byte("nothing"), Revision: 1}}}
			if submit(t, l, refused, eventlog.Entry{Stream: eventlog.Events, Key: device, Time: at, Body: []byte("refused!")}) == nil {
				t.Error("the batch was not refused")
			}
		}
		err := submit(t, l, b,
			eventlog.Entry{Stream: "queue", Key: device, Time: at, Body: body},
			eventlog.Entry{Stream: eventlog.Events, Key: device, Time: at, Body: body},
		)
		if err != nil {
			t.Error(err)
			return
		}
		a.note(device, n)
	}
}

// TestCrash takes the power away while devices send and old entries are
// forgotten. Each round goes on from what the one before left.
func TestCrash(t *testing.T) {
	const rounds, devices = 12, 8
	rng := rand.New(rand.NewPCG(7, 8))
	fs := vfs.NewCrashableMem()
	sent := map[string]uint64{}
	seen := map[string]eventlog.Position{} // a position of each stream that was readable before the crash
	for round := range rounds {
		st := openOn(t, fs)
		l := open(t, st, eventlog.Config{Partitions: 2})
		if err := l.Make("queue", eventlog.Retention{}); err != nil {
			t.Fatal(err)
		}
		sent = recovered(t, st, l, sent, seen)
		if t.Failed() {
			t.Fatalf("before round %d", round)
		}
		a := &told{acked: maps.Clone(sent)}
		stop := make(chan struct{})
		var all sync.WaitGroup
		for d := range devices {
			device := fmt.Sprint("device-", d)
			n := sent[device]
			all.Go(func() { send(t, l, device, n, stop, a) })
		}
		f, err := st.Follow()
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			// Some work, in which nothing but its progress matters.
			if _, err := f.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			end, err := l.End("queue")
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Release(t.Context(), "queue", end[0]); err != nil {
				t.Fatal(err)
			}
			if round%2 == 0 { // everything goes
				if err := l.Trim(t.Context(), start.Add(7*24*time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
		}
		f.Close()
		for _, name := range []string{"queue", eventlog.Events} {
			end, err := l.End(name)
			if err != nil {
				t.Fatal(err)
			}
			seen[name] = end
		}
		known := a.copy()
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		close(stop)
		all.Wait()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		fs, sent = crashed, known
	}
}

// recovered compares what a crash has left with what was known before, and gives
// how many messages each device has sent.
func recovered(t *testing.T, st store.Store, l *eventlog.Log, known map[string]uint64, seen map[string]eventlog.Position) map[string]uint64 {
	t.Helper()
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	facts := map[string]uint64{}
	for e, err := range v.Scan([]byte("d"), []byte("e")) {
		if err != nil {
			t.Fatal(err)
		}
		facts[string(e.Key[1:])] = binary.BigEndian.Uint64(e.Value[len(e.Value)-8:])
	}
	for device, n := range known {
		if facts[device] < n {
			t.Errorf("%s has sent %d messages that were acknowledged, %d are there", device, n, facts[device])
		}
	}
	for _, name := range []string{"queue", eventlog.Events} {
		first, err := l.Start(name)
		if err != nil {
			t.Fatal(err)
		}
		end, err := l.End(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range seen[name] {
			if end[i] < at {
				t.Errorf("stream %s goes on at %v: a reader was at %v, and would miss what comes", name, end, seen[name])
			}
		}
		last := map[string]uint64{}
		next := first
		for _, r := range readAll(t, l, name, first, end) {
			if r.Sequence < next[r.Partition] {
				t.Fatalf("stream %s: entry %d of partition %d comes after %d", name, r.Sequence, r.Partition, next[r.Partition]-1)
			}
			next[r.Partition] = r.Sequence + 1
			device, n := string(r.Body[:len(r.Body)-9]), binary.BigEndian.Uint64(r.Body[len(r.Body)-8:])
			if m := last[device]; m != 0 && n != m+1 {
				t.Errorf("stream %s: message %d of %s comes after %d", name, n, device, m)
			}
			last[device] = n
		}
		for device, n := range last {
			if n != facts[device] {
				t.Errorf("stream %s ends with message %d of %s, the fact says %d", name, n, device, facts[device])
			}
		}
	}
	return facts
}

func readAll(t *testing.T, l *eventlog.Log, name string, from, to eventlog.Position) (list []eventlog.Record) {
	t.Helper()
	r, err := l.Read(name, from)
	if err != nil {
		t.Fatal(err)
	}
	for {
		missing := false
		for i, at := range r.Position() {
			missing = missing || at < to[i]
		}
		if !missing {
			return list
		}
		records, gaps, err := r.Next(t.Context())
		if err != nil || len(gaps) > 0 {
			t.Fatal(err, gaps)
		}
		list = append(list, records...)
	}
}
