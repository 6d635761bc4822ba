package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hubtwin/hubtwin/store"
)

// Inside a bubble synctest.Wait returns when every goroutine waits, so that
// "still waiting" is a fact and not a guess.

func submitMany(q *Submissions, n int, b store.Batch, submitted *int) {
	for range n {
		q.Submit(b, func(store.Position, error) {})
		*submitted++
	}
}

func TestSubmitWaitsWhileFull(t *testing.T) {
	for _, test := range []struct {
		name  string
		batch store.Batch
		fit   int
	}{
		{"batches", store.Batch{}, maxBatches},
		{"bytes", store.Batch{Events: [][]byte{make([]byte, 1<<20)}}, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := NewSubmissions()
				submitted := 0
				go submitMany(q, test.fit+2, test.batch, &submitted)
				synctest.Wait()
				if submitted != test.fit {
					t.Errorf("%d submitted, want %d", submitted, test.fit)
				}
				group, ok := q.Take(nil)
				if len(group) != test.fit || !ok {
					t.Errorf("took %d (%v), want %d", len(group), ok, test.fit)
				}
				synctest.Wait()
				if group, _ := q.Take(group); len(group) != 2 {
					t.Errorf("took %d, want the 2 that waited", len(group))
				}
			})
		})
	}
}

// A batch above the bound of the line is let in when the line is empty.
func TestLargeBatchFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewSubmissions()
		body := make([]byte, store.MaxRecord)
		submitMany(q, 1, store.Batch{Events: [][]byte{body, body, body, body, body, body, body, body, body}}, new(int))
		if group, _ := q.Take(nil); len(group) != 1 || group[0].Invalid != nil {
			t.Errorf("took %d", len(group))
		}
	})
}

// Close frees those who wait to submit, and lets what waits be taken.
func TestCloseSubmissions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewSubmissions()
		refused := 0
		go func() {
			for range maxBatches + 1 {
				q.Submit(store.Batch{}, func(_ store.Position, err error) {
					if errors.Is(err, store.ErrClosed) {
						refused++
					}
				})
			}
		}()
		synctest.Wait()
		q.Close()
		synctest.Wait()
		if refused != 1 {
			t.Errorf("%d refused, want 1", refused)
		}
		if group, ok := q.Take(nil); len(group) != maxBatches || !ok {
			t.Errorf("took %d (%v), want %d", len(group), ok, maxBatches)
		}
		if group, ok := q.Take(nil); ok {
			t.Errorf("took %d from an empty closed line", len(group))
		}
	})
}

// The committer waits for the slowest follower, and no longer than it must.
func TestWaitForRoom(t *testing.T) {
	for _, test := range []struct {
		name string
		fill func(*Commits)
		free func(*Commits, store.Follower)
	}{
		{"bytes, freed by reading", fillBytes, func(_ *Commits, f store.Follower) { f.Next(context.Background()) }},
		{"bytes, freed by leaving", fillBytes, func(_ *Commits, f store.Follower) { f.Close() }},
		{"commits, freed by reading", fillCommits, func(_ *Commits, f store.Follower) { f.Next(context.Background()) }},
		{"commits, freed by release", fillCommits, func(c *Commits, _ store.Follower) { c.Release() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := NewCommits(0)
				f, err := c.Follow()
				if err != nil {
					t.Fatal(err)
				}
				c.WaitForRoom() // there is room
				test.fill(c)
				room := false
				go func() {
					c.WaitForRoom()
					room = true
				}()
				synctest.Wait()
				if room {
					t.Error("room beside a follower that is too far behind")
				}
				test.free(c, f)
				synctest.Wait()
				if !room {
					t.Error("no room, but nobody is behind")
				}
				f.Close()
			})
		})
	}
}

func fillBytes(c *Commits) {
	c.Append([]store.Commit{{Position: 1}}, maxUnreadBytes)
}

func fillCommits(c *Commits) {
	group := make([]store.Commit, maxUnread/2)
	c.Append(group, 0)
	c.Append(group, 0)
}

// Every goroutine that waits in Next learns of the end.
func TestCloseWakesAll(t *testing.T) {
	for _, test := range []struct {
		name  string
		close func(*Commits, store.Follower)
	}{
		{"follower", func(_ *Commits, f store.Follower) { f.Close() }},
		{"feed", func(c *Commits, _ store.Follower) { c.Close() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := NewCommits(0)
				f, err := c.Follow()
				if err != nil {
					t.Fatal(err)
				}
				var ended atomic.Int32
				for range 3 {
					go func() {
						if _, err := f.Next(context.Background()); errors.Is(err, store.ErrClosed) {
							ended.Add(1)
						}
					}()
					synctest.Wait()
				}
				test.close(c, f)
				synctest.Wait()
				if ended.Load() != 3 {
					t.Errorf("%d of 3 learned of the end", ended.Load())
				}
			})
		})
	}
}
