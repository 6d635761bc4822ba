package hub

import (
	"context"
	"fmt"
	"strconv"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/route"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// routing is the configuration of routing in force. It does not change; another
// one takes its place.
type routing struct {
	config   route.Config
	table    *route.Table
	revision store.Revision // of the record; 0 while there is none
}

// etag tells two configurations apart.
func (r *routing) etag() string { return strconv.FormatUint(uint64(r.revision), 16) }

// openRouting reads the configuration of routing, and makes the streams of its
// endpoints. Those of endpoints that a crash has kept from being removed go.
func (h *Hub) openRouting() error {
	v, err := h.store.View()
	if err != nil {
		return err
	}
	defer v.Close()
	record, ok, err := v.Get(keyRouting)
	if err != nil {
		return err
	}
	config := route.Default()
	if ok {
		if config, err = route.Parse(record.Value); err != nil {
			return fmt.Errorf("the stored configuration: %w", err)
		}
	}
	table, err := route.Compile(config, h.out.hubName)
	if err != nil {
		return fmt.Errorf("the stored configuration: %w", err)
	}
	h.out.routing.Store(&routing{config, table, record.Revision})
	if err := h.deliveries.makeStreams(config.Custom(), config.Custom()); err != nil {
		return err
	}
	return h.events.RemoveOthers()
}

// Routing is the configuration of routing, without its secrets, and its etag.
func (h *Hub) Routing(who auth.Principal) (c route.Config, etag string, err error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return c, "", err
	}
	r := h.out.routing.Load()
	return r.config.WithoutSecrets(), r.etag(), nil
}

// SetRouting puts c in the place of the configuration of routing and returns it as
// Routing does. It is in force for all that is committed after that. What waits
// for an endpoint that is not in c is dropped. Faults are ArgumentInvalid, which
// names what is wrong with c, and PreconditionFailed.
func (h *Hub) SetRouting(ctx context.Context, who auth.Principal, c route.Config, condition Condition) (_ route.Config, etag string, err error) {
	if err := who.May(auth.RegistryWrite); err != nil {
		return route.Config{}, "", err
	}
	h.changingRouting.Lock()
	defer h.changingRouting.Unlock()
	old := h.out.routing.Load()
	if !condition.holds(old.etag()) {
		return route.Config{}, "", fault.New(fault.PreconditionFailed, "PreconditionFailed, ETag may be invalid. The routing is at etag %q", old.etag())
	}
	c = c.WithSecretsOf(old.config)
	table, err := route.Compile(c, h.out.hubName)
	if err != nil {
		return route.Config{}, "", err
	}
	if err := h.deliveries.outside.Check(c); err != nil {
		return route.Config{}, "", err
	}
	next := &routing{c, table, old.revision + 1}
	if old.revision == 0 {
		next.revision = store.NewRevision()
	}
	if err := h.commitRouting(ctx, old, next); err != nil {
		return route.Config{}, "", err
	}
	return c.WithoutSecrets(), next.etag(), nil
}

// commitRouting writes the record and puts next in force. Streams are there before
// events go to them, and as long as events do.
func (h *Hub) commitRouting(ctx context.Context, old, next *routing) error {
	endpoints := next.config.Custom()
	if err := h.deliveries.makeStreams(endpoints, old.config.Custom()); err != nil {
		return outcome(fmt.Errorf("make the streams of endpoints: %w", err))
	}
	_, err := store.CommitBatch(context.WithoutCancel(ctx), h.store, store.Batch{
		Expect: []store.Expectation{{Key: keyRouting, Revision: old.revision}},
		Writes: []store.Write{{Key: keyRouting, Value: next.config.AppendJSON(nil), Revision: next.revision}},
	})
	if err != nil {
		return outcome(err)
	}
	h.out.routing.Store(next)
	h.deliveries.replace(endpoints)
	return nil
}

// RouteTest is where a message would go.
type RouteTest struct {
	Routes    []route.Route // that match
	Fallback  bool          // the fallback route would take it
	Endpoints []string      // that would get it
}

// TestRouting says where e would go, if it came from id. Without an id there is no
// twin.
func (h *Hub) TestRouting(who auth.Principal, e *message.Event, id device.ID) (RouteTest, error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return RouteTest{}, err
	}
	var t *twin.Twin
	if id != (device.ID{}) {
		s, err := h.heads.read(id)
		if err != nil {
			return RouteTest{}, err
		}
		if !s.registered() {
			return RouteTest{}, notRegistered(id)
		}
		t = s.twin
		e.DeviceID, e.ModuleID, e.GenerationID, e.ModelID = id.Device, id.Module, s.identity.GenerationID, s.modelID()
	}
	r := h.out.routing.Load()
	test := RouteTest{Routes: []route.Route{}, Endpoints: []string{}}
	places, fallback := r.table.Matching(subjectOf(e, t))
	for _, i := range places {
		test.Routes = append(test.Routes, r.config.Routes[i])
	}
	test.Fallback = fallback
	r.table.Route(subjectOf(e, t), func(stream string, _ *message.Event) { test.Endpoints = append(test.Endpoints, stream) })
	return test, nil
}
