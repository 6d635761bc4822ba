package index_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// What a snapshot shows of a column stays, when a dictionary gives the place of
// a value that has gone to another, and when cells change.
func TestSnapshotOfValues(t *testing.T) {
	index.SetBounds(t, 64, 4)
	for _, rows := range []int{3, 20} { // in a dictionary, in cells
		x := ready(t, index.Config{})
		at := store.Position(0)
		apply := func(row int, v string) {
			at++
			if err := x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%02d", row), map[string]any{"a": v})}); err != nil {
				t.Fatal(err)
			}
		}
		for row := range rows {
			apply(row, fmt.Sprint("v", row))
		}
		s := x.Snapshot()
		defer s.Close()
		apply(0, "v1")
		apply(2, "w")
		apply(1, "z")
		apply(0, "z")
		for row := range rows {
			p, err := s.Explain(t.Context(), parse(t, fmt.Sprintf("SELECT * FROM devices WHERE tags.a = 'v%d'", row)))
			if err != nil || p.Rows != 1 {
				t.Errorf("%d of %d rows: %+v, %v", row, rows, p, err)
			}
		}
	}
}

// A commit that comes again changes nothing.
func TestCommitAgain(t *testing.T) {
	x := ready(t, index.Config{})
	first, second := update(t, 1, "d", map[string]any{"a": 1}), update(t, 2, "d", map[string]any{"a": 2})
	for _, c := range [][]index.Update{{first}, {first, second}, {first}} {
		if err := x.Apply(c[len(c)-1].Position, c); err != nil {
			t.Fatal(err)
		}
	}
	decodedOf(t, x, "SELECT * FROM devices WHERE tags.a = 2", 1)
	if at := x.Stats().Position; at != 2 {
		t.Errorf("the index is at %d", at)
	}
}

// What is not registered has no document, whatever a commit says of it.
func TestNotRegistered(t *testing.T) {
	x := ready(t, index.Config{})
	whole := update(t, 1, "d", map[string]any{})
	for _, u := range []index.Update{
		{ID: whole.ID, Identity: whole.Identity},
		{ID: whole.ID, Twin: whole.Twin},
		{ID: whole.ID, Connection: &document.Connection{Connected: true}},
		{ID: whole.ID, Deleted: true, Connection: &document.Connection{}},
	} {
		u.Position = store.Position(x.Stats().Position + 1)
		if err := x.Apply(u.Position, []index.Update{u}); err != nil {
			t.Error(err)
		}
	}
	if s := x.Stats(); s.Devices != 0 || s.DocumentBytes != 0 {
		t.Errorf("%+v", s)
	}
}

// After Load, the index is where the commits are of which it was told.
func TestPositionAfterLoad(t *testing.T) {
	for _, told := range []store.Position{1, 3, 5} {
		x := index.New(index.Config{})
		x.Apply(told, []index.Update{update(t, told, "d", map[string]any{})})
		if err := x.Load(t.Context(), 3, func(func(index.Row, error) bool) {}); err != nil {
			t.Fatal(err)
		}
		s := x.Stats()
		if s.Position != uint64(max(told, 3)) || s.Devices == 1 != (told > 3) {
			t.Errorf("told of commit %d: %+v", told, s)
		}
	}
}

// A snapshot keeps its keys when its chunk is joined with the next one and grows.
func TestSnapshotOfJoinedChunks(t *testing.T) {
	index.SetBounds(t, 8, 4)
	x := ready(t, index.Config{})
	at := store.Position(0)
	apply := func(u index.Update) {
		at++
		u.Position = at
		if err := x.Apply(at, []index.Update{u}); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(ids ...string) {
		for _, id := range ids {
			apply(index.Update{ID: device.ID{Device: id}, Deleted: true})
		}
	}
	for _, id := range strings.Split("b c d e f g h i j k l", " ") {
		apply(update(t, 0, id, map[string]any{}))
	}
	remove("d", "e", "f", "g", "h", "i")
	s := x.Snapshot()
	defer s.Close()
	remove("l") // b and c join j and k
	apply(update(t, 0, "a", map[string]any{}))
	page, err := parse(t, "SELECT deviceId FROM devices").Run(t.Context(), s, 0, nil)
	if err != nil || fmt.Sprintf("%s", page.Rows) != `[{"deviceId":"b"} {"deviceId":"c"} {"deviceId":"j"} {"deviceId":"k"} {"deviceId":"l"}]` {
		t.Errorf("%s, %v", page.Rows, err)
	}
	if err := x.Check(); err != nil {
		t.Error(err)
	}
}

// A query goes on with the columns that it began with, when their path loses
// them.
func TestColumnsGoDuringQuery(t *testing.T) {
	index.SetBounds(t, 16, 4)
	x := ready(t, index.Config{MaxBytes: 200_000})
	at := store.Position(0)
	for i := range 200 {
		at++
		x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%03d", i), map[string]any{"a": i})})
	}
	s := x.Snapshot()
	defer s.Close()
	rows := 0
	for _, err := range s.Documents(t.Context(), parse(t, "SELECT * FROM devices WHERE tags.a >= 0"), "") {
		if err != nil {
			t.Fatal(err)
		}
		if rows++; rows > 1 {
			continue
		}
		for i := range 2000 {
			at++
			x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("e%04d", i), map[string]any{"a": i, fmt.Sprint("b", i%50): i})})
		}
		if x.Stats().PathsRefused == 0 {
			t.Fatal("no path has lost its columns")
		}
	}
	if rows != 200 {
		t.Errorf("%d rows of 200", rows)
	}
}

// What came while Load was at work, and cannot be read, ends the index too.
func TestDamagedUpdateWhileLoading(t *testing.T) {
	x := index.New(index.Config{})
	u := update(t, 2, "d", map[string]any{})
	u.Twin = []byte("?")
	if err := x.Apply(2, []index.Update{u}); err != nil {
		t.Fatal(err)
	}
	if err := x.Load(t.Context(), 1, func(func(index.Row, error) bool) {}); !errors.Is(err, twin.ErrStoredForm) {
		t.Errorf("got %v", err)
	}
	if err := x.Wait(t.Context(), 0); !errors.Is(err, twin.ErrStoredForm) {
		t.Errorf("got %v", err)
	}
}
