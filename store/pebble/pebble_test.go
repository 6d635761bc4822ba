package pebble

import (
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
