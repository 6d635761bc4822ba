package hub_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store"
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

// walk reads all pages of a query of deviceIds.
func walk(t *testing.T, h *hub.Hub, text string, size int) (ids []string) {
	t.Helper()
	token := ""
	for page := 0; page == 0 || token != ""; page++ {
		p, err := h.Query(context.Background(), owner, text, size, token)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Rows) > size || len(p.Rows) == 0 && p.Continuation != "" || page > 1000 {
			t.Fatalf("page %d has %d rows", page, len(p.Rows))
		}
		for _, row := range p.Rows {
			ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(string(row), `{"deviceId":"`), `"}`))
		}
		token = p.Continuation
	}
	return ids
}

// still is how many devices stay as they are: more than stand together in the
// index.
const still = 1500

// TestPagesNeitherSkipNorRepeat: devices come, change and go all over the fleet
// while many walk over it, and those that stay as they are come once in each
// walk, in their order.
func TestPagesNeitherSkipNorRepeat(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		h := open(t, s)
		defer h.Close()
		registerMany(t, h, still)
		walked := make(chan struct{})
		var walkers, changers sync.WaitGroup
		for n := range 3 {
			changers.Go(func() {
				for k := n; ; k += 3 {
					name := fmt.Sprintf("s%04d%s", k*37%still, []string{"", "-", "A", "_"}[k%4]+"x")
					register(t, h, name)
					patch(t, h, name, `{"tags":{"list":[1]}}`)
					if err := h.DeleteIdentity(context.Background(), owner, device.ID{Device: name}, hub.Any); err != nil {
						t.Error(err)
					}
					select {
					case <-walked:
						return
					default:
					}
				}
			})
		}
		for _, c := range []struct {
			where       string
			size        int
			first, step int // of the devices that are to come
		}{
			{"", 40, 0, 1},
			{"WHERE IS_DEFINED(tags.list)", 77, 0, 1},
			{"WHERE ARRAY_CONTAINS(tags.list, 5)", 2, 5, 100},
			{"WHERE deviceId >= 's0000'", 300, 0, 1},
		} {
			walkers.Go(func() {
				text := "SELECT deviceId FROM devices " + c.where
				for range 3 {
					checkWalk(t, text, walk(t, h, text, c.size), c.first, c.step)
				}
			})
		}
		walkers.Wait()
		close(walked)
		changers.Wait()
	})
}

// checkWalk demands that ids rise, and that the devices that stay, from
// number next in steps, are among them.
func checkWalk(t *testing.T, text string, ids []string, next, step int) {
	last := ""
	for _, id := range ids {
		if id <= last {
			t.Errorf("%s: %q after %q", text, id, last)
			return
		}
		last = id
		if len(id) > len("s0000") {
			continue // of those that come and go
		}
		if want := fmt.Sprintf("s%04d", next); id != want {
			t.Errorf("%s: %q, want %q", text, id, want)
			return
		}
		next += step
	}
	if next < still {
		t.Errorf("%s: the walk ends before %d", text, next)
	}
}
