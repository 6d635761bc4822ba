package hub_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/index"
)

func TestDeviceStatistics(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	count := func(want hub.Statistics) {
		t.Helper()
		if got, err := h.DeviceStatistics(ctx, owner); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	count(hub.Statistics{})
	for k := range 5 {
		i := register(t, h, fmt.Sprintf("d%d", k))
		if k < 2 {
			i.Status = device.Disabled
			if _, err := h.PutIdentity(ctx, owner, i, hub.Any); err != nil {
				t.Fatal(err)
			}
		}
	}
	count(hub.Statistics{Total: 5, Enabled: 3, Disabled: 2})
	remove(t, h, device.ID{Device: "d0"})
	remove(t, h, device.ID{Device: "d4"})
	count(hub.Statistics{Total: 3, Enabled: 2, Disabled: 1})
}

func TestExplain(t *testing.T) {
	h := open(t, nil)
	before := h.IndexStats()
	registerMany(t, h, 200)
	for k := range 10 {
		patch(t, h, fmt.Sprintf("s%04d", k), fmt.Sprintf(`{"tags":{"plant":"P%d"}}`, k%2))
	}
	const text = "SELECT * FROM devices WHERE ARRAY_CONTAINS(tags.list, 7) AND tags.plant = 'P1'"
	got, err := h.Explain(context.Background(), owner, text)
	if err != nil {
		t.Fatal(err)
	}
	want := index.Plan{
		Documents: 200, Rows: 1, Decoded: 5,
		Steps: []index.Step{
			{Predicate: "tags.plant = 'P1'", On: "postings", Rows: 5},
			{Predicate: "ARRAY_CONTAINS(tags.list, 7)", On: "postings+documents", Rows: 1},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(index.Plan{}, "Position", "Microseconds")); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	after := h.IndexStats()
	if got.Position != after.Position || after.Position < before.Position+210 {
		t.Errorf("the plan is of position %d, the index was at %d and is at %d", got.Position, before.Position, after.Position)
	}
	_, err = h.Explain(context.Background(), owner, "SELECT * FROM nowhere")
	wantFault(t, err, fault.ArgumentInvalid)
}

func TestIndexStats(t *testing.T) {
	h := open(t, nil)
	waitFor(t, func() bool { return h.IndexStats().Ready })
	empty := h.IndexStats()
	if empty.Devices != 0 || empty.DocumentBytes != 0 {
		t.Errorf("of nothing: %+v", empty)
	}
	registerMany(t, h, 20)
	if got := ask(t, h, "SELECT COUNT() AS n FROM devices"); got != `{"n":20}` {
		t.Errorf("count %s", got)
	}
	s := h.IndexStats()
	if s.Devices != 20 || s.Modules != 0 || s.Position < empty.Position+20 {
		t.Errorf("%+v after %+v", s, empty)
	}
	if s.Paths <= empty.Paths || s.PathsRefused != 0 || s.ColumnBytes <= 0 || s.DocumentBytes < 20*50 {
		t.Errorf("%+v", s)
	}
}
