package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var owner = auth.Principal{
	Policy:      "iothubowner",
	Permissions: auth.RegistryRead | auth.RegistryWrite | auth.ServiceConnect | auth.DeviceConnect,
}

// open starts a hub on s, or on a new memory store, and ends both with the test.
func open(t testing.TB, s store.Store, config ...func(*hub.Config)) *hub.Hub {
	t.Helper()
	if s == nil {
		m := memory.New()
		t.Cleanup(func() { m.Close() })
		s = m
	}
	c := hub.Config{Store: s, Log: slog.New(slog.DiscardHandler)}
	for _, f := range config {
		f(&c)
	}
	h, err := hub.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// named is the identity of a name: device, or device/module.
func named(name string) device.ID {
	dev, module, _ := strings.Cut(name, "/")
	return device.ID{Device: dev, Module: module}
}

func register(t testing.TB, h *hub.Hub, name string) device.Identity {
	t.Helper()
	want, err := device.ParseIdentity([]byte(`{}`), named(name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.PutIdentity(context.Background(), owner, want, "")
	if err != nil {
		t.Fatal(err)
	}
	return d.Identity
}

// recorder is a connected device that writes down what it is told.
type recorder struct {
	mu      sync.Mutex
	changed *sync.Cond
	desired []presence.DesiredChange
	invoke  func(presence.MethodCall, func(presence.MethodAnswer, error)) (func(), error)
	closed  error
	wakes   int
}

func newRecorder() *recorder {
	r := new(recorder)
	r.changed = sync.NewCond(&r.mu)
	return r
}

func (r *recorder) Desired(c presence.DesiredChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.desired = append(r.desired, c)
	r.changed.Broadcast()
}

func (r *recorder) Invoke(c presence.MethodCall, answered func(presence.MethodAnswer, error)) (func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.invoke == nil {
		return nil, fault.New(fault.DeviceNotOnline, "not subscribed")
	}
	return r.invoke(c, answered)
}

func (r *recorder) Wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wakes++
	r.changed.Broadcast()
}

func (r *recorder) Close(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = reason
	r.changed.Broadcast()
}

// wait blocks until done holds.
func (r *recorder) wait(done func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !done() {
		r.changed.Wait()
	}
}

func principal(i device.Identity) auth.Principal {
	return auth.Principal{Permissions: auth.DeviceConnect, ID: i.ID, IdentityEtag: i.Etag}
}

func connect(t testing.TB, h *hub.Hub, i device.Identity, r *recorder, clean bool) *hub.Connection {
	t.Helper()
	c, err := h.Connect(context.Background(), principal(i), r, clean, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func patch(t testing.TB, h *hub.Hub, name, body string) *document.Document {
	t.Helper()
	p, err := twin.ParsePatch([]byte(body), twin.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.UpdateTwin(context.Background(), owner, named(name), p, "")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// report sends a reported patch and waits for its answer.
func report(t testing.TB, c *hub.Connection, body string) (int64, error) {
	t.Helper()
	type answer struct {
		version int64
		err     error
	}
	answers := make(chan answer, 1)
	c.Report([]byte(body), twin.Rules{}, hub.AnyVersion, func(v int64, err error) { answers <- answer{v, err} })
	a := <-answers
	return a.version, a.err
}

func wantFault(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("got %v, want fault %d", err, code)
	}
}

func TestTwinLivesAndDiesWithItsIdentity(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	id := device.ID{Device: "pump-7"}
	_, err := h.Twin(ctx, owner, id)
	wantFault(t, err, fault.DeviceNotFound)

	first := register(t, h, "pump-7")
	d, err := h.Twin(ctx, owner, id)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(d.AppendJSON(nil), &doc); err != nil {
		t.Fatalf("%v in %s", err, d.AppendJSON(nil))
	}
	delete(doc, "properties")
	want := map[string]any{
		"deviceId": "pump-7", "etag": "AAAAAAAAAAE=", "deviceEtag": first.Etag, "version": 2.0,
		"status": "enabled", "statusUpdateTime": "0001-01-01T00:00:00Z",
		"connectionState": "Disconnected", "lastActivityTime": "0001-01-01T00:00:00Z",
		"cloudToDeviceMessageCount": 0.0, "authenticationType": "sas",
		"x509Thumbprint": map[string]any{"primaryThumbprint": nil, "secondaryThumbprint": nil},
		"capabilities":   map[string]any{"iotEdge": false},
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Errorf("twin document (-want +got):\n%s", diff)
	}

	patch(t, h, "pump-7", `{"tags":{"site":"Oslo"}}`)
	if err := h.DeleteIdentity(ctx, owner, id, hub.Any); err != nil {
		t.Fatal(err)
	}
	_, err = h.Twin(ctx, owner, id)
	wantFault(t, err, fault.DeviceNotFound)

	second := register(t, h, "pump-7")
	if second.GenerationID == first.GenerationID {
		t.Error("a new life has the generationId of the old one")
	}
	d, err = h.Twin(ctx, owner, id)
	if err != nil {
		t.Fatal(err)
	}
	if d.Etag() != "AAAAAAAAAAE=" {
		t.Errorf("a new life's twin has etag %s", d.Etag())
	}
}

// TestIdentityWritesLeaveTheTwinAlone: the copies in the twin follow at once,
// its own counters don't.
func TestIdentityWritesLeaveTheTwinAlone(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	i := register(t, h, "pump-7")
	patch(t, h, "pump-7", `{"tags":{"site":"Oslo"}}`)
	i.StatusReason = "moved"
	put, err := h.PutIdentity(ctx, owner, i, hub.Any)
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.Twin(ctx, owner, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"etag": `"AAAAAAAAAAI="`, "version": "3",
		"deviceEtag": `"` + put.Identity.Etag + `"`, "statusReason": `"moved"`,
	} {
		if got, _ := d.Lookup([]string{name}); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if put.Identity.Etag == i.Etag {
		t.Error("the etag of the identity did not move")
	}
}

func TestRightsAreAskedFor(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	i := register(t, h, "d")
	p, _ := twin.ParsePatch([]byte(`{"tags":{"a":1}}`), twin.Rules{})
	r, _ := twin.ParseReplacement([]byte(`{}`), twin.Rules{})
	calls := map[string]struct {
		need auth.Permission
		call func(auth.Principal) error
	}{
		"read twin":    {auth.ServiceConnect, func(w auth.Principal) error { _, err := h.Twin(ctx, w, i.ID); return err }},
		"update twin":  {auth.ServiceConnect, func(w auth.Principal) error { _, err := h.UpdateTwin(ctx, w, i.ID, p, ""); return err }},
		"replace twin": {auth.ServiceConnect, func(w auth.Principal) error { _, err := h.ReplaceTwin(ctx, w, i.ID, r, ""); return err }},
		"invoke":       {auth.ServiceConnect, func(w auth.Principal) error { _, err := h.InvokeMethod(ctx, w, i.ID, reboot); return err }},
		"query": {auth.ServiceConnect, func(w auth.Principal) error {
			_, err := h.Query(ctx, w, "SELECT * FROM devices", 10, "")
			return err
		}},
		"explain": {auth.ServiceConnect, func(w auth.Principal) error {
			_, err := h.Explain(ctx, w, "SELECT * FROM devices")
			return err
		}},
		"read identity": {auth.RegistryRead, func(w auth.Principal) error { _, err := h.Identity(ctx, w, i.ID); return err }},
		"list":          {auth.RegistryRead, func(w auth.Principal) error { _, err := h.Identities(ctx, w, 0); return err }},
		"statistics":    {auth.RegistryRead, func(w auth.Principal) error { _, err := h.DeviceStatistics(ctx, w); return err }},
		"bulk":          {auth.RegistryWrite, func(w auth.Principal) error { _, err := h.Bulk(ctx, w, nil, twin.Rules{}); return err }},
		"put identity": {auth.RegistryWrite, func(w auth.Principal) error {
			_, err := h.PutIdentity(ctx, w, device.Identity{ID: i.ID, Status: device.Enabled, Authentication: i.Authentication}, hub.Any)
			return err
		}},
		"delete identity": {auth.RegistryWrite, func(w auth.Principal) error { return h.DeleteIdentity(ctx, w, device.ID{Device: "none"}, hub.Any) }},
	}
	all := []auth.Permission{auth.RegistryRead, auth.RegistryWrite, auth.ServiceConnect, auth.DeviceConnect}
	for name, c := range calls {
		for _, have := range all {
			err := c.call(auth.Principal{Policy: "p", Permissions: have})
			allowed := have == c.need || have == auth.RegistryWrite && c.need == auth.RegistryRead
			if refused := fault.Is(err, fault.IotHubUnauthorizedAccess); refused == allowed {
				t.Errorf("%s with %s: %v", name, have, err)
			}
		}
	}
}

func TestDesiredNotifications(t *testing.T) {
	h := open(t, nil)
	i := register(t, h, "d")
	r := newRecorder()
	c := connect(t, h, i, r, true)
	defer c.Close()
	patch(t, h, "d", `{"properties":{"desired":{"a":1}}}`)
	patch(t, h, "d", `{"tags":{"a":1}}`) // never announced
	patch(t, h, "d", `{"properties":{"desired":{"a":1}}}`)
	patch(t, h, "d", `{"properties":{"desired":{"a":null,"b":{"c":null}}}}`)
	r.wait(func() bool { return len(r.desired) == 3 })
	var got []string
	for _, d := range r.desired {
		got = append(got, fmt.Sprintf("%d %s", d.Version, d.Patch))
		if d.Position <= c.Position {
			t.Errorf("a change at position %d is announced to a connection of position %d", d.Position, c.Position)
		}
	}
	want := []string{`2 {"a":1,"$version":2}`, `3 {"a":1,"$version":3}`, `4 {"a":null,"b":{},"$version":4}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notifications (-want +got):\n%s", diff)
	}
}

func TestAnswersLeaveInTheOrderOfRequests(t *testing.T) {
	h := open(t, nil)
	i := register(t, h, "d")
	c := connect(t, h, i, newRecorder(), true)
	defer c.Close()
	const n = 300
	var got []string
	answered := make(chan struct{})
	note := func(format string, args ...any) {
		got = append(got, fmt.Sprintf(format, args...)) // from one goroutine at a time, in order
		if len(got) == 3*n {
			close(answered)
		}
	}
	for k := range n {
		c.Report(fmt.Appendf(nil, `{"n":%d}`, k), twin.Rules{}, hub.AnyVersion, func(v int64, err error) { note("patched %d %v", v, err) })
		c.Report([]byte(`[]`), twin.Rules{}, hub.AnyVersion, func(v int64, err error) { note("refused %t", err != nil) })
		c.Twin(func(tw *twin.Twin, err error) {
			n, _ := tw.Lookup([]string{"properties", "reported", "n"})
			note("read %s at %d", n, tw.ReportedVersion())
		})
	}
	<-answered
	for k := range n {
		if got[3*k] != fmt.Sprintf("patched %d <nil>", k+2) || got[3*k+1] != "refused true" {
			t.Fatalf("answers %d: %q", k, got[3*k:3*k+3])
		}
		// A GET shows at least what was acknowledged before it.
		var read, version int
		if _, err := fmt.Sscanf(got[3*k+2], "read %d at %d", &read, &version); err != nil || read < k || version != read+2 {
			t.Fatalf("GET after patch %d: %q", k, got[3*k+2])
		}
	}
}

func TestReportVersionCondition(t *testing.T) {
	h := open(t, nil)
	c := connect(t, h, register(t, h, "d"), newRecorder(), true)
	defer c.Close()
	for _, step := range []struct {
		base int64
		code fault.Code
	}{{1, 0}, {1, fault.PreconditionFailed}, {2, 0}, {4, fault.PreconditionFailed}, {0, fault.PreconditionFailed}} {
		errs := make(chan error, 1)
		c.Report([]byte(`{"a":1}`), twin.Rules{}, step.base, func(_ int64, err error) { errs <- err })
		if err := <-errs; step.code == 0 && err != nil || step.code != 0 && !fault.Is(err, step.code) {
			t.Errorf("base %d: %v, want code %d", step.base, err, step.code)
		}
	}
}

func TestTakeover(t *testing.T) {
	h := open(t, nil)
	i := register(t, h, "d")
	first, second := newRecorder(), newRecorder()
	c1 := connect(t, h, i, first, false)
	c2 := connect(t, h, i, second, false)
	if !fault.Is(first.closed, fault.ConnectionClosedOnNewConnection) {
		t.Errorf("the first connection was closed with %v", first.closed)
	}
	c1.Close() // the old socket ends: the device stays connected
	patch(t, h, "d", `{"properties":{"desired":{"a":1}}}`)
	second.wait(func() bool { return len(second.desired) == 1 })
	if len(first.desired) != 0 {
		t.Error("the displaced connection is still told")
	}
	if s := state(t, h, "d"); s != device.Connected {
		t.Errorf("connectionState %s after the displaced socket ended", s)
	}
	c2.Close()
	waitFor(t, func() bool { return state(t, h, "d") == device.Disconnected })
}

func state(t *testing.T, h *hub.Hub, name string) string {
	t.Helper()
	d, err := h.Identity(context.Background(), owner, named(name))
	if err != nil {
		t.Fatal(err)
	}
	return d.Connection.State
}

// waitFor waits for what another goroutine will do soon.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("did not happen within a minute")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRevokedCredentialsEndTheConnection(t *testing.T) {
	ctx := context.Background()
	for name, revoke := range map[string]func(*testing.T, *hub.Hub, device.Identity){
		"disabled": func(t *testing.T, h *hub.Hub, i device.Identity) {
			i.Status = device.Disabled
			if _, err := h.PutIdentity(ctx, owner, i, hub.Any); err != nil {
				t.Fatal(err)
			}
		},
		"new keys": func(t *testing.T, h *hub.Hub, i device.Identity) {
			i.Authentication.PrimaryKey = device.NewKey()
			if _, err := h.PutIdentity(ctx, owner, i, hub.Any); err != nil {
				t.Fatal(err)
			}
		},
		"deleted": func(t *testing.T, h *hub.Hub, i device.Identity) {
			if err := h.DeleteIdentity(ctx, owner, i.ID, hub.Any); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			i := register(t, h, "d")
			r := newRecorder()
			c := connect(t, h, i, r, false)
			defer c.Close()
			revoke(t, h, i)
			r.wait(func() bool { return r.closed != nil })
			if _, err := h.Connect(ctx, principal(i), newRecorder(), true, ""); err == nil {
				t.Error("the old credentials connect again")
			}
		})
	}
	t.Run("a new reason is no revocation", func(t *testing.T) {
		h := open(t, nil)
		i := register(t, h, "d")
		r := newRecorder()
		c := connect(t, h, i, r, false)
		defer c.Close()
		i.StatusReason = "moved"
		if _, err := h.PutIdentity(ctx, owner, i, hub.Any); err != nil {
			t.Fatal(err)
		}
		patch(t, h, "d", `{"properties":{"desired":{"a":1}}}`)
		r.wait(func() bool { return len(r.desired) == 1 })
		if r.closed != nil {
			t.Errorf("closed: %v", r.closed)
		}
	})
}

func TestSubscriptionsSurviveARestart(t *testing.T) {
	s := memory.New()
	defer s.Close()
	h := open(t, s)
	i := register(t, h, "d")
	c := connect(t, h, i, newRecorder(), false)
	if c.Resumed {
		t.Error("a first connection resumes nothing")
	}
	subs := []hub.Subscription{{Filter: "$iothub/twin/res/#", QoS: 0}, {Filter: "$iothub/twin/PATCH/properties/desired/#", QoS: 1}}
	errs := make(chan error, 1)
	c.Subscribe(subs, func(err error) { errs <- err })
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	c.Unsubscribe([]string{"$iothub/twin/res/#", "never/seen"}, func(err error) { errs <- err })
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	h.Close() // as if killed: the connection is never closed

	h = open(t, s)
	if got := state(t, h, "d"); got != device.Disconnected {
		t.Errorf("connectionState %s after the hub died", got)
	}
	again := connect(t, h, i, newRecorder(), false)
	if !again.Resumed {
		t.Error("the session was not resumed")
	}
	if diff := cmp.Diff(subs[1:], again.Subscriptions); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
	clean := connect(t, h, i, newRecorder(), true)
	if clean.Resumed || len(clean.Subscriptions) != 0 {
		t.Errorf("a clean session has %v", clean.Subscriptions)
	}
	last := connect(t, h, i, newRecorder(), false)
	if last.Resumed {
		t.Error("a session from before a clean one was resumed")
	}
	clean.Close()
	again.Close()
	last.Close()
}

func TestTooManySubscriptions(t *testing.T) {
	h := open(t, nil)
	c := connect(t, h, register(t, h, "d"), newRecorder(), false)
	defer c.Close()
	var subs []hub.Subscription
	for k := range hub.MaxSubscriptions + 1 {
		subs = append(subs, hub.Subscription{Filter: fmt.Sprintf("devices/d/%d", k)})
	}
	errs := make(chan error, 1)
	c.Subscribe(subs, func(err error) { errs <- err })
	wantFault(t, <-errs, fault.IotHubQuotaExceeded)
}

func TestModelAndActivity(t *testing.T) {
	h := open(t, nil)
	i := register(t, h, "d")
	c, err := h.Connect(context.Background(), principal(i), newRecorder(), true, "dtmi:com:ex;1")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	c.Touch(at)
	d, err := h.Twin(context.Background(), owner, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := d.Lookup([]string{"modelId"}); m != `"dtmi:com:ex;1"` {
		t.Errorf("modelId %s", m)
	}
	want := string(append(twin.AppendTime([]byte{'"'}, at), '"'))
	if a, _ := d.Lookup([]string{"lastActivityTime"}); a != want {
		t.Errorf("lastActivityTime %s, want %s", a, want)
	}
	c.Close()
	waitFor(t, func() bool { return state(t, h, "d") == device.Disconnected })
	id, err := h.Identity(context.Background(), owner, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !id.Connection.LastActivityTime.Equal(at) {
		t.Errorf("after the disconnect the last activity is %v, want %v", id.Connection.LastActivityTime, at)
	}
}
