package hub_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/twin"
)

// TestConditions is the table of the REST sheet, 0.4, and that of bulk modes, 1.6:
// each row on a device that exists, and on one that does not. 0 is success.
func TestConditions(t *testing.T) {
	ctx := context.Background()
	put := func(h *hub.Hub, i device.Identity, c hub.Condition) error {
		_, err := h.PutIdentity(ctx, owner, i, c)
		return err
	}
	remove := func(h *hub.Hub, i device.Identity, c hub.Condition) error {
		return h.DeleteIdentity(ctx, owner, i.ID, c)
	}
	merge := func(h *hub.Hub, i device.Identity, c hub.Condition) error {
		// It changes nothing: the condition is asked first (twin sheet, C12).
		p, _ := twin.ParsePatch([]byte(`{"tags":{"none":null}}`), twin.Rules{})
		_, err := h.UpdateTwin(ctx, owner, i.ID, p, c)
		return err
	}
	replace := func(h *hub.Hub, i device.Identity, c hub.Condition) error {
		r, _ := twin.ParseReplacement([]byte(`{}`), twin.Rules{})
		_, err := h.ReplaceTwin(ctx, owner, i.ID, r, c)
		return err
	}
	bulk := func(mode device.ImportMode) func(h *hub.Hub, i device.Identity, c hub.Condition) error {
		return func(h *hub.Hub, i device.Identity, c hub.Condition) error {
			item := device.BulkItem{Identity: i, Mode: mode, Etag: string(c), TwinEtag: string(c), Tags: []byte(`{}`)}
			failed, err := h.Bulk(ctx, owner, []device.BulkItem{item}, twin.Rules{})
			if err == nil && len(failed) > 0 {
				err = failed[0].Fault
			}
			return err
		}
	}
	const stale, twinEtag = hub.Condition(`"c3RhbGU="`), hub.Condition(`"AAAAAAAAAAE="`)
	const matching = hub.Condition("matching") // stands for the identity's etag
	for _, row := range []struct {
		name      string
		call      func(*hub.Hub, device.Identity, hub.Condition) error
		condition hub.Condition
		there     fault.Code
		missing   fault.Code
	}{
		{"put", put, "", fault.DeviceAlreadyExists, 0},
		{"put", put, hub.Any, 0, fault.DeviceNotFound},
		{"put", put, matching, 0, fault.DeviceNotFound},
		{"put", put, stale, fault.PreconditionFailed, fault.DeviceNotFound},
		{"delete", remove, "", fault.PreconditionFailed, fault.PreconditionFailed},
		{"delete", remove, hub.Any, 0, fault.DeviceNotFound},
		{"delete", remove, matching, 0, fault.DeviceNotFound},
		{"delete", remove, stale, fault.PreconditionFailed, fault.DeviceNotFound},
		{"merge", merge, "", 0, fault.DeviceNotFound},
		{"merge", merge, hub.Any, 0, fault.DeviceNotFound},
		{"merge", merge, twinEtag, 0, fault.DeviceNotFound},
		{"merge", merge, stale, fault.PreconditionFailed, fault.DeviceNotFound},
		{"replace", replace, "", 0, fault.DeviceNotFound},
		{"replace", replace, hub.Any, 0, fault.DeviceNotFound},
		{"replace", replace, twinEtag, 0, fault.DeviceNotFound},
		{"replace", replace, stale, fault.PreconditionFailed, fault.DeviceNotFound},
		{"create", bulk(device.BulkCreate), "", fault.DeviceAlreadyExists, 0},
		{"update", bulk(device.BulkUpdate), "", 0, fault.DeviceNotFound},
		{"updateIfMatchETag", bulk(device.BulkUpdateIfMatchEtag), "", fault.PreconditionFailed, fault.DeviceNotFound},
		{"updateIfMatchETag", bulk(device.BulkUpdateIfMatchEtag), matching, 0, fault.DeviceNotFound},
		{"updateIfMatchETag", bulk(device.BulkUpdateIfMatchEtag), stale, fault.PreconditionFailed, fault.DeviceNotFound},
		{"createOrUpdate", bulk(device.BulkCreateOrUpdate), "", 0, 0},
		{"createOrUpdateIfMatchETag", bulk(device.BulkCreateOrUpdateIfMatch), matching, 0, 0},
		{"createOrUpdateIfMatchETag", bulk(device.BulkCreateOrUpdateIfMatch), stale, fault.PreconditionFailed, 0},
		{"delete", bulk(device.BulkDelete), "", 0, fault.DeviceNotFound},
		{"deleteIfMatchETag", bulk(device.BulkDeleteIfMatchEtag), "", fault.PreconditionFailed, fault.DeviceNotFound},
		{"deleteIfMatchETag", bulk(device.BulkDeleteIfMatchEtag), hub.Any, 0, fault.DeviceNotFound},
		{"deleteIfMatchETag", bulk(device.BulkDeleteIfMatchEtag), stale, fault.PreconditionFailed, fault.DeviceNotFound},
		{"updateTwin", bulk(device.BulkUpdateTwin), "", 0, fault.DeviceNotFound},
		{"updateTwinIfMatchETag", bulk(device.BulkUpdateTwinIfMatchEtag), "", fault.PreconditionFailed, fault.DeviceNotFound},
		{"updateTwinIfMatchETag", bulk(device.BulkUpdateTwinIfMatchEtag), twinEtag, 0, fault.DeviceNotFound},
		{"updateTwinIfMatchETag", bulk(device.BulkUpdateTwinIfMatchEtag), stale, fault.PreconditionFailed, fault.DeviceNotFound},
	} {
		h := open(t, nil)
		i := register(t, h, "d")
		c := row.condition
		if c == matching {
			c = hub.Condition(`"` + i.Etag + `"`)
		}
		check := func(where string, err error, want fault.Code) {
			if want == 0 && err != nil || want != 0 && !fault.Is(err, want) {
				t.Errorf("%s with %q on a device that is %s: %v, want code %d", row.name, row.condition, where, err, want)
			}
		}
		check("there", row.call(h, i, c), row.there)
		i.ID.Device = "none"
		check("missing", row.call(h, i, c), row.missing)
	}
}

