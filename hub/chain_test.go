package hub_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/twin"
)

// background runs f while the disk hangs, and returns when it waits for the disk,
// or has returned.
func background(t *testing.T, s *slowStore, f func() error) (result chan error) {
	t.Helper()
	before := s.waiting()
	result = make(chan error, 1)
	go func() { result <- f() }()
	waitFor(t, func() bool { return s.waiting() > before || len(result) > 0 })
	return result
}

// TestARefusalWaitsForItsReason: a delete that is not durable yet must not be
// told to another caller either, who might take it for done.
func TestARefusalWaitsForItsReason(t *testing.T) {
	ctx := context.Background()
	h, s := openSlow(t)
	i := register(t, h, "d")
	remove := func() error { return h.DeleteIdentity(ctx, owner, i.ID, hub.Any) }

	s.hang()
	first := background(t, s, remove)
	second := background(t, s, remove)
	if len(second) > 0 {
		t.Error("the second delete is answered while the first waits for the disk")
	}
	s.resume(nil)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := <-second; !fault.Is(err, fault.DeviceNotFound) {
		t.Errorf("the second delete: %v", err)
	}
	// With nothing to wait for, it does not.
	s.hang()
	if err := remove(); !fault.Is(err, fault.DeviceNotFound) {
		t.Errorf("the third delete: %v", err)
	}
	s.resume(nil)
}

// TestWhatBuildsOnAFailedChangeFails, even if it writes other parts or none.
func TestWhatBuildsOnAFailedChangeFails(t *testing.T) {
	ctx := context.Background()
	full := errors.New("no space left on device")
	setTag := func(t *testing.T, h *hub.Hub, body string) error {
		p, err := twin.ParsePatch([]byte(body), twin.Rules{})
		if err != nil {
			return err
		}
		d, err := h.UpdateTwin(ctx, owner, device.ID{Device: "d"}, p, "")
		if err != nil {
			return err
		}
		if a, ok := d.Lookup([]string{"tags", "a"}); ok {
			t.Errorf("the answer to %s shows a change that failed: %s", body, a)
		}
		return nil
	}
	for name, second := range map[string]func(t *testing.T, h *hub.Hub, i device.Identity) error{
		"a connect": func(t *testing.T, h *hub.Hub, i device.Identity) error {
			_, err := h.Connect(ctx, principal(i), newRecorder(), false, "")
			return err
		},
		"a patch that changes nothing": func(t *testing.T, h *hub.Hub, i device.Identity) error {
			return setTag(t, h, `{"tags":{"none":null}}`)
		},
		"a patch": func(t *testing.T, h *hub.Hub, i device.Identity) error { return setTag(t, h, `{"tags":{"b":1}}`) },
	} {
		t.Run(name, func(t *testing.T) {
			h, s := openSlow(t)
			i := register(t, h, "d")
			s.hang()
			failing := background(t, s, func() error { return setTag(t, h, `{"tags":{"a":1}}`) })
			building := background(t, s, func() error { return second(t, h, i) })
			s.resume(full, nil)
			if err := <-failing; !errors.Is(err, full) {
				t.Errorf("the first change: %v", err)
			}
			if err := <-building; err != nil {
				t.Errorf("the second was not tried again: %v", err)
			}
			d, err := h.Twin(ctx, owner, i.ID)
			if err != nil {
				t.Fatal(err)
			}
			if a, ok := d.Lookup([]string{"tags", "a"}); ok {
				t.Errorf("a change that failed is shown: %s", a)
			}
		})
	}
}

// TestAConnectThatNobodyWaitsForIsUndone: its commit may come all the same.
func TestAConnectThatNobodyWaitsForIsUndone(t *testing.T) {
	h, s := openSlow(t)
	i := register(t, h, "d")
	s.hang()
	ctx, cancel := context.WithCancel(context.Background())
	gone := background(t, s, func() error {
		_, err := h.Connect(ctx, principal(i), newRecorder(), true, "")
		return err
	})
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.resume(nil)
	// Behind all that was submitted:
	patch(t, h, "d", `{"tags":{"a":1}}`)
	if got := state(t, h, "d"); got != device.Disconnected {
		t.Errorf("connectionState %s", got)
	}
	if n, err := h.ConnectedDevices(context.Background(), owner); n != 0 || err != nil {
		t.Errorf("%d devices are connected, %v", n, err)
	}
}

