package queue

import (
	"context"
	"sync"

	"github.com/hubtwin/hubtwin/store"
)

// How far a follower may fall behind before the committer waits for it.
const (
	maxUnread      = 64 << 10 // commits
	maxUnreadBytes = 64 << 20 // of their batches
)

// Commits hands each commit to every follower. Each follower holds what it has
// not read yet; the slowest one bounds how far the committer may run ahead.
type Commits struct {
	mu        sync.Mutex
	drained   sync.Cond // a follower has read, or is gone
	newest    store.Position
	followers map[*follower]struct{}
	released  bool // the committer waits no more
	closed    bool
}

// NewCommits makes a feed whose newest commit is at.
func NewCommits(at store.Position) *Commits {
	c := &Commits{newest: at, followers: map[*follower]struct{}{}}
	c.drained.L = &c.mu
	return c
}

// Append gives a group of commits, in order, to every follower. size is the
// sum of their batches' sizes. The group must not be changed afterwards.
func (c *Commits) Append(group []store.Commit, size int) {
	if len(group) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest = group[len(group)-1].Position
	for f := range c.followers {
		f.append(group, size)
	}
}

// WaitForRoom waits while a follower is too far behind. A committer calls it
// before it decides a group, so a follower holds at most one group above the
// bound.
func (c *Commits) WaitForRoom() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.released && c.crowded() {
		c.drained.Wait()
	}
}

func (c *Commits) crowded() bool {
	for f := range c.followers {
		if len(f.unread) >= maxUnread || f.bytes >= maxUnreadBytes {
			return true
		}
	}
	return false
}

// Release ends all waiting for room, now and later: a store that closes has
// only so much left to commit, and its followers may be gone already.
func (c *Commits) Release() {
	c.mu.Lock()
	c.released = true
	c.mu.Unlock()
	c.drained.Broadcast()
}

// Close ends the feed. Followers can still read what they hold.
func (c *Commits) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for f := range c.followers {
		f.signal()
	}
}

// Follow is [store.Store.Follow]. Stores show a commit in Views before they
// append it here, so a View taken after Follow has all up to Start.
func (c *Commits) Follow() (store.Follower, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.released {
		return nil, store.ErrClosed
	}
	f := &follower{feed: c, start: c.newest, wake: make(chan struct{}, 1)}
	c.followers[f] = struct{}{}
	return f, nil
}

// follower is one reader of the feed. All its fields but start, feed and wake
// are guarded by the feed's mutex.
type follower struct {
	feed   *Commits
	start  store.Position
	unread []store.Commit
	bytes  int
	closed bool
	wake   chan struct{} // holds a token when there may be something new
}

func (f *follower) append(group []store.Commit, size int) {
	if len(f.unread) == 0 {
		// The usual case costs no copy: followers that keep up share the group.
		f.unread = group[:len(group):len(group)]
	} else {
		f.unread = append(f.unread, group...)
	}
	f.bytes += size
	f.signal()
}

func (f *follower) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *follower) Start() store.Position { return f.start }

func (f *follower) Next(ctx context.Context) ([]store.Commit, error) {
	for {
		if commits, err := f.take(); len(commits) > 0 || err != nil {
			return commits, err
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *follower) take() ([]store.Commit, error) {
	f.feed.mu.Lock()
	defer f.feed.mu.Unlock()
	if f.closed || len(f.unread) == 0 && f.feed.closed {
		f.signal() // for another goroutine that may wait in Next
		return nil, store.ErrClosed
	}
	commits := f.unread
	f.unread, f.bytes = nil, 0
	f.feed.drained.Broadcast()
	return commits, nil
}

func (f *follower) Close() {
	f.feed.mu.Lock()
	f.closed = true
	f.unread, f.bytes = nil, 0
	delete(f.feed.followers, f)
	f.signal()
	f.feed.mu.Unlock()
	f.feed.drained.Broadcast()
}
