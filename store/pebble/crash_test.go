package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hubtwin/hubtwin/store"
)

// ledger is what writers know to be acknowledged: for each key the last counter
// value, and the last position.
type ledger struct {
	mu       sync.Mutex
	acked    map[string]uint64
	position store.Position
}

func (l *ledger) note(key string, n uint64, pos store.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[key] = n
	l.position = max(l.position, pos)
}

func (l *ledger) copy() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledger{acked: maps.Clone(l.acked), position: l.position}
}

// count writes 1, 2, 3… to key, beginning with from, each with an event that
// says the same and size bytes of ballast, until the store fails or stop is closed. acked is told of each.
func count(s store.Store, key string, from uint64, size int, stop <-chan struct{}, acked func(n uint64, pos store.Position)) error {
	for n := from; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		pos, err := store.CommitBatch(context.Background(), s, countTo(key, n, size))
		if err != nil {
			return fmt.Errorf("%s=%d: %w", key, n, err)
		}
		acked(n, pos)
	}
}

// countTo is one step of a counter: two records, of which one has size bytes, an
// event, and a mark, which clears that of the step before.
func countTo(key string, n uint64, size int) store.Batch {
	return store.Batch{
		Expect: []store.Expectation{{Key: []byte(key), Revision: store.Revision(n - 1)}},
		Clear:  []store.Range{{Start: mark(key, n-1), End: mark(key, n)}},
		Writes: []store.Write{
			{Key: mark(key, n), Value: []byte{}, Revision: 1},
			{Key: []byte(key), Value: binary.BigEndian.AppendUint64(nil, n), Revision: store.Revision(n)},
			{Key: []byte(key + "'"), Value: make([]byte, size), Revision: store.Revision(n)},
		},
		Events: [][]byte{binary.BigEndian.AppendUint64([]byte(key), n)},
	}
}

func mark(key string, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte(key+"#"), n) }

// check compares a recovered store with what was acknowledged before the
// failure, and gives the counters it found.
func (l *ledger) check(t *testing.T, s store.Store) map[string]uint64 {
	t.Helper()
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if v.Position() < l.position {
		t.Errorf("position %d after recovery, %d was acknowledged", v.Position(), l.position)
	}
	// Every commit has one event: the log tells what must be there.
	events := map[string]uint64{}
	next := store.Position(1)
	for e, err := range v.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position != next || e.Index != 0 {
			t.Fatalf("event %d.%d, want %d.0", e.Position, e.Index, next)
		}
		next++
		key, n := string(e.Body[:len(e.Body)-8]), binary.BigEndian.Uint64(e.Body[len(e.Body)-8:])
		if n != events[key]+1 {
			t.Fatalf("event of %s=%d after that of %d", key, n, events[key])
		}
		events[key] = n
	}
	if next != v.Position()+1 {
		t.Errorf("events up to %d, position %d", next-1, v.Position())
	}
	for key, n := range events {
		for _, k := range []string{key, key + "'"} {
			r, ok, err := v.Get([]byte(k))
			if err != nil || !ok || r.Revision != store.Revision(n) {
				t.Errorf("the event log has %s=%d, the record is at %d (%v, %v)", key, n, r.Revision, ok, err)
			}
		}
		for e, err := range v.Scan([]byte(key+"#"), []byte(key+"$")) {
			if err != nil || !bytes.Equal(e.Key, mark(key, n)) {
				t.Errorf("the event log has %s=%d, and there is the mark %q (%v)", key, n, e.Key, err)
			}
		}
		last, _, err := v.Last([]byte(key+"#"), []byte(key+"$"))
		if err != nil || !bytes.Equal(last.Key, mark(key, n)) {
			t.Errorf("the event log has %s=%d, the last mark is %q (%v)", key, n, last.Key, err)
		}
	}
	for key, n := range l.acked {
		if events[key] < n {
			t.Errorf("%s=%d was acknowledged, %d is there", key, n, events[key])
		}
	}
	return events
}

// TestCrash takes the power away while writers write. Each round goes on from
// what the crash of the round before left.
func TestCrash(t *testing.T) {
	const rounds, writers, perRound = 20, 16, 400
	rng := rand.New(rand.NewPCG(1, 2))
	fs := vfs.NewCrashableMem()
	found := map[string]uint64{}
	for round := range rounds {
		s := openOn(t, fs)
		l := &ledger{acked: maps.Clone(found)}
		stop := make(chan struct{})
		enough := make(chan struct{})
		var all sync.WaitGroup
		for w := range writers {
			key := fmt.Sprintf("k%d", w)
			from := found[key] + 1
			all.Go(func() {
				note := func(n uint64, pos store.Position) { l.note(key, n, pos) }
				if err := count(s, key, from, 2000, stop, note); err != nil {
					t.Error(err)
				}
			})
		}
		f, err := s.Follow()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(enough)
			for n := 0; n < perRound; {
				commits, err := f.Next(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				n += len(commits)
			}
		}()
		<-enough
		f.Close()
		// First what is known, then the crash: what is acknowledged in between
		// may be lost to the test, never the other way round.
		known := l.copy()
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		close(stop)
		all.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		fs = crashed
		s = openOn(t, fs)
		found = known.check(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}
