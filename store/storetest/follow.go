package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/store"
)

// read reads n commits or more.
func read(t testing.TB, f store.Follower, n int) []store.Commit {
	t.Helper()
	var got []store.Commit
	for len(got) < n {
		commits, err := f.Next(context.Background())
		if err != nil {
			t.Fatalf("Next after %d of %d commits: %v", len(got), n, err)
		}
		got = append(got, commits...)
	}
	return got
}

func events(t *testing.T, s store.Store) {
	commit(t, s, store.Batch{Events: [][]byte{[]byte("a"), []byte("b")}})
	commit(t, s, writes(set("k", "v", 1)))
	commit(t, s, store.Batch{Writes: []store.Write{set("k", "w", 2)}, Events: [][]byte{[]byte("c"), {}}})
	v := look(t, s)
	defer v.Close()
	all := []string{"1.0=a", "1.1=b", "3.0=c", "3.1="}
	for after, want := range [][]string{all, all[2:], all[2:], {}, {}} {
		if diff := cmp.Diff(want, dumpEvents(t, v, store.Position(after))); diff != "" {
			t.Errorf("events after %d (-want +got):\n%s", after, diff)
		}
	}
	if got := dumpEvents(t, v, ^store.Position(0)); len(got) != 0 {
		t.Errorf("events after the last possible position: %v", got)
	}
}

func trim(t *testing.T, s store.Store) {
	for _, body := range []string{"a", "b", "c", "d"} {
		commit(t, s, store.Batch{Events: [][]byte{[]byte(body), []byte(body)}})
	}
	for _, step := range []struct {
		upTo store.Position
		want []string
	}{
		{0, []string{"1.0=a", "1.1=a", "2.0=b", "2.1=b", "3.0=c", "3.1=c", "4.0=d", "4.1=d"}},
		{2, []string{"3.0=c", "3.1=c", "4.0=d", "4.1=d"}},
		{1, []string{"3.0=c", "3.1=c", "4.0=d", "4.1=d"}},
		{^store.Position(0), []string{}},
	} {
		if err := s.TrimEvents(step.upTo); err != nil {
			t.Fatal(err)
		}
		v := look(t, s)
		if diff := cmp.Diff(step.want, dumpEvents(t, v, 0)); diff != "" {
			t.Errorf("events after a trim to %d (-want +got):\n%s", step.upTo, diff)
		}
		if v.Position() != 4 {
			t.Errorf("position %d after a trim, want 4", v.Position())
		}
		v.Close()
	}
	// A trim does not reach into the future.
	commit(t, s, store.Batch{Events: [][]byte{[]byte("e")}})
	v := look(t, s)
	defer v.Close()
	if diff := cmp.Diff([]string{"5.0=e"}, dumpEvents(t, v, 0)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// followers start at different times, while writers write.
func followers(t *testing.T, s store.Store) {
	const writers, each, readers = 4, 300, 5
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%d/%d", w, i)
				commit(t, s, store.Batch{Writes: []store.Write{set(name, name, 1)}, Events: [][]byte{[]byte(name)}})
			}
		})
	}
	for range readers {
		all.Go(func() {
			f, err := s.Follow()
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			v := look(t, s)
			if v.Position() < f.Start() {
				t.Errorf("the follower starts at %d, a later view is at %d", f.Start(), v.Position())
			}
			v.Close()
			for i, c := range read(t, f, writers*each-int(f.Start())) {
				if c.Position != f.Start()+store.Position(i)+1 {
					t.Errorf("commit %d after %d is %d", i, f.Start(), c.Position)
				}
				if len(c.Writes) != 1 || len(c.Events) != 1 || string(c.Writes[0].Key) != string(c.Events[0]) {
					t.Errorf("commit %d lost something: %v", c.Position, c)
				}
			}
		})
	}
	all.Wait()
}

func followerWaits(t *testing.T, s store.Store) {
	f, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Start() != 0 {
		t.Errorf("start %d, want 0", f.Start())
	}
	commit(t, s, writes(set("before", "", 1)))
	read(t, f, 1)
	// Whoever has read a commit knows that a later follower starts behind it.
	later, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if later.Start() != 1 {
		t.Errorf("start %d, want 1", later.Start())
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Next(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with an ended context: %v", err)
	}
	got := make(chan []store.Commit)
	go func() {
		commits, _ := f.Next(context.Background())
		got <- commits
	}()
	commit(t, s, writes(set("after", "", 1)))
	if commits := <-got; len(commits) != 1 || commits[0].Position != 2 {
		t.Errorf("got %v", commits)
	}
}

func closedFollower(t *testing.T, s store.Store) {
	f, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, writes(set("k", "", 1)))
	read(t, f, 1)
	const waiting = 3
	ended := make(chan error)
	for range waiting {
		go func() {
			_, err := f.Next(context.Background())
			ended <- err
		}()
	}
	f.Close()
	f.Close()
	for range waiting {
		if err := <-ended; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Next: %v, want ErrClosed", err)
		}
	}
	commit(t, s, writes(set("k", "", 2)))
	if _, err := f.Next(context.Background()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Next: %v, want ErrClosed", err)
	}
}

// flood writes n batches of 1 MiB of events. done tells of each.
func flood(s store.Store, n int, done func(error)) {
	body := []byte(strings.Repeat("x", 1<<20))
	for range n {
		s.Submit(store.Batch{Events: [][]byte{body}}, func(_ store.Position, err error) { done(err) })
	}
}

// floodSize is more than may be unread (64 MiB) and in both queues (8 MiB
// each) together.
const floodSize = 100

// notYet is how long a test looks for something that must not happen. A store
// that is wrong may get past it on a slow machine; one that is right always
// passes.
const notYet = 100 * time.Millisecond

func slowFollower(t *testing.T, s store.Store) {
	slow, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	gone, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, floodSize)
	hear := func(n int) {
		t.Helper()
		for range n {
			if err := <-told; err != nil {
				t.Fatal(err)
			}
		}
	}
	tell := func(err error) { told <- err }
	for range 64 {
		flood(s, 1, tell)
		hear(1)
	}
	// Both followers are as far behind as they may be.
	s.Submit(store.Batch{Events: [][]byte{[]byte("small")}}, func(_ store.Position, err error) { tell(err) })
	select {
	case <-told:
		t.Error("a commit went past a follower that reads nothing")
	case <-time.After(notYet):
	}
	go flood(s, floodSize-65, tell)
	commits := read(t, slow, 64)
	gone.Close()
	commits = append(commits, read(t, slow, floodSize-len(commits))...)
	hear(floodSize - 64)
	if !slices.IsSortedFunc(commits, func(a, b store.Commit) int { return int(a.Position) - int(b.Position) }) || len(commits) != floodSize {
		t.Errorf("%d commits, want %d in order", len(commits), floodSize)
	}
	// Nobody waits for those who have left.
	slow.Close()
	flood(s, floodSize, tell)
	hear(floodSize)
}

func closeUnderSlowFollower(t *testing.T, s store.Store) {
	slow, err := s.Follow()
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	told := make(chan error, floodSize)
	submitted := make(chan struct{})
	go func() {
		flood(s, floodSize, func(err error) { told <- err })
		close(submitted)
	}()
	for range 64 {
		if err := <-told; err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	<-submitted
	committed := 64
	for range floodSize - 64 {
		if err := <-told; err == nil {
			committed++
		} else if !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	}
	read(t, slow, committed)
	if _, err := slow.Next(context.Background()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Next: %v, want ErrClosed", err)
	}
}
