package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/store"
)

func doneOrder(t *testing.T, s store.Store) {
	const writers, each = 8, 200
	var mu sync.Mutex
	var told []store.Position
	calls := map[string]int{}
	var all sync.WaitGroup
	for w := range writers {
		all.Add(each)
		go func() {
			for i := range each {
				key := fmt.Sprintf("%d/%d", w, i)
				s.Submit(writes(set(key, key, 1)), func(pos store.Position, err error) {
					defer all.Done()
					v, viewErr := s.View()
					if err != nil || viewErr != nil {
						t.Errorf("%s: %v, %v", key, err, viewErr)
						return
					}
					if _, ok, err := v.Get([]byte(key)); !ok || err != nil || v.Position() < pos {
						t.Errorf("%s was acknowledged at %d, the view at %d has it: %v, %v", key, pos, v.Position(), ok, err)
					}
					v.Close()
					mu.Lock()
					told = append(told, pos)
					calls[key]++
					mu.Unlock()
				})
			}
		}()
	}
	all.Wait()
	// A barrier's done comes after all others, so none can be on its way.
	commit(t, s, store.Batch{})
	mu.Lock()
	defer mu.Unlock()
	if len(calls) != writers*each || len(told) != writers*each {
		t.Errorf("%d calls for %d of %d batches", len(told), len(calls), writers*each)
	}
	if !slices.IsSorted(told) {
		t.Error("done functions were called out of order")
	}
}

func positions(t *testing.T, s store.Store) {
	for want := store.Position(1); want <= 20; want++ {
		if got := commit(t, s, writes(set("k", "v", 1))); got != want {
			t.Fatalf("position %d, want %d", got, want)
		}
		v := look(t, s)
		if v.Position() != want {
			t.Fatalf("view at %d, want %d", v.Position(), want)
		}
		v.Close()
	}
}

// counters lets goroutines compete for one record, as the hub does.
func counters(t *testing.T, s store.Store) {
	const writers, each = 8, 25
	commit(t, s, writes(set("n", "0", 1)))
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for done := 0; done < each; {
				v := look(t, s)
				r, _, err := v.Get([]byte("n"))
				if err != nil {
					t.Error(err)
				}
				var n int
				fmt.Sscan(string(r.Value), &n)
				rev := r.Revision
				v.Close()
				_, err = store.CommitBatch(context.Background(), s, store.Batch{
					Expect: []store.Expectation{expect("n", rev)},
					Writes: []store.Write{set("n", fmt.Sprint(n+1), rev+1)},
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	want := []string{fmt.Sprintf("n=%d@%d", writers*each, writers*each+1)}
	if diff := cmp.Diff(want, content(t, s)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func closeDecides(t *testing.T, s store.Store) {
	const writers, each = 8, 500
	f, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var told fates
	told.submit(s, "first", writes(set("first", "", 1)))
	var submitters sync.WaitGroup
	for w := range writers {
		submitters.Go(func() {
			for i := range each {
				told.submit(s, "later", writes(set(fmt.Sprintf("%d/%d", w, i), "", 1)))
			}
		})
	}
	closeStore(t, s)
	submitters.Wait()
	got := told.wait()
	if len(got) != writers*each+1 {
		t.Fatalf("%d fates, want %d", len(got), writers*each+1)
	}
	committed := 0
	for _, one := range told.list {
		switch {
		case one.err == nil:
			committed++
		case !errors.Is(one.err, store.ErrClosed):
			t.Errorf("%s: %v", one.name, one.err)
		}
	}
	if told.list[0].err != nil && told.list[0].name == "first" {
		t.Errorf("what was submitted before Close met %v", told.list[0].err)
	}
	// Everything that was acknowledged has reached the follower.
	if commits := read(t, f, committed); len(commits) != committed {
		t.Errorf("the follower has %d commits, %d were acknowledged", len(commits), committed)
	}
	if _, err := f.Next(context.Background()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Next: %v, want ErrClosed", err)
	}
}

func closedStore(t *testing.T, s store.Store) {
	commit(t, s, writes(set("k", "v", 1)))
	closeStore(t, s)
	if _, err := s.View(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("View: %v, want ErrClosed", err)
	}
	if _, err := s.Follow(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Follow: %v, want ErrClosed", err)
	}
	if err := s.TrimEvents(1); !errors.Is(err, store.ErrClosed) {
		t.Errorf("TrimEvents: %v, want ErrClosed", err)
	}
	if _, err := store.CommitBatch(context.Background(), s, writes(set("k", "w", 2))); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit: %v, want ErrClosed", err)
	}
}
