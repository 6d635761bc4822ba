package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/store"
)

func emptyStore(t *testing.T, s store.Store) {
	v := look(t, s)
	defer v.Close()
	if v.Position() != 0 {
		t.Errorf("position %d, want 0", v.Position())
	}
	if _, ok, err := v.Get([]byte("k")); ok || err != nil {
		t.Errorf("Get: ok %v, err %v", ok, err)
	}
	if got := dump(t, v, nil, nil); len(got) != 0 {
		t.Errorf("records: %v", got)
	}
	if got := dumpEvents(t, v, 0); len(got) != 0 {
		t.Errorf("events: %v", got)
	}
}

func recordLife(t *testing.T, s store.Store) {
	steps := []struct {
		write store.Write
		want  []string
	}{
		{set("k", "one", 5), []string{"k=one@5"}},
		{set("k", "two", 6), []string{"k=two@6"}},
		{set("k", "", 7), []string{"k=@7"}}, // empty is not absent
		{store.Write{Key: []byte("k")}, []string{}},
		{store.Write{Key: []byte("k")}, []string{}}, // deleting nothing is fine
		{set("k", "again", 9), []string{"k=again@9"}},
	}
	for i, step := range steps {
		commit(t, s, writes(step.write))
		if diff := cmp.Diff(step.want, content(t, s)); diff != "" {
			t.Fatalf("after step %d (-want +got):\n%s", i, diff)
		}
		v := look(t, s)
		r, ok, err := v.Get([]byte("k"))
		if err != nil || ok != (step.write.Value != nil) {
			t.Fatalf("step %d: Get: ok %v, err %v", i, ok, err)
		}
		if ok && (r.Value == nil || !bytes.Equal(r.Value, step.write.Value) || r.Revision != step.write.Revision) {
			t.Fatalf("step %d: Get gave %q at %d", i, r.Value, r.Revision)
		}
		v.Close()
	}
}

func viewStays(t *testing.T, s store.Store) {
	first := commit(t, s, store.Batch{Writes: []store.Write{set("a", "1", 1), set("b", "1", 1)}, Events: [][]byte{[]byte("e")}})
	v := look(t, s)
	defer v.Close()
	commit(t, s, store.Batch{Writes: []store.Write{set("a", "2", 2), {Key: []byte("b")}, set("c", "2", 1)}, Events: [][]byte{[]byte("f")}})
	if err := s.TrimEvents(first); err != nil {
		t.Fatal(err)
	}
	if v.Position() != first {
		t.Errorf("position %d, want %d", v.Position(), first)
	}
	if diff := cmp.Diff([]string{"a=1@1", "b=1@1"}, dump(t, v, nil, nil)); diff != "" {
		t.Errorf("records of the old view (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1.0=e"}, dumpEvents(t, v, 0)); diff != "" {
		t.Errorf("events of the old view (-want +got):\n%s", diff)
	}
	if r, ok, err := v.Get([]byte("b")); !ok || err != nil || string(r.Value) != "1" {
		t.Errorf("Get of the old view: %q, %v, %v", r.Value, ok, err)
	}
}

func closedView(t *testing.T, s store.Store) {
	commit(t, s, store.Batch{Writes: []store.Write{set("k", "v", 1)}, Events: [][]byte{[]byte("e")}})
	v := look(t, s)
	for range 2 {
		if err := v.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, _, err := v.Get([]byte("k")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Get: %v, want ErrClosed", err)
	}
	for _, err := range v.Scan(nil, nil) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("Scan: %v, want ErrClosed", err)
		}
	}
	for _, err := range v.Events(0) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("Events: %v, want ErrClosed", err)
		}
	}
	if v.Position() != 1 {
		t.Errorf("position %d, want 1", v.Position())
	}
}

