package simulate_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/internal/memnet"
	"github.com/hubtwin/hubtwin/mqtt"
	"github.com/hubtwin/hubtwin/simulate"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

const hostName = "hub.example.com"

var owner = auth.Principal{Policy: "iothubowner", Permissions: auth.RegistryRead | auth.RegistryWrite | auth.ServiceConnect | auth.DeviceConnect}

// rig is a hub in memory, with MQTT over a network in memory.
type rig struct {
	t    testing.TB
	hub  *hub.Hub
	net  *memnet.Listener
	stop func()
}

func newRig(t testing.TB) *rig {
	t.Helper()
	st := memory.New()
	h, err := hub.Open(context.Background(), hub.Config{Store: st, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t, hub: h, net: memnet.Listen()}
	server := mqtt.New(mqtt.Config{Hub: h, Log: slog.New(slog.DiscardHandler),
		Verifier: &auth.Verifier{Keys: h.Secrets(), Hosts: []string{hostName}}})
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(ctx, g.net) })
	g.stop = func() {
		cancel()
		serving.Wait()
		h.Close()
		st.Close()
	}
	return g
}

// register makes the devices of a scenario.
func (g *rig) register(ids ...string) {
	g.t.Helper()
	for _, id := range ids {
		want := device.Identity{ID: device.ID{Device: id}, Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS}}
		if _, err := g.hub.PutIdentity(context.Background(), owner, want, ""); err != nil {
			g.t.Fatal(err)
		}
	}
}

// config is a run of s on the hub.
func (g *rig) config(s simulate.Scenario) simulate.Config {
	c := simulate.Config{Scenario: s, HostName: hostName, Dial: func(context.Context) (net.Conn, error) { return g.net.Dial() }}
	for _, p := range g.hub.Policies() {
		if p.Name == "iothubowner" {
			c.Policy, c.Key = p.Name, p.PrimaryKey
		}
	}
	return c
}

// delete deletes a device.
func (g *rig) delete(id string) {
	g.t.Helper()
	if err := g.hub.DeleteIdentity(context.Background(), owner, device.ID{Device: id}, hub.Condition("*")); err != nil {
		g.t.Fatal(err)
	}
}

// desire changes desired properties.
func (g *rig) desire(id, desired string) {
	g.t.Helper()
	p, err := twin.ParsePatch([]byte(`{"properties":{"desired":`+desired+`}}`), twin.Rules{})
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := g.hub.UpdateTwin(context.Background(), owner, device.ID{Device: id}, p, ""); err != nil {
		g.t.Fatal(err)
	}
}

// reported are the reported properties of a device, without their metadata.
func (g *rig) reported(id string) string {
	g.t.Helper()
	d, err := g.hub.Twin(context.Background(), owner, device.ID{Device: id})
	if err != nil {
		g.t.Fatal(err)
	}
	var all struct {
		Properties struct{ Reported map[string]json.RawMessage }
	}
	if err := json.Unmarshal(d.AppendJSON(nil), &all); err != nil {
		g.t.Fatal(err)
	}
	delete(all.Properties.Reported, "$metadata")
	text, err := json.Marshal(all.Properties.Reported)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}
