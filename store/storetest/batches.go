package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/store"
)

// fates collects what done functions are told.
type fates struct {
	mu      sync.Mutex
	waiting sync.WaitGroup
	list    []fate
}

type fate struct {
	name string
	pos  store.Position
	err  error
}

func (f *fates) submit(s store.Store, name string, b store.Batch) {
	f.waiting.Add(1)
	s.Submit(b, func(pos store.Position, err error) {
		f.mu.Lock()
		f.list = append(f.list, fate{name, pos, err})
		f.mu.Unlock()
		f.waiting.Done()
	})
}

// wait gives all fates, in the order in which they were told.
func (f *fates) wait() []string {
	f.waiting.Wait()
	got := []string{}
	for _, one := range f.list {
		word := "failed"
		switch {
		case one.err == nil:
			word = fmt.Sprint(one.pos)
		case errors.Is(one.err, store.ErrConflict):
			word = "conflict"
		case errors.Is(one.err, store.ErrInvalid):
			word = "invalid"
		case errors.Is(one.err, store.ErrClosed):
			word = "closed"
		}
		if one.err != nil && one.pos != 0 {
			word += " with a position"
		}
		got = append(got, one.name+": "+word)
	}
	return got
}

func expectations(t *testing.T, s store.Store) {
	var f fates
	f.submit(s, "create", store.Batch{Expect: []store.Expectation{expect("k", 0)}, Writes: []store.Write{set("k", "1", 10)}})
	f.submit(s, "create again", store.Batch{Expect: []store.Expectation{expect("k", 0)}, Writes: []store.Write{set("k", "2", 20)}})
	f.submit(s, "update", store.Batch{Expect: []store.Expectation{expect("k", 10)}, Writes: []store.Write{set("k", "3", 11)}})
	f.submit(s, "update from stale", store.Batch{Expect: []store.Expectation{expect("k", 10)}, Writes: []store.Write{set("k", "4", 11)}})
	f.submit(s, "update absent", store.Batch{Expect: []store.Expectation{expect("x", 1)}, Writes: []store.Write{set("x", "5", 2)}})
	f.submit(s, "one of two", store.Batch{Expect: []store.Expectation{expect("k", 11), expect("x", 1)}, Writes: []store.Write{set("k", "6", 12)}})
	f.submit(s, "blind write", writes(set("k", "7", 40)))
	f.submit(s, "after the blind write", store.Batch{Expect: []store.Expectation{expect("k", 40)}, Writes: []store.Write{{Key: []byte("k")}}})
	f.submit(s, "after the delete", store.Batch{Expect: []store.Expectation{expect("k", 40)}, Writes: []store.Write{set("k", "8", 41)}})
	f.submit(s, "create anew", store.Batch{Expect: []store.Expectation{expect("k", 0)}, Writes: []store.Write{set("k", "9", 50)}})
	want := []string{
		"create: 1", "create again: conflict", "update: 2", "update from stale: conflict",
		"update absent: conflict", "one of two: conflict", "blind write: 3",
		"after the blind write: 4", "after the delete: conflict", "create anew: 5",
	}
	if diff := cmp.Diff(want, f.wait()); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"k=9@50"}, content(t, s)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// chain is long enough to spread over many groups.
func chain(t *testing.T, s store.Store) {
	const links = 10_000
	var f fates
	want := []string{}
	for i := range links {
		f.submit(s, "link", store.Batch{
			Expect: []store.Expectation{expect("k", store.Revision(i))},
			Writes: []store.Write{set("k", fmt.Sprint(i), store.Revision(i+1))},
		})
		want = append(want, fmt.Sprintf("link: %d", i+1))
	}
	if diff := cmp.Diff(want, f.wait()); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if got := content(t, s); !slices.Equal(got, []string{fmt.Sprintf("k=%d@%d", links-1, links)}) {
		t.Errorf("got %v", got)
	}
}