func sharedView(t *testing.T, s store.Store) {
	var want []string
	for i := range 50 {
		key := fmt.Sprintf("k%02d", i)
		commit(t, s, writes(set(key, key, 1)))
		want = append(want, key+"="+key+"@1")
	}
	v := look(t, s)
	defer v.Close()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			if got := dump(t, v, nil, nil); !slices.Equal(got, want) {
				t.Errorf("got %v", got)
			}
			for i := range 50 {
				if _, ok, err := v.Get(fmt.Appendf(nil, "k%02d", i)); !ok || err != nil {
					t.Errorf("Get: %v, %v", ok, err)
				}
			}
		})
	}
	for i := range 50 {
		commit(t, s, writes(set(fmt.Sprintf("k%02d", i), "new", 2)))
	}
	readers.Wait()
}

func scanBounds(t *testing.T, s store.Store) {
	var b store.Batch
	for _, key := range []string{"\x00", "a", "a\x00", "aa", "b", "c\xff", "\xff", "\xff\xff"} {
		b.Writes = append(b.Writes, set(key, "", 1))
	}
	commit(t, s, b)
	v := look(t, s)
	defer v.Close()
	for _, test := range []struct {
		start, end []byte
		want       []string
	}{
		{nil, nil, []string{"\x00", "a", "a\x00", "aa", "b", "c\xff", "\xff", "\xff\xff"}},
		{[]byte{}, nil, []string{"\x00", "a", "a\x00", "aa", "b", "c\xff", "\xff", "\xff\xff"}},
		{[]byte("a"), []byte("b"), []string{"a", "a\x00", "aa"}},
		{[]byte("a\x00"), []byte("aa"), []string{"a\x00"}},
		{[]byte("a"), []byte("a"), nil},
		{[]byte("b"), []byte("a"), nil},
		{nil, []byte{}, nil},
		{nil, []byte("a"), []string{"\x00"}},
		{[]byte("c"), nil, []string{"c\xff", "\xff", "\xff\xff"}},
		{[]byte("\xff"), []byte("\xff\xff"), []string{"\xff"}},
		{[]byte("\xff\xff\xff"), nil, nil},
	} {
		var got []string
		for e, err := range v.Scan(test.start, test.end) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(e.Key))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("Scan(%q, %q) = %q, want %q", test.start, test.end, got, test.want)
		}
	}
}

func scanLeft(t *testing.T, s store.Store) {
	commit(t, s, store.Batch{
		Writes: []store.Write{set("a", "", 1), set("b", "", 1), set("c", "", 1)},
		Events: [][]byte{[]byte("1"), []byte("2"), []byte("3")},
	})
	v := look(t, s)
	defer v.Close()
	var keys, bodies []string
	for e, err := range v.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if keys = append(keys, string(e.Key)); len(keys) == 2 {
			break
		}
	}
	for e, err := range v.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		if bodies = append(bodies, string(e.Body)); len(bodies) == 2 {
			break
		}
	}
	if !slices.Equal(keys, []string{"a", "b"}) || !slices.Equal(bodies, []string{"1", "2"}) {
		t.Errorf("keys %q, events %q", keys, bodies)
	}
}

func largeValues(t *testing.T, s store.Store) {
	value := bytes.Repeat([]byte("0123456789abcdef"), store.MaxRecord/16)
	key := bytes.Repeat([]byte("k"), store.MaxKey)
	// Larger than a group may be, as it stands alone.
	var b store.Batch
	for i := range 13 {
		b.Writes = append(b.Writes, store.Write{Key: append(key[:len(key)-2:len(key)-2], fmt.Sprintf("%02d", i)...), Value: value, Revision: 1})
	}
	b.Events = [][]byte{value, value}
	commit(t, s, b)
	v := look(t, s)
	defer v.Close()
	n := 0
	for e, err := range v.Scan(nil, nil) {
		if err != nil || !bytes.Equal(e.Value, value) {
			t.Fatalf("record %d differs, err %v", n, err)
		}
		n++
	}
	for e, err := range v.Events(0) {
		if err != nil || !bytes.Equal(e.Body, value) {
			t.Fatalf("event %d differs, err %v", n, err)
		}
		n++
	}
	if n != 15 {
		t.Errorf("%d records and events, want 15", n)
	}
}
