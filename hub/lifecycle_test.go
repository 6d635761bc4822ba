package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

// bushy is an object of some 28,000 members, on three levels. Each weighs one
// byte, its key, and has 50 bytes of metadata.
func bushy() string {
	body := "{}"
	for range 3 {
		var members []string
		for _, key := range "abcdefghijklmnopqrstuvwxyzABCD" {
			members = append(members, fmt.Sprintf("%q:%s", string(key), body))
		}
		body = "{" + strings.Join(members, ",") + "}"
	}
	return body
}

// TestADeviceCannotMakeItselfUndeletable: the event of the deletion has the
// whole twin, and an event has a limit.
func TestADeviceCannotMakeItselfUndeletable(t *testing.T) {
	m := memory.New()
	defer m.Close()
	h := open(t, m)
	i := register(t, h, "d")
	patch(t, h, "d", `{"tags":{"site":"Oslo"}}`)
	c := connect(t, h, i, newRecorder(), true)
	defer c.Close()
	if _, err := report(t, c, bushy()); err != nil {
		t.Fatal(err)
	}
	r, err := twin.ParseReplacement([]byte(`{"tags":{"site":"Oslo"}}`), twin.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ReplaceTwin(context.Background(), owner, i.ID, r, ""); err != nil {
		t.Fatalf("nor may it make itself unreplaceable: %v", err)
	}
	if body := lastBody(t, m, hub.TwinReplaced); len(body) < store.MaxRecord {
		t.Fatalf("a body of %d bytes proves nothing", len(body))
	}
	if err := h.DeleteIdentity(context.Background(), owner, i.ID, hub.Any); err != nil {
		t.Fatal(err)
	}
	_, err = h.Twin(context.Background(), owner, i.ID)
	wantFault(t, err, fault.DeviceNotFound)

	body := lastBody(t, m, hub.IdentityDeleted)
	var got struct {
		DeviceID   string
		Tags       map[string]string
		Properties struct{ Reported map[string]any }
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.DeviceID != "d" || got.Tags["site"] != "Oslo" || got.Properties.Reported["$version"] != 2.0 || len(got.Properties.Reported) != 32 {
		t.Errorf("body %.300s", body)
	}
}

// lastBody is that of the last event of a kind.
func lastBody(t *testing.T, s store.Store, kind hub.EventKind) (body []byte) {
	t.Helper()
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for e, err := range v.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		ev, err := hub.DecodeEvent(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind != kind {
			continue
		}
		if body, err = ev.Body(); err != nil {
			t.Fatal(err)
		}
	}
	return body
}

// TestANewLifeOwesTheOldNothing: the socket of the first life ends after the
// second has begun.
func TestANewLifeOwesTheOldNothing(t *testing.T) {
	ctx := context.Background()
	m := memory.New()
	defer m.Close()
	h := open(t, m)
	first := register(t, h, "d")
	c, err := h.Connect(ctx, principal(first), straggler{}, false, "dtmi:com:ex;1")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	c.Subscribe([]hub.Subscription{{Filter: "$iothub/twin/res/#"}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteIdentity(ctx, owner, first.ID, hub.Any); err != nil {
		t.Fatal(err)
	}
	wantNoRecords(t, m)
	second := register(t, h, "d")
	again := connect(t, h, second, newRecorder(), false)
	if again.Resumed || len(again.Subscriptions) != 0 {
		t.Errorf("the new life resumed %v", again.Subscriptions)
	}
	c.Close()
	patch(t, h, "d", `{"tags":{"a":1}}`) // behind all that c has submitted
	if got := state(t, h, "d"); got != device.Connected {
		t.Errorf("connectionState %s after the old socket ended", got)
	}
	d, err := h.Twin(ctx, owner, second.ID)
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := d.Lookup([]string{"modelId"}); ok {
		t.Errorf("the new life has the model %s", m)
	}
	again.Close()
	waitFor(t, func() bool { return state(t, h, "d") == device.Disconnected })
}

// wantNoRecords checks that s has nothing of any identity.
func wantNoRecords(t *testing.T, s store.Store) {
	t.Helper()
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for e, err := range v.Scan([]byte("d"), []byte("e")) {
		t.Errorf("left behind: %q %q, %v", e.Key, e.Value, err)
	}
}
