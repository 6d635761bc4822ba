package httpapi_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/httpapi"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/job"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

func TestMain(m *testing.M) {
	// net/http lingers half a second on a connection whose body it did not read.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const hostName = "hub.example.com"

// rig is a real hub in memory with the API in front of it.
type rig struct {
	t           testing.TB
	hub         *hub.Hub
	verifier    *auth.Verifier
	handler     http.Handler
	server      *httptest.Server
	log         *logBook
	connections map[string]*hub.Connection
	devices     map[string]*scripted
	jobFiles    string // where jobs may read and write
}

// newRig opens a hub. configure, if not nil, may change what the API stands on.
func newRig(t testing.TB, configure func(*httpapi.Config)) *rig {
	t.Helper()
	return openRig(t, hub.Config{}, configure).serve()
}

// newRigOn is newRig with a hub that is configured, but for store and log.
func newRigOn(t testing.TB, of hub.Config) *rig {
	t.Helper()
	return openRig(t, of, nil).serve()
}

func (g *rig) serve() *rig {
	g.server = httptest.NewServer(g.handler)
	g.t.Cleanup(g.server.Close)
	return g
}

// openRig is a rig without a server.
func openRig(t testing.TB, of hub.Config, configure func(*httpapi.Config)) *rig {
	t.Helper()
	log := new(logBook)
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st := memory.New()
	of.Store, of.Log = st, logger
	h, err := hub.Open(context.Background(), of)
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{
		t: t, hub: h, log: log, connections: map[string]*hub.Connection{}, devices: map[string]*scripted{},
		verifier: &auth.Verifier{Keys: h.Secrets(), Hosts: []string{hostName}},
	}
	g.jobFiles = t.TempDir()
	jobs, err := job.Open(context.Background(), job.Config{Hub: h, Store: st, Log: logger, Files: g.jobFiles})
	if err != nil {
		t.Fatal(err)
	}
	c := httpapi.Config{Hub: h, Jobs: jobs, Verifier: g.verifier, Log: logger}
	if configure != nil {
		configure(&c)
	}
	g.handler = httpapi.New(c)
	t.Cleanup(func() {
		for _, c := range g.connections {
			c.Close()
		}
		jobs.Close()
		h.Close()
		st.Close()
	})
	return g
}

// token signs a token for resource with the key of a policy.
func (g *rig) token(policy, resource string, expires time.Time) string {
	g.t.Helper()
	token, err := auth.Sign(resource, g.key(policy), policy, expires)
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

func (g *rig) goodToken(policy string) string {
	return g.token(policy, hostName, time.Now().Add(time.Hour))
}

func (g *rig) key(policy string) string {
	g.t.Helper()
	for _, p := range g.hub.Policies() {
		if p.Name == policy {
			return p.PrimaryKey
		}
	}
	g.t.Fatalf("there is no policy %q", policy)
	return ""
}

// deviceToken signs a token with the key of a device or module.
func (g *rig) deviceToken(id device.ID) string {
	g.t.Helper()
	identity, err := g.hub.Secrets().Identity(context.Background(), id)
	if err != nil {
		g.t.Fatal(err)
	}
	resource := hostName + "/devices/" + strings.Replace(id.String(), "/", "/modules/", 1)
	token, err := auth.Sign(resource, identity.Authentication.PrimaryKey, "", time.Now().Add(time.Hour))
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

// disconnect ends the connection of a device, and returns when readers see that.
func (g *rig) disconnect(t *testing.T, id string) {
	t.Helper()
	g.connections[id].Close()
	delete(g.connections, id)
	waitFor(t, "the disconnect", func() bool {
		d, err := g.hub.Twin(t.Context(), everything, device.ID{Device: id})
		return fault.Is(err, fault.DeviceNotFound) || err == nil && !d.Head.Connected
	})
}

// connect lets a device into the hub, as its front end would.
func (g *rig) connect(name string) {
	g.t.Helper()
	d := new(scripted)
	g.devices[name] = d
	g.connectAs(name, d)
}

func (g *rig) connectAs(name string, d presence.Device) {
	g.t.Helper()
	var id device.ID
	id.Device, id.Module, _ = strings.Cut(name, "/")
	who, err := g.verifier.Device(context.Background(), id, auth.Credentials{Token: g.deviceToken(id)}, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	c, err := g.hub.Connect(context.Background(), who, d, true, "")
	if err != nil {
		g.t.Fatal(err)
	}
	g.connections[name] = c
}

// report sends a patch of reported properties and waits until it is durable.
func (g *rig) report(name, patch string) {
	g.t.Helper()
	done := make(chan error, 1)
	g.connections[name].Report([]byte(patch), twin.Rules{}, hub.AnyVersion, func(_ int64, err error) { done <- err })
	if err := <-done; err != nil {
		g.t.Fatal(err)
	}
}

// scripted is a device that answers every method as it was told to, and
// has subscribed to none until then.
type scripted struct {
	mu     sync.Mutex
	answer func(presence.MethodCall) (presence.MethodAnswer, error)
}

func (*scripted) Desired(presence.DesiredChange) {}
func (*scripted) Wake()                          {}
func (*scripted) Close(error)                    {}

func (d *scripted) Invoke(c presence.MethodCall, answered func(presence.MethodAnswer, error)) (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.answer == nil {
		return nil, fault.New(fault.DeviceNotOnline, "it has not subscribed")
	}
	answered(d.answer(c))
	return func() {}, nil
}

// answers lets a device answer from now on: with a status and a payload, in which
// {name} and {payload} stand for those of the call; or, if the status is "drops",
// by going away.
func (g *rig) answers(name, status, payload string) {
	d := g.devices[name]
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = func(c presence.MethodCall) (presence.MethodAnswer, error) {
		n, err := strconv.Atoi(status)
		if err != nil {
			return presence.MethodAnswer{}, fault.New(fault.DeviceConnectionClosedRemotely, "it has gone away")
		}
		text := strings.NewReplacer("{name}", c.Name, "{payload}", string(c.Payload)).Replace(payload)
		return presence.MethodAnswer{Status: n, Payload: []byte(text)}, nil
	}
}

// logBook keeps what is logged.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
