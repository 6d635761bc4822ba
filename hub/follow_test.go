package hub_test

import (
	"context"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
)

// A gatedStore can hold back its followers and its trims.
type gatedStore struct {
	store.Store
	follow, trim chan struct{} // nil, or closed: let pass
}

func (s gatedStore) TrimEvents(upTo store.Position) error {
	if s.trim != nil {
		<-s.trim
	}
	return s.Store.TrimEvents(upTo)
}

func (s gatedStore) Follow() (store.Follower, error) {
	f, err := s.Store.Follow()
	return gatedFollower{f, s.follow}, err
}

type gatedFollower struct {
	store.Follower
	gate chan struct{}
}

func (f gatedFollower) Next(ctx context.Context) ([]store.Commit, error) {
	if f.gate != nil {
		<-f.gate
	}
	return f.Follower.Next(ctx)
}

// TestTrimsHoldNothingUp: a trim waits for the committer, so whoever reads
// commits must not wait for a trim.
func TestTrimsHoldNothingUp(t *testing.T) {
	m := memory.New()
	defer m.Close()
	s := gatedStore{Store: m, trim: make(chan struct{})}
	h := open(t, s, func(c *hub.Config) { c.KeepEvents = 1 })
	defer close(s.trim)
	r := newRecorder()
	c := connect(t, h, register(t, h, "d"), r, true)
	defer c.Close()
	for k := range 10 {
		patch(t, h, "d", `{"properties":{"desired":{"a":1}}}`)
		r.wait(func() bool { return len(r.desired) == k+1 })
	}
}

// TestEventLogIsTrimmedAcrossRuns: none of the runs is long enough by itself.
func TestEventLogIsTrimmedAcrossRuns(t *testing.T) {
	m := memory.New()
	defer m.Close()
	for run := range 10 {
		h := open(t, m, func(c *hub.Config) { c.KeepEvents = 50 })
		if run == 0 {
			register(t, h, "d")
		}
		for range 20 {
			patch(t, h, "d", `{"tags":{"a":1}}`)
		}
		if run == 9 {
			waitFor(t, func() bool { return events(t, m) <= 53 })
		}
		h.Close()
	}
}

func events(t *testing.T, s store.Store) (n int) {
	t.Helper()
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, err := range v.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestARevocationSparesWhoCameAfterIt: the follower may be far behind, and a
// device that has connected with its new credentials in between must stay.
func TestARevocationSparesWhoCameAfterIt(t *testing.T) {
	ctx := context.Background()
	m := memory.New()
	defer m.Close()
	s := gatedStore{Store: m, follow: make(chan struct{})}
	h := open(t, s)
	i := register(t, h, "d")
	old := newRecorder()
	c := connect(t, h, i, old, true)
	defer c.Close()
	i.Authentication.PrimaryKey = device.NewKey()
	put, err := h.PutIdentity(ctx, owner, i, hub.Any)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	again := connect(t, h, put.Identity, r, true)
	defer again.Close()
	patch(t, h, "d", `{"properties":{"desired":{"a":1}}}`)
	close(s.follow)
	r.wait(func() bool { return len(r.desired) == 1 })
	if r.closed != nil {
		t.Errorf("closed: %v", r.closed)
	}
	if !fault.Is(old.closed, fault.ConnectionClosedOnNewConnection) {
		t.Errorf("the old connection: %v", old.closed)
	}
}

// TestARevocationSparesWhoIsAboutToCome: the new connection is in the table, and
// its commit is on the way to the disk.
func TestARevocationSparesWhoIsAboutToCome(t *testing.T) {
	ctx := context.Background()
	m := memory.New()
	defer m.Close()
	gated := gatedStore{Store: m, follow: make(chan struct{})}
	s := &slowStore{Store: gated}
	h := open(t, s)
	i := register(t, h, "d")
	i.Authentication.PrimaryKey = device.NewKey()
	put, err := h.PutIdentity(ctx, owner, i, hub.Any)
	if err != nil {
		t.Fatal(err)
	}
	patch(t, h, "d", `{"properties":{"desired":{"a":1}}}`)
	s.hang()
	r := newRecorder()
	connected := background(t, s, func() error {
		c, err := h.Connect(ctx, principal(put.Identity), r, true, "")
		if err == nil {
			c.Close()
		}
		return err
	})
	close(gated.follow)
	r.wait(func() bool { return len(r.desired) == 1 }) // behind the revocation
	s.resume(nil)
	if err := <-connected; err != nil {
		t.Error(err)
	}
	if r.closed != nil {
		t.Errorf("closed: %v", r.closed)
	}
}
