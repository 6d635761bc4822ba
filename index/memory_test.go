package index_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store"
)

// held is how much memory is in use after f, about.
func held(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// What a document brought, a path or a value, does not keep the document.
func TestDocumentsGo(t *testing.T) {
	x := ready(t, index.Config{})
	long := strings.Repeat("x", 3500)
	n := held(func() {
		for i := range 600 {
			at := store.Position(2*i + 1)
			x.Apply(at, []index.Update{update(t, at, "d", map[string]any{"long": long, "also": long, "few": i % 7, "p" + strconv.Itoa(i): i})})
			x.Apply(at+1, []index.Update{update(t, at+1, "d", map[string]any{})})
		}
	})
	if n > 2<<20 {
		t.Errorf("%d bytes are still in use for a twin without tags", n)
	}
	runtime.KeepAlive(x)
}

// Nor do the values that Load has seen.
func TestLoadedDocumentsGo(t *testing.T) {
	x := index.New(index.Config{})
	long := strings.Repeat("x", 3500)
	const devices = 600
	tags := func(i int, long string) map[string]any {
		m := map[string]any{"long": long, "also": long, "text": fmt.Sprint("t", i)}
		for k := range 6 { // each device is the first with some value
			m[fmt.Sprint("few", k)] = (i + k) / 6
		}
		return m
	}
	n := held(func() {
		err := x.Load(t.Context(), 0, func(yield func(index.Row, error) bool) {
			for i := range devices {
				if !yield(rowOf(update(t, 0, fmt.Sprintf("d%03d", i), tags(i, long))), nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range devices {
			at := store.Position(i + 1)
			x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%03d", i), tags(i, ""))})
		}
	})
	if n > 2<<20 {
		t.Errorf("%d bytes are still in use for %d small twins", n, devices)
	}
	runtime.KeepAlive(x)
}

// Long values that have gone are not kept either.
func TestTextsGo(t *testing.T) {
	x := ready(t, index.Config{})
	n := held(func() {
		for i := range 1500 {
			at := store.Position(i + 1)
			path := "p" + strconv.Itoa(i)
			x.Apply(at, []index.Update{update(t, at, "d", map[string]any{path: path + strings.Repeat("x", 4000)})})
		}
	})
	if n > 2<<20 {
		t.Errorf("%d bytes are still in use for one twin", n)
	}
	runtime.KeepAlive(x)
}

// When the hub's own columns alone exceed the bound, the index does not go
// through all chunks for each change.
func TestBareIndexStaysCheap(t *testing.T) {
	index.SetBounds(t, 16, 4)
	x := ready(t, index.Config{MaxBytes: 10_000})
	at := store.Position(0)
	apply := func(i int) {
		at++
		x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%04d", i), map[string]any{"a": i, "b": i % 3})})
	}
	for i := range 800 {
		apply(i)
	}
	if err := x.Check(); err != nil {
		t.Fatal(err)
	}
	u := update(t, 0, "d0000", map[string]any{"a": "other"})
	n := testing.AllocsPerRun(20, func() {
		x.Snapshot().Close()
		defer x.Snapshot().Close()
		at++
		u.Position = at
		x.Apply(at, []index.Update{u})
	})
	if n > 50 {
		t.Errorf("%.0f allocations for a change of one of 50 chunks", n)
	}
}