func brokenChain(t *testing.T, s store.Store) {
	commit(t, s, writes(set("k", "0", 1), set("other", "0", 1)))
	var f fates
	for i := 1; i <= 5; i++ {
		b := store.Batch{
			Expect: []store.Expectation{expect("k", store.Revision(i))},
			Writes: []store.Write{set("k", fmt.Sprint(i), store.Revision(i+1))},
		}
		if i == 3 {
			b.Expect = append(b.Expect, expect("other", 99))
		}
		f.submit(s, fmt.Sprint(i), b)
	}
	want := []string{"1: 2", "2: 3", "3: conflict", "4: conflict", "5: conflict"}
	if diff := cmp.Diff(want, f.wait()); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"k=2@3", "other=0@1"}, content(t, s)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func conflictChangesNothing(t *testing.T, s store.Store) {
	f, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	commit(t, s, store.Batch{Writes: []store.Write{set("a", "1", 1)}, Events: [][]byte{[]byte("e")}})
	read(t, f, 1)
	var told fates
	told.submit(s, "conflict", store.Batch{
		Expect: []store.Expectation{expect("a", 1), expect("b", 1)},
		Writes: []store.Write{set("a", "2", 2), set("b", "2", 2)},
		Events: [][]byte{[]byte("f")},
	})
	told.submit(s, "invalid", store.Batch{
		Writes: []store.Write{set("a", "3", 3), set("b", "3", 0)},
		Events: [][]byte{[]byte("g")},
	})
	told.submit(s, "check", store.Batch{Expect: []store.Expectation{expect("a", 1), expect("b", 0)}})
	if diff := cmp.Diff([]string{"conflict: conflict", "invalid: invalid", "check: 1"}, told.wait()); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	v := look(t, s)
	defer v.Close()
	if diff := cmp.Diff([]string{"a=1@1"}, dump(t, v, nil, nil)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1.0=e"}, dumpEvents(t, v, 0)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	next := commit(t, s, writes(set("c", "1", 1)))
	if got := read(t, f, 1); got[0].Position != next || next != 2 {
		t.Errorf("the follower read position %d, the next commit has %d; both should be 2", got[0].Position, next)
	}
}

func lastWriteCounts(t *testing.T, s store.Store) {
	commit(t, s, writes(
		set("a", "1", 1), set("a", "2", 2),
		set("b", "1", 1), store.Write{Key: []byte("b")},
		store.Write{Key: []byte("c")}, set("c", "3", 3),
	))
	if diff := cmp.Diff([]string{"a=2@2", "c=3@3"}, content(t, s)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	var f fates
	f.submit(s, "a", store.Batch{Expect: []store.Expectation{expect("a", 2), expect("b", 0), expect("c", 3)}})
	if diff := cmp.Diff([]string{"a: 1"}, f.wait()); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
}

func barriers(t *testing.T, s store.Store) {
	var f fates
	f.submit(s, "on nothing", store.Batch{})
	f.submit(s, "write", writes(set("a", "1", 1)))
	f.submit(s, "barrier", store.Batch{})
	f.submit(s, "barrier that holds", store.Batch{Expect: []store.Expectation{expect("a", 1)}})
	f.submit(s, "barrier that does not", store.Batch{Expect: []store.Expectation{expect("a", 2)}})
	f.submit(s, "event", store.Batch{Events: [][]byte{[]byte("e")}})
	f.submit(s, "last", store.Batch{})
	want := []string{
		"on nothing: 0", "write: 1", "barrier: 1", "barrier that holds: 1",
		"barrier that does not: conflict", "event: 2", "last: 2",
	}
	if diff := cmp.Diff(want, f.wait()); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	v := look(t, s)
	defer v.Close()
	if v.Position() != 2 {
		t.Errorf("position %d, want 2", v.Position())
	}
}

func limits(t *testing.T, s store.Store) {
	long := make([]byte, store.MaxKey+1)
	big := make([]byte, store.MaxRecord+1)
	full := make([]store.Write, store.MaxBatch/store.MaxRecord+1)
	for i := range full {
		full[i] = store.Write{Key: []byte{1}, Value: big[1:], Revision: 1}
	}
	var f fates
	f.submit(s, "empty key", writes(set("", "v", 1)))
	f.submit(s, "long key", writes(store.Write{Key: long, Value: []byte{}, Revision: 1}))
	f.submit(s, "delete of a long key", writes(store.Write{Key: long}))
	f.submit(s, "long expected key", store.Batch{Expect: []store.Expectation{{Key: long}}})
	f.submit(s, "big value", writes(store.Write{Key: []byte("k"), Value: big, Revision: 1}))
	f.submit(s, "big event", store.Batch{Events: [][]byte{big}})
	f.submit(s, "big batch", store.Batch{Writes: full})
	f.submit(s, "too many", store.Batch{Events: make([][]byte, store.MaxBatch/64+1)})
	f.submit(s, "revision 0", writes(set("k", "v", 0)))
	f.submit(s, "all is well", writes(store.Write{Key: long[1:], Value: big[1:], Revision: 1}))
	want := []string{
		"empty key: invalid", "long key: invalid", "delete of a long key: invalid", "long expected key: invalid",
		"big value: invalid", "big event: invalid", "big batch: invalid", "too many: invalid", "revision 0: invalid",
		"all is well: 1",
	}
	if diff := cmp.Diff(want, f.wait()); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	if got := len(content(t, s)); got != 1 {
		t.Errorf("%d records, want 1", got)
	}
}
