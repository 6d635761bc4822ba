package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hubtwin/hubtwin/store"
)

// refused opens the directory "hub" of fs, which must fail in a way that names
// all of words.
func refused(t *testing.T, fs vfs.FS, want error, words ...string) {
	t.Helper()
	s, err := Open("hub", Options{FS: fs, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, want) {
		t.Fatalf("Open: %v, want %v", err, want)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

// withEngine changes the directory "hub" behind the store's back.
func withEngine(t *testing.T, fs vfs.FS, change func(*engine.DB) error) {
	t.Helper()
	db, err := engine.Open("hub", &engine.Options{FS: fs, FormatMajorVersion: engineFormat, Logger: engineLogger{&Store{log: slog.New(slog.NewTextHandler(io.Discard, nil))}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(change(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestReopen(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	id := s.ID()
	for n := uint64(1); n <= 3; n++ {
		if _, err := store.CommitBatch(context.Background(), s, countTo("k", n, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	if len(id) != 32 || s.ID() != id {
		t.Errorf("id %q, was %q", s.ID(), id)
	}
	if pos, err := store.CommitBatch(context.Background(), s, countTo("k", 4, 100)); pos != 4 || err != nil {
		t.Errorf("position %d (%v), want 4", pos, err)
	}
	(&ledger{acked: map[string]uint64{"k": 4}, position: 4}).check(t, s)
}

func TestNewerFormat(t *testing.T) {
	fs := vfs.NewMem()
	if err := openOn(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	withEngine(t, fs, func(db *engine.DB) error {
		return db.Set(formatKey, binary.BigEndian.AppendUint64(nil, Format+6), engine.Sync)
	})
	refused(t, fs, ErrFormat, "format 7", "knows 1", "newer one")
	// Refusing must not have changed anything, nor hold the lock.
	withEngine(t, fs, func(db *engine.DB) error {
		return db.Set(formatKey, binary.BigEndian.AppendUint64(nil, Format), engine.Sync)
	})
	if err := openOn(t, fs).Close(); err != nil {
		t.Error(err)
	}
}

func TestDamagedMeta(t *testing.T) {
	for _, key := range [][]byte{formatKey, idKey, positionKey} {
		fs := vfs.NewMem()
		if err := openOn(t, fs).Close(); err != nil {
			t.Fatal(err)
		}
		withEngine(t, fs, func(db *engine.DB) error { return db.Set(key, []byte("?"), engine.Sync) })
		refused(t, fs, ErrFormat, "damaged")
	}
}

func TestNewerEngine(t *testing.T) {
	fs := vfs.NewMem()
	if err := openOn(t, fs).Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("hub")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "marker.format-version.") {
			if err := fs.Rename(fs.PathJoin("hub", name), fs.PathJoin("hub", "marker.format-version.000099.999")); err != nil {
				t.Fatal(err)
			}
		}
	}
	refused(t, fs, ErrFormat, "999", "newer one")
}

func TestForeignDirectory(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("hub", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("hub/holiday.jpg", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	refused(t, fs, ErrFormat, "holiday.jpg", "empty directory")

	fs = vfs.NewMem()
	withEngine(t, fs, func(db *engine.DB) error { return db.Set([]byte("mine"), nil, engine.Sync) })
	refused(t, fs, ErrFormat, "another program")
}

// An engine that was interrupted before the store's first write is a new store.
func TestInterruptedCreation(t *testing.T) {
	fs := vfs.NewMem()
	withEngine(t, fs, func(*engine.DB) error { return nil })
	if err := openOn(t, fs).Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenTwice(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	refused(t, fs, ErrInUse, "stop it first")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openOn(t, fs).Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenTwiceOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "hub")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("Open: %v, want ErrInUse", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v (%v), want 0700: the directory holds keys of devices", info.Mode(), err)
	}
}

// A View that is open keeps Close waiting, and stays readable until it is
// closed.
func TestCloseWaitsForViews(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	if _, err := store.CommitBatch(context.Background(), s, countTo("k", 1, 100)); err != nil {
		t.Fatal(err)
	}
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	// Wait until Close has come as far as to refuse Views.
	for {
		other, err := s.View()
		if errors.Is(err, store.ErrClosed) {
			break
		}
		other.Close()
	}
	select {
	case err := <-closed:
		t.Fatalf("Close returned (%v) while a View was open", err)
	case <-time.After(100 * time.Millisecond): // long enough for one that does not wait
	}
	if _, ok, err := v.Get([]byte("k")); !ok || err != nil {
		t.Errorf("Get: %v, %v", ok, err)
	}
	v.Close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
