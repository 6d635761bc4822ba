package pebble

import (
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/store/storetest"
)

// openOn opens a quiet store on fs, in the directory that all tests use.
func openOn(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("hub", Options{FS: fs, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return openOn(t, vfs.NewMem()) })
}

func TestHistory(t *testing.T) {
	var fs *vfs.MemFS
	storetest.History(t, func(t testing.TB) (reference, other store.Store) {
		fs = vfs.NewMem()
		return memory.New(), openOn(t, fs)
	}, func(t testing.TB, other store.Store) store.Store {
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		return openOn(t, fs)
	})
}
