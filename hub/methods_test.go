package hub_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/presence"
)

// reboot is a call that may be made.
var reboot = hub.MethodRequest{Name: "reboot", ResponseTimeout: hub.DefaultResponseTimeout}

// echo is a device that answers at once, with the name and the payload of the call.
func echo(c presence.MethodCall, answered func(presence.MethodAnswer, error)) (func(), error) {
	answered(presence.MethodAnswer{Status: len(c.Name), Payload: c.Payload}, nil)
	return func() {}, nil
}

func TestMethodsAreObserved(t *testing.T) {
	var seen []hub.MethodObservation
	h := open(t, nil, func(c *hub.Config) {
		c.ObserveMethod = func(o hub.MethodObservation) { seen = append(seen, o) }
	})
	r := newRecorder()
	r.invoke = echo
	defer connect(t, h, register(t, h, "d"), r, true).Close()
	call := reboot
	call.Payload = []byte(`{"n":1}`)
	for _, name := range []string{"d", "nobody"} {
		h.InvokeMethod(t.Context(), owner, device.ID{Device: name}, call)
	}
	h.InvokeMethod(t.Context(), auth.Principal{}, device.ID{Device: "d"}, call) // has no right, so it is no call
	if len(seen) != 2 {
		t.Fatalf("observed: %v", seen)
	}
	if o := seen[0]; o.Err != nil || o.Request != 7 || o.Answer != 7 {
		t.Errorf("the answered call is observed as %+v", o)
	}
	if o := seen[1]; !fault.Is(o.Err, fault.DeviceNotFound) || o.Request != 7 || o.Answer != 0 {
		t.Errorf("the failed call is observed as %+v", o)
	}
}

// TestWhoMayInvoke: back ends with ServiceConnect, and a device and its modules
// among themselves.
func TestWhoMayInvoke(t *testing.T) {
	h := open(t, nil)
	r := newRecorder()
	r.invoke = echo
	i := register(t, h, "d")
	defer connect(t, h, i, r, true).Close()
	register(t, h, "other")
	own := auth.Principal{Permissions: auth.DeviceConnect, ID: i.ID}
	module := auth.Principal{Permissions: auth.DeviceConnect, ID: device.ID{Device: "d", Module: "m"}}
	policy := auth.Principal{Policy: "device", Permissions: auth.DeviceConnect}
	for _, c := range []struct {
		who  auth.Principal
		id   string
		code fault.Code
	}{
		{own, "d", 0}, {module, "d", 0},
		{own, "other", fault.IotHubUnauthorizedAccess}, {module, "other", fault.IotHubUnauthorizedAccess},
		{policy, "d", fault.IotHubUnauthorizedAccess}, {auth.Principal{ID: i.ID}, "d", fault.IotHubUnauthorizedAccess},
	} {
		_, err := h.InvokeMethod(t.Context(), c.who, device.ID{Device: c.id}, reboot)
		if c.code == 0 && err != nil || c.code != 0 && !fault.Is(err, c.code) {
			t.Errorf("%+v calls %s: %v, want code %d", c.who, c.id, err, c.code)
		}
	}
}

func TestMethodNames(t *testing.T) {
	h := open(t, nil)
	r := newRecorder()
	r.invoke = echo
	defer connect(t, h, register(t, h, "d"), r, true).Close()
	try := func(name string) error {
		call := reboot
		call.Name = name
		_, err := h.InvokeMethod(t.Context(), owner, device.ID{Device: "d"}, call)
		return err
	}
	for c := range 256 {
		name := "a" + string(rune(c)) + "b"
		good := c > ' ' && c < 0x7f && !strings.ContainsRune(`$()<>@,;:\"/[]?={}`+"#+", rune(c))
		if err := try(name); good && err != nil || !good && !fault.Is(err, fault.ArgumentInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, good := range map[string]bool{"": false, "\xff": false, strings.Repeat("x", 256): true, strings.Repeat("x", 257): false} {
		if err := try(name); good != (err == nil) {
			t.Errorf("%.20q, %d bytes: %v", name, len(name), err)
		}
	}
}

// TestHangUp: a shutdown does not wait for devices that are not there.
func TestHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		register(t, h, "d")
		call := reboot
		call.ConnectTimeout = 30 * time.Second
		start, done := time.Now(), make(chan error, 1)
		go func() {
			_, err := h.InvokeMethod(context.Background(), owner, device.ID{Device: "d"}, call)
			done <- err
		}()
		synctest.Wait()
		h.HangUp()
		h.HangUp()
		wantFault(t, <-done, fault.ServiceUnavailable)
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}
