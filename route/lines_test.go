package route

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
)

// rootOf makes a directory, and gives what opens it.
func rootOf(t testing.TB) (*os.Root, func() (*os.Root, error)) {
	t.Helper()
	path := t.TempDir()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, func() (*os.Root, error) { return os.OpenRoot(path) }
}

// TestLinesByTime: a new file is begun when the old one is old; names sort by
// time, also when the clock is set back; and only the newest are kept.
func TestLinesByTime(t *testing.T) {
	root, directory := rootOf(t)
	l := lines{directory: directory, maxBytes: 100, maxAge: time.Minute, keep: 3}
	defer l.leave()
	at := time.Unix(1_700_000_000, 0)
	write := func(text string, at time.Time) {
		t.Helper()
		if err := l.write([]byte(text+"\n"), at); err != nil {
			t.Fatal(err)
		}
	}
	write("1", at)
	write("2", at.Add(59*time.Second))
	write("3", at.Add(60*time.Second))
	write(strings.Repeat("4", 98), at.Add(time.Second)) // the clock was set back
	write("5", at.Add(time.Second))
	write(strings.Repeat("6", 200), at.Add(2*time.Minute)) // larger than a file may be
	write("7", at.Add(2*time.Minute))
	names, err := namesIn(root)
	if err != nil || len(names) != 3 {
		t.Fatalf("%q, %v", names, err)
	}
	got := ""
	for _, n := range names {
		text, err := fs.ReadFile(root.FS(), n)
		if err != nil {
			t.Fatal(err)
		}
		got += n[9:15] + " " + strings.ReplaceAll(string(text), "\n", ".") + "\n"
	}
	if want := "221420 5.\n221520 " + strings.Repeat("6", 200) + ".\n221520 7.\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestLinesAfterARemoval: files that were complete stay so when the newest one is
// removed, also if there is room in them.
func TestLinesAfterARemoval(t *testing.T) {
	root, directory := rootOf(t)
	l := lines{directory: directory, maxBytes: 100, maxAge: time.Hour}
	defer l.leave()
	at := time.Unix(1_700_000_000, 0)
	complete := strings.Repeat("1", 90) + "\n"
	for _, text := range []string{complete, strings.Repeat("2", 20) + "\n"} {
		if err := l.write([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	names, err := namesIn(root)
	if err != nil || len(names) != 2 || root.Remove(names[1]) != nil {
		t.Fatalf("%q, %v", names, err)
	}
	if err := l.write([]byte("3\n"), at); err != nil {
		t.Fatal(err)
	}
	if names, err = namesIn(root); err != nil || len(names) != 2 {
		t.Fatalf("%q, %v", names, err)
	}
	for n, want := range []string{complete, "3\n"} {
		if text, err := fs.ReadFile(root.FS(), names[n]); err != nil || string(text) != want {
			t.Errorf("%s has %q, %v", names[n], text, err)
		}
	}
}

// TestLinesAfterAFailure: what could not be written leaves nothing behind.
func TestLinesAfterAFailure(t *testing.T) {
	root, directory := rootOf(t)
	l := lines{directory: directory, maxBytes: 1000, maxAge: time.Hour}
	defer l.leave()
	at := time.Unix(1_700_000_000, 0)
	if err := l.write([]byte("1\n"), at); err != nil {
		t.Fatal(err)
	}
	l.file.Close() // as a disk that is gone
	if err := l.write([]byte("2\n"), at); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("written: %v", err)
	}
	if err := l.write([]byte("3\n"), at); err != nil {
		t.Fatal(err)
	}
	names, _ := namesIn(root)
	text, err := fs.ReadFile(root.FS(), names[0])
	if err != nil || len(names) != 1 || string(text) != "1\n3\n" {
		t.Errorf("%q in %q, %v", text, names, err)
	}
}
