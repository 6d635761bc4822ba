package pebble

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/store"
)

// The tests here need a process that dies. They start the test program again;
// childDir tells it that it is the one to write, and where. childFault, if set,
// is the number of the file operation that fails, and all after it.
const (
	childDir   = "HUBTWIN_STORE_CHILD_DIR"
	childFault = "HUBTWIN_STORE_CHILD_FAULT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir, os.Getenv(childFault))
		return
	}
	goleak.VerifyTestMain(m)
}

// What a child writes with: enough to fill tables, not only the log.
const (
	childWriters = 16
	childSize    = 20_000
)

// child writes and prints each acknowledgement, a line of key, counter and
// position each, until the store fails or the process is killed.
func child(dir, fault string) {
	opts := Options{FS: vfs.Default, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if fault != "" {
		opts.FS = wrap(vfs.Default, failFrom(fault))
	}
	s, err := Open(filepath.Join(dir, "hub"), opts)
	if err != nil {
		os.Exit(1)
	}
	v, err := s.View()
	if err != nil {
		os.Exit(1)
	}
	var print sync.Mutex
	var all sync.WaitGroup
	for w := range childWriters {
		key := fmt.Sprintf("k%d", w)
		r, _, err := v.Get([]byte(key))
		if err != nil {
			os.Exit(1)
		}
		all.Go(func() {
			count(s, key, uint64(r.Revision)+1, childSize, nil, func(n uint64, pos store.Position) {
				print.Lock()
				fmt.Println(key, n, uint64(pos))
				print.Unlock()
			})
		})
	}
	v.Close()
	all.Wait()
	os.Exit(0)
}

// failFrom fails every operation that changes the disk, from the n-th on.
func failFrom(n string) errorfs.Injector {
	first, err := strconv.Atoi(n)
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	done := 0
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if done++; done < first {
			return nil
		}
		return syscall.ENOSPC
	})
}

// startChild runs a child and gives the lines it prints.
func startChild(t *testing.T, dir, fault string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childFault+"="+fault)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// hear notes acknowledgements until the child is gone; after limit of them it
// is killed.
func (l *ledger) hear(t *testing.T, cmd *exec.Cmd, lines *bufio.Scanner, limit int) (heard int) {
	t.Helper()
	for lines.Scan() {
		var key string
		var n, pos uint64
		if _, err := fmt.Sscan(lines.Text(), &key, &n, &pos); err != nil {
			continue // the line that was cut off
		}
		l.note(key, n, store.Position(pos))
		if heard++; heard == limit {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return heard
}

// TestKill kills a writing process, again and again, on the same directory.
func TestKill(t *testing.T) {
	const rounds = 4
	dir := t.TempDir()
	found := map[string]uint64{}
	for round := range rounds {
		l := &ledger{acked: maps.Clone(found)}
		cmd, lines := startChild(t, dir, "")
		if heard := l.hear(t, cmd, lines, 200+300*round); heard == 0 {
			t.Fatal("the child acknowledged nothing")
		}
		found = l.recover(t, dir)
	}
}

// TestFailingDisk lets a process write to a disk that fails at one operation
// and at all that follow. However the process ends, what it acknowledged is
// there.
func TestFailingDisk(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	acked := 0
	for _, span := range []int{50, 200, 500, 1000, 2000, 4000} {
		fault := 1 + rng.IntN(span)
		dir := t.TempDir()
		l := &ledger{acked: map[string]uint64{}}
		cmd, lines := startChild(t, dir, strconv.Itoa(fault))
		// A child may hang on a disk that takes nothing any more; then the
		// limit never comes, and the test's deadline tells.
		acked += l.hear(t, cmd, lines, 20_000)
		l.recover(t, dir)
		if t.Failed() {
			t.Fatalf("at operation %d", fault)
		}
	}
	if acked == 0 {
		t.Error("no child got so far as to acknowledge anything")
	}
}

// recover opens what a child left.
func (l *ledger) recover(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	s, err := Open(filepath.Join(dir, "hub"), Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return l.check(t, s)
}
