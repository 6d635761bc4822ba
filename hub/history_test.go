package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/internal/fleet"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

// history is a hub and what a random history has left in it.
type history struct {
	store       store.Store
	h           *hub.Hub
	connections map[device.ID]*hub.Connection
}

func (y *history) open(t *rapid.T) {
	h, err := hub.Open(context.Background(), hub.Config{Store: y.store, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	y.h, y.connections = h, map[device.ID]*hub.Connection{}
}

// settle returns when everything that was begun is committed.
func (y *history) settle(t *rapid.T) {
	if _, err := store.CommitBatch(context.Background(), y.store, store.Batch{}); err != nil {
		t.Fatal(err)
	}
}

// steps are what may happen. Each makes one change, or is refused.
var steps = []func(y *history, t *rapid.T) error{
	func(y *history, t *rapid.T) error { return y.put(t, fleet.DeviceID(t)) },
	func(y *history, t *rapid.T) error { return y.put(t, fleet.ModuleID(t)) },
	func(y *history, t *rapid.T) error {
		return y.h.DeleteIdentity(context.Background(), owner, someID(t), hub.Any)
	},
	(*history).merge, (*history).merge, (*history).replace,
	(*history).connect, (*history).connect, (*history).connect,
	(*history).report, (*history).report, (*history).report,
	(*history).disconnect,
	func(y *history, t *rapid.T) error {
		y.h.Close() // as if it had died: devices are still connected
		y.open(t)
		return nil
	},
}

// someID draws the id of a device or, more seldom, of a module.
func someID(t *rapid.T) device.ID {
	if rapid.IntRange(0, 3).Draw(t, "module") == 3 {
		return fleet.ModuleID(t)
	}
	return fleet.DeviceID(t)
}

func (y *history) merge(t *rapid.T) error {
	p, err := twin.ParsePatch([]byte(`{"tags":`+fleet.Patch(t)+`,"properties":{"desired":`+fleet.Patch(t)+`}}`), twin.Rules{})
	if err != nil {
		return err
	}
	_, err = y.h.UpdateTwin(context.Background(), owner, someID(t), p, "")
	return err
}

func (y *history) replace(t *rapid.T) error {
	r, err := twin.ParseReplacement([]byte(`{"tags":`+fleet.Section(t)+`,"properties":{"desired":`+fleet.Section(t)+`}}`), twin.Rules{})
	if err != nil {
		return err
	}
	_, err = y.h.ReplaceTwin(context.Background(), owner, someID(t), r, "")
	return err
}

// put registers id, or gives it other settings.
func (y *history) put(t *rapid.T, id device.ID) error {
	ctx := context.Background()
	want, condition := *fleet.Identity(t, id), hub.Condition("")
	if rapid.Bool().Draw(t, "enable") {
		want.Status = device.Enabled
	}
	old, err := y.h.Identity(ctx, owner, id)
	if err == nil {
		condition = hub.Any
	}
	// Scopes name edge devices, and stay with them.
	want.DeviceScope, want.ParentScopes = old.Identity.DeviceScope, old.Identity.ParentScopes
	_, err = y.h.PutIdentity(ctx, owner, want, condition)
	return err
}

func (y *history) connect(t *rapid.T) error {
	id := someID(t)
	d, err := y.h.Identity(context.Background(), owner, id)
	if err != nil {
		return err
	}
	who := auth.Principal{Permissions: auth.DeviceConnect, ID: id, IdentityEtag: d.Identity.Etag}
	model := rapid.SampledFrom([]string{"", "dtmi:a;1"}).Draw(t, "model")
	c, err := y.h.Connect(context.Background(), who, straggler{}, rapid.Bool().Draw(t, "clean"), model)
	if err == nil {
		y.connections[id] = c
	}
	return err
}

// connected draws one of those that are connected, or gives nil.
func (y *history) connected(t *rapid.T) *hub.Connection {
	if len(y.connections) == 0 {
		return nil
	}
	ids := slices.SortedFunc(maps.Keys(y.connections), func(a, b device.ID) int { return strings.Compare(a.String(), b.String()) })
	return y.connections[rapid.SampledFrom(ids).Draw(t, "connected")]
}

// report changes what a device reports, and its activity.
func (y *history) report(t *rapid.T) error {
	c := y.connected(t)
	if c == nil {
		return nil
	}
	c.Touch(time.Now().Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "touch")) * time.Hour))
	errs := make(chan error, 1)
	c.Report([]byte(fleet.Patch(t)), twin.Rules{}, hub.AnyVersion, func(_ int64, err error) { errs <- err })
	return <-errs
}

func (y *history) disconnect(t *rapid.T) error {
	if c := y.connected(t); c != nil {
		maps.DeleteFunc(y.connections, func(_ device.ID, other *hub.Connection) bool { return c == other })
		c.Close()
	}
	return nil
}

// compare asks one query of the hub and of a walk over its store, page by page.
func (y *history) compare(t *rapid.T) {
	ctx := context.Background()
	text := fleet.Query(t)
	q, err := query.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	size := rapid.IntRange(1, 12).Draw(t, "size")
	token, from := "", (*query.Cursor)(nil)
	for range 20 {
		got, err := y.h.Query(ctx, owner, text, size, token)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want, err := q.Run(ctx, hub.Walk{Hub: y.h}, size, from)
		if err != nil {
			t.Fatalf("%s on a walk: %v", text, err)
		}
		if diff := cmp.Diff(fmt.Sprintf("%s", want.Rows), fmt.Sprintf("%s", got.Rows)); diff != "" {
			t.Fatalf("%s (-walk +hub):\n%s", text, diff)
		}
		if (got.Continuation == "") != (want.Next == nil) {
			t.Fatalf("%s: after %d rows the walk has the next page %v, the hub %q", text, len(got.Rows), want.Next, got.Continuation)
		}
		if token, from = got.Continuation, want.Next; from == nil {
			return
		}
	}
	t.Fatalf("%s: the pages do not end", text)
}

// TestQueriesAreThoseOfTheStore: whatever has happened, the hub's answers are
// what a walk over the store gives.
func TestQueriesAreThoseOfTheStore(t *testing.T) {
	done, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := memory.New()
		defer m.Close()
		y := &history{store: m}
		y.open(t)
		defer func() { y.h.Close() }()
		for range 12 {
			if err := y.put(t, fleet.DeviceID(t)); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for range rapid.IntRange(5, 40).Draw(t, "steps") {
				switch err := rapid.SampledFrom(steps).Draw(t, "step")(y, t); {
				case err == nil:
					done++
				case fault.Of(err).Code.Status() < 500:
					refused++
				default:
					t.Fatal(err)
				}
			}
			y.settle(t)
			for range 5 {
				y.compare(t)
			}
		}
	})
	if done < 2*refused {
		t.Errorf("%d steps were done and %d refused: that is little of a history", done, refused)
	}
}
