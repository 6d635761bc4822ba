package pebble

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hubtwin/hubtwin/store"
)

// TestMediumFails lets one kind of operation fail from some moment on.
func TestMediumFails(t *testing.T) {
	disk := errors.New("input/output error")
	syncs := []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	writes := []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileFlush}
	for _, test := range []struct {
		name   string
		kinds  []errorfs.OpKind
		suffix string
		err    error
	}{
		{"fsync of the log", syncs, ".log", disk},
		{"write to the log", writes, ".log", disk},
		{"no space for the log", writes, ".log", syscall.ENOSPC},
		{"no space for a table", []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFileWrite}, ".sst", syscall.ENOSPC},
	} {
		t.Run(test.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			fault := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
				if slices.Contains(test.kinds, op.Kind) && strings.HasSuffix(op.Path, test.suffix) {
					return test.err
				}
				return nil
			})}
			s := openOn(t, wrap(mem, fault))
			l := &ledger{acked: map[string]uint64{}}
			for n := uint64(1); n <= 10; n++ {
				pos, err := store.CommitBatch(context.Background(), s, countTo("k", n, 2000))
				if err != nil {
					t.Fatal(err)
				}
				l.note("k", n, pos)
			}
			fault.On()
			failUntilBroken(t, s, l, test.err)
			refusesAll(t, s, l, test.err)
			if err := s.Close(); !errors.Is(err, test.err) {
				t.Errorf("Close: %v, want %v", err, test.err)
			}
			// The process ends; or the power does.
			fault.Off()
			for _, percent := range []int{0, 50, 100} {
				crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 2))})
				again := openOn(t, crashed)
				l.check(t, again)
				if err := again.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// failUntilBroken writes until the store fails. A log fails with the first
// write, a table when memory is full.
func failUntilBroken(t *testing.T, s *Store, l *ledger, want error) {
	t.Helper()
	var all sync.WaitGroup
	for _, key := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			note := func(n uint64, pos store.Position) { l.note(key, n, pos) }
			if err := count(s, key, 1, 500_000, nil, note); !errors.Is(err, want) {
				t.Errorf("writer met %v, want %v", err, want)
			}
		})
	}
	all.Wait()
}

// refusesAll looks at a broken store: nothing is taken, and what Views show is
// what was acknowledged.
func refusesAll(t *testing.T, s *Store, l *ledger, want error) {
	t.Helper()
	for _, b := range []store.Batch{countTo("new", 1, 0), {}} {
		if _, err := store.CommitBatch(context.Background(), s, b); !errors.Is(err, want) {
			t.Errorf("commit on a broken store: %v, want %v", err, want)
		}
	}
	if err := s.TrimEvents(1); !errors.Is(err, want) {
		t.Errorf("trim on a broken store: %v, want %v", err, want)
	}
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if v.Position() != l.position {
		t.Errorf("view at %d, acknowledged up to %d", v.Position(), l.position)
	}
	for key, n := range l.acked {
		r, _, err := v.Get([]byte(key))
		if err != nil || r.Revision != store.Revision(n) {
			t.Errorf("view has %s=%d (%v), acknowledged is %d", key, r.Revision, err, n)
		}
	}
}
