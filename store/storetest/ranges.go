package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/store"
)

func cleared(start, end string) store.Range {
	return store.Range{Start: []byte(start), End: []byte(end)}
}

func clearRanges(t *testing.T, s store.Store) {
	commit(t, s, writes(set("a", "1", 1), set("b", "1", 1), set("b\x00", "1", 1), set("c", "1", 1), set("d", "1", 1)))
	old := look(t, s)
	defer old.Close()
	f, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The clear comes first, also for what the same batch writes.
	commit(t, s, store.Batch{Clear: []store.Range{cleared("b", "c")}, Writes: []store.Write{set("b", "2", 2)}})
	if diff := cmp.Diff([]string{"a=1@1", "b=2@2", "c=1@1", "d=1@1"}, content(t, s)); diff != "" {
		t.Errorf("after b to c (-want +got):\n%s", diff)
	}
	commit(t, s, store.Batch{Clear: []store.Range{cleared("a", "b"), cleared("c", "\xff"), cleared("x", "y")}})
	if diff := cmp.Diff([]string{"b=2@2"}, content(t, s)); diff != "" {
		t.Errorf("after two more (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a=1@1", "b=1@1", "b\x00=1@1", "c=1@1", "d=1@1"}, dump(t, old, nil, nil)); diff != "" {
		t.Errorf("the old view (-want +got):\n%s", diff)
	}
	for _, c := range read(t, f, 2) {
		if want := map[store.Position]int{1: 0, 2: 1, 3: 3}[c.Position]; len(c.Clear) != want {
			t.Errorf("the follower hears of %d ranges at %d, want %d", len(c.Clear), c.Position, want)
		}
	}
	for _, r := range []store.Range{cleared("b", "b"), cleared("c", "b"), cleared("", "b"), cleared("a", ""), cleared("a", strings.Repeat("b", store.MaxKey+1))} {
		_, err := store.CommitBatch(t.Context(), s, store.Batch{Clear: []store.Range{r}})
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("clear %q to %q: %v, want ErrInvalid", r.Start, r.End, err)
		}
	}
}

func clearAndExpect(t *testing.T, s store.Store) {
	commit(t, s, writes(set("k", "1", 5), set("l", "1", 5)))
	var f fates
	// All of them may be one group: the second must see what the first has cleared.
	f.submit(s, "clear", store.Batch{Clear: []store.Range{cleared("k", "m")}})
	f.submit(s, "expects what was there", store.Batch{Expect: []store.Expectation{expect("k", 5)}, Writes: []store.Write{set("k", "x", 6)}})
	f.submit(s, "expects nothing", store.Batch{Expect: []store.Expectation{expect("k", 0), expect("l", 0)}, Writes: []store.Write{set("k", "2", 9)}})
	f.submit(s, "expects the new one", store.Batch{Expect: []store.Expectation{expect("k", 9)}, Writes: []store.Write{set("k", "3", 10)}})
	want := []string{"clear: 2", "expects what was there: conflict", "expects nothing: 3", "expects the new one: 4"}
	if diff := cmp.Diff(want, f.wait()); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"k=3@10"}, content(t, s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func lastRecord(t *testing.T, s store.Store) {
	commit(t, s, writes(set("b", "1", 1), set("bb", "2", 2), set("d", "3", 3)))
	v := look(t, s)
	defer v.Close()
	for _, c := range []struct {
		start, end, want string
	}{
		{"", "", "d"}, {"a", "b", ""}, {"a", "b\x00", "b"}, {"b", "c", "bb"}, {"c", "d", ""}, {"c", "", "d"}, {"e", "", ""}, {"d", "e", "d"}, {"e", "a", ""},
	} {
		var end []byte
		if c.end != "" {
			end = []byte(c.end)
		}
		e, ok, err := v.Last([]byte(c.start), end)
		if string(e.Key) != c.want || ok != (c.want != "") || err != nil {
			t.Errorf("last of %q to %q: %q, %v, %v; want %q", c.start, c.end, e.Key, ok, err, c.want)
		}
	}
	if e, _, _ := v.Last(nil, nil); string(e.Value) != "3" || e.Revision != 3 {
		t.Errorf("the last record is %q at %d", e.Value, e.Revision)
	}
	v.Close()
	if _, _, err := v.Last(nil, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("of a closed view: %v", err)
	}
}
