package hub_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
)

// TestPagesWhileTheFleetChanges: each page shows its own moment. Devices that
// stay as they are come once, whatever happens around them.
func TestPagesWhileTheFleetChanges(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	for k := range 6 {
		register(t, h, fmt.Sprintf("d%d", k))
	}
	changes := []func(){
		func() { // the last row told goes; one behind it and one before it come
			if err := h.DeleteIdentity(ctx, owner, device.ID{Device: "d1"}, hub.Any); err != nil {
				t.Fatal(err)
			}
			register(t, h, "d1-late")
			register(t, h, "d0-missed")
		},
		func() { patch(t, h, "d0", `{"tags":{"a":1}}`) },
	}
	var rows []string
	token := ""
	for page := 0; page == 0 || token != ""; page++ {
		p, err := h.Query(ctx, owner, "SELECT deviceId FROM devices", 2, token)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rows {
			rows = append(rows, string(r))
		}
		token = p.Continuation
		if page < len(changes) {
			changes[page]()
		}
		if page > 10 {
			t.Fatalf("the pages do not end: %q", rows)
		}
	}
	var want []string
	for _, id := range []string{"d0", "d1", "d1-late", "d2", "d3", "d4", "d5"} {
		want = append(want, fmt.Sprintf(`{"deviceId":%q}`, id))
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}
