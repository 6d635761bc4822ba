package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/store/pebble"
)

// onStores runs a test on each kind of store.
func onStores(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) {
		s := memory.New()
		defer s.Close()
		test(t, s)
	})
	t.Run("pebble", func(t *testing.T) {
		s, err := pebble.Open("hub", pebble.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		test(t, s)
	})
}

// ask gives the rows of the first page of a query, joined by blanks.
func ask(t testing.TB, h *hub.Hub, format string, args ...any) string {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	page, err := h.Query(context.Background(), owner, text, 0, "")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	rows := make([]string, len(page.Rows))
	for i, row := range page.Rows {
		rows[i] = string(row)
	}
	return strings.Join(rows, " ")
}

// An actor changes a device of its own, and asks at once for what it did.
type actor struct {
	t    *testing.T
	h    *hub.Hub
	name string
}

// sees demands that a query which begins like this, about the device, gives
// these rows.
func (a actor) sees(want, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if got := ask(a.t, a.h, "%s AND deviceId = '%s'", text, a.name); got != want {
		a.t.Errorf("%s: %s gives %q, want %q", a.name, text, got, want)
	}
}

// seesByValue demands that the device is the only one with a value.
func (a actor) seesByValue(path, value string) {
	want := fmt.Sprintf(`{"deviceId":%q}`, a.name)
	if got := ask(a.t, a.h, "SELECT deviceId FROM devices WHERE %s = '%s'", path, value); got != want {
		a.t.Errorf("%s: %s = %s gives %q", a.name, path, value, got)
	}
}

func (a actor) live(life int) {
	const here = `{"version":2}`
	a.sees("", "SELECT version FROM devices WHERE IS_DEFINED(version)")
	i := register(a.t, a.h, a.name)
	a.sees(here, "SELECT version FROM devices WHERE status = 'enabled'")
	a.sees(here, "SELECT version FROM devices WHERE deviceEtag = '%s'", i.Etag)

	// A value that no other device has, ever.
	value := fmt.Sprintf("%s in life %d", a.name, life)
	patch(a.t, a.h, a.name, fmt.Sprintf(`{"tags":{"own":%q},"properties":{"desired":{"life":%d}}}`, value, life))
	a.seesByValue("tags.own", value)
	a.sees(fmt.Sprintf(`{"life":%d}`, life), "SELECT properties.desired.life FROM devices WHERE version = 3")

	c := connect(a.t, a.h, i, newRecorder(), true)
	a.sees(`{"life":1}`, "SELECT COUNT() AS life FROM devices WHERE connectionState = 'Connected'")
	for n := range 3 {
		if _, err := report(a.t, c, fmt.Sprintf(`{"own":%q,"n":%d}`, value, n)); err != nil {
			a.t.Error(err)
		}
		a.seesByValue("properties.reported.own", value)
		a.sees(fmt.Sprintf(`{"n":%d}`, n), "SELECT properties.reported.n FROM devices WHERE properties.reported.$version = %d", n+2)
	}
	c.Close()
	waitFor(a.t, func() bool { return state(a.t, a.h, a.name) == device.Disconnected })
	a.sees("", "SELECT * FROM devices WHERE connectionState = 'Connected'")

	i.Status = device.Disabled
	if _, err := a.h.PutIdentity(context.Background(), owner, i, hub.Any); err != nil {
		a.t.Error(err)
	}
	a.sees(`{"version":6}`, "SELECT version FROM devices WHERE status = 'disabled'")
	if err := a.h.DeleteIdentity(context.Background(), owner, i.ID, hub.Any); err != nil {
		a.t.Error(err)
	}
}

// TestQueriesSeeWhatWasAcknowledged: many change twins, and each asks for its own
// change as soon as it is told of it.
func TestQueriesSeeWhatWasAcknowledged(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		h := open(t, s)
		defer h.Close()
		var all sync.WaitGroup
		for k := range 12 {
			all.Go(func() {
				for life := range 4 {
					actor{t, h, fmt.Sprintf("d%d", k)}.live(life)
				}
			})
		}
		all.Wait()
	})
}

// TestQueriesWaitForTheIndex: what the index has not heard of yet is no reason
// for an old answer.
func TestQueriesWaitForTheIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		defer m.Close()
		s := gatedStore{Store: m, follow: make(chan struct{})}
		h := open(t, s)
		ask(t, h, "SELECT * FROM devices") // the index is built
		register(t, h, "d")
		answers := make(chan string, 1)
		go func() { answers <- ask(t, h, "SELECT deviceId FROM devices") }()
		synctest.Wait()
		if len(answers) > 0 {
			t.Error("the query did not wait")
		}
		close(s.follow)
		if got := <-answers; got != `{"deviceId":"d"}` {
			t.Errorf("got %s", got)
		}
	})
}