// TestWhoMayConnect is decided at the commit: the token was checked before, and
// the identity may have changed since.
func TestWhoMayConnect(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	good := register(t, h, "good")
	disabled := register(t, h, "disabled")
	disabled.Status = device.Disabled
	put, err := h.PutIdentity(ctx, owner, disabled, hub.Any)
	if err != nil {
		t.Fatal(err)
	}
	none, older, other := good, good, principal(good)
	none.ID.Device = "none"
	older.Etag = "b2xkZXI="
	other.Permissions = auth.ServiceConnect
	for name, c := range map[string]struct {
		who  auth.Principal
		want fault.Code
	}{
		"disabled":          {principal(put.Identity), fault.DeviceDisabled},
		"not registered":    {principal(none), fault.DeviceNotFound},
		"changed meanwhile": {principal(older), fault.ServiceUnavailable},
		"not a device":      {other, fault.IotHubUnauthorizedAccess},
	} {
		if _, err := h.Connect(ctx, c.who, newRecorder(), true, ""); !fault.Is(err, c.want) {
			t.Errorf("%s: %v, want code %d", name, err, c.want)
		}
	}
	if n, err := h.ConnectedDevices(ctx, owner); n != 0 || err != nil {
		t.Errorf("%d devices are connected, %v", n, err)
	}
}

// TestWalksEndWithTheirContext, also those that give nothing.
func TestWalksEndWithTheirContext(t *testing.T) {
	h := open(t, nil)
	register(t, h, "d")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.Query(ctx, owner, "SELECT * FROM devices.modules", 10, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("query: %v", err)
	}
	if _, err := h.DeviceStatistics(ctx, owner); !errors.Is(err, context.Canceled) {
		t.Errorf("statistics: %v", err)
	}
}

// TestSubscribing: the position that it gives is behind what was acknowledged
// before and before what comes after, and a filter has one QoS.
func TestSubscribing(t *testing.T) {
	h := open(t, nil)
	i := register(t, h, "d")
	r := newRecorder()
	c := connect(t, h, i, r, false)
	defer c.Close()
	patch(t, h, "d", `{"properties":{"desired":{"a":1}}}`)
	var since uint64
	for qos := range byte(2) {
		errs := make(chan error, 1)
		since = c.Subscribe([]hub.Subscription{{Filter: "$iothub/twin/PATCH/properties/desired/#", QoS: qos}}, func(err error) { errs <- err })
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	patch(t, h, "d", `{"properties":{"desired":{"a":2}}}`)
	r.wait(func() bool { return len(r.desired) == 2 })
	if before, after := r.desired[0].Position, r.desired[1].Position; since < before || since >= after {
		t.Errorf("subscribed at %d, between changes at %d and %d", since, before, after)
	}
	again := connect(t, h, i, newRecorder(), false)
	defer again.Close()
	if len(again.Subscriptions) != 1 || again.Subscriptions[0].QoS != 1 {
		t.Errorf("subscriptions %v", again.Subscriptions)
	}
}