// straggler is a device whose connection takes its time to end.
type straggler struct{}

func (straggler) Desired(presence.DesiredChange) {}

func (straggler) Invoke(presence.MethodCall, func(presence.MethodAnswer, error)) (func(), error) {
	return nil, fault.New(fault.DeviceNotOnline, "busy")
}
func (straggler) Wake()       {}
func (straggler) Close(error) {}

// TestStragglers: until its socket is closed, a connection that has lost its
// right must not act any more.
func TestStragglers(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		revoke func(t *testing.T, h *hub.Hub, i device.Identity)
		want   fault.Code
	}{
		"taken over": {func(t *testing.T, h *hub.Hub, i device.Identity) {
			c := connect(t, h, i, newRecorder(), true)
			t.Cleanup(c.Close)
		}, fault.ConnectionClosedOnNewConnection},
		"disabled": {func(t *testing.T, h *hub.Hub, i device.Identity) {
			i.Status = device.Disabled
			if _, err := h.PutIdentity(ctx, owner, i, hub.Any); err != nil {
				t.Fatal(err)
			}
		}, fault.DeviceDisabled},
		"deleted and created anew": {func(t *testing.T, h *hub.Hub, i device.Identity) {
			if err := h.DeleteIdentity(ctx, owner, i.ID, hub.Any); err != nil {
				t.Fatal(err)
			}
			register(t, h, i.ID.Device)
		}, fault.DeviceNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			i := register(t, h, "d")
			c, err := h.Connect(ctx, principal(i), straggler{}, false, "")
			if err != nil {
				t.Fatal(err)
			}
			test.revoke(t, h, i)
			if _, err := report(t, c, `{"a":1}`); !fault.Is(err, test.want) {
				t.Errorf("report: %v", err)
			}
			errs := make(chan error, 1)
			c.Subscribe([]hub.Subscription{{Filter: "$iothub/twin/res/#"}}, func(err error) { errs <- err })
			if err := <-errs; !fault.Is(err, test.want) {
				t.Errorf("subscribe: %v", err)
			}
			c.Unsubscribe([]string{"$iothub/twin/res/#"}, func(err error) { errs <- err })
			if err := <-errs; !fault.Is(err, test.want) {
				t.Errorf("unsubscribe: %v", err)
			}
			c.Twin(func(_ *twin.Twin, err error) { errs <- err })
			if err := <-errs; !fault.Is(err, test.want) {
				t.Errorf("read: %v", err)
			}
			c.Close()
			if v := reported(t, h, "d"); v != "" {
				t.Errorf("reported a=%s", v)
			}
		})
	}
}

// TestAChangeWaitsOutAFailedChain: between the failure of a chain's first change
// and that of its last there is nothing to build on.
func TestAChangeWaitsOutAFailedChain(t *testing.T) {
	h, s := openSlow(t)
	i := register(t, h, "d")
	full := errors.New("no space left on device")
	replace := func() error {
		r, err := twin.ParseReplacement([]byte(`{}`), twin.Rules{})
		if err == nil {
			_, err = h.ReplaceTwin(context.Background(), owner, i.ID, r, "")
		}
		return err
	}
	s.hang()
	first := background(t, s, replace)
	second := background(t, s, replace)
	s.decideFirst(full)
	if err := <-first; !errors.Is(err, full) {
		t.Errorf("the first change: %v", err)
	}
	third := background(t, s, replace)
	s.resume(nil)
	for _, result := range []chan error{second, third} {
		if err := <-result; err != nil {
			t.Errorf("a change behind the failed one: %v", err)
		}
	}
	// The chain is whole again: changes follow each other without waiting.
	s.hang()
	first, second = background(t, s, replace), background(t, s, replace)
	if n := s.waiting(); n != 2 {
		t.Errorf("%d changes are on their way, want 2", n)
	}
	s.resume(nil)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
	d, err := h.Twin(context.Background(), owner, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := d.Lookup([]string{"version"}); v != "6" {
		t.Errorf("version %s after four changes", v)
	}
}
