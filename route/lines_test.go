package route

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
)

// TestLinesByTime: a new file is begun when the old one is old; names sort by
// time, also when the clock is set back; and only the newest are kept.
func TestLinesByTime(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := lines{root: root, maxBytes: 100, maxAge: time.Minute, keep: 3}
	defer l.close()
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
	names, err := l.names()
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

// TestLinesAfterAFailure: what could not be written leaves nothing behind.
func TestLinesAfterAFailure(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := lines{root: root, maxBytes: 1000, maxAge: time.Hour}
	defer l.close()
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
	names, _ := l.names()
	text, err := fs.ReadFile(root.FS(), names[0])
	if err != nil || len(names) != 1 || string(text) != "1\n3\n" {
		t.Errorf("%q in %q, %v", text, names, err)
	}
}
