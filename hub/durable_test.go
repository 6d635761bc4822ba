package hub_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

// A slowStore is a store whose disk can be made to hang, and to fail.
type slowStore struct {
	store.Store
	mu      sync.Mutex
	hanging bool
	held    []func(fail error)
}

func (s *slowStore) Submit(b store.Batch, done func(store.Position, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hanging {
		s.Store.Submit(b, done)
		return
	}
	s.held = append(s.held, func(fail error) {
		if fail != nil {
			done(0, fail)
			return
		}
		s.Store.Submit(b, done)
	})
}

func (s *slowStore) hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging = true
}

// waiting is how many batches are held.
func (s *slowStore) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// resume lets everything that was held go on, or fail: the first batch with the
// first of fail, and so on, and with the last of fail those that remain.
func (s *slowStore) resume(fail ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging = false
	for i, f := range s.held {
		f(fail[min(i, len(fail)-1)])
	}
	s.held = nil
}

// decideFirst decides the first batch that is held, and holds the others.
func (s *slowStore) decideFirst(fail error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[0](fail)
	s.held = s.held[1:]
}

func openSlow(t *testing.T) (*hub.Hub, *slowStore) {
	m := memory.New()
	t.Cleanup(func() { m.Close() })
	s := &slowStore{Store: m}
	return open(t, s), s
}

func reported(t *testing.T, h *hub.Hub, name string) string {
	t.Helper()
	d, err := h.Twin(context.Background(), owner, device.ID{Device: name})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := d.Lookup([]string{"properties", "reported", "a"})
	return v
}

func TestNothingIsShownBeforeItIsDurable(t *testing.T) {
	h, s := openSlow(t)
	c := connect(t, h, register(t, h, "d"), newRecorder(), true)
	defer c.Close()
	if _, err := report(t, c, `{"a":1}`); err != nil {
		t.Fatal(err)
	}

	s.hang()
	answers := make(chan int64, 2)
	for _, body := range []string{`{"a":2}`, `{"a":3}`} {
		c.Report([]byte(body), twin.Rules{}, hub.AnyVersion, func(v int64, err error) { answers <- v })
	}
	if got := reported(t, h, "d"); got != "1" {
		t.Errorf("a reader sees a=%s while the disk hangs", got)
	}
	page, err := h.Query(context.Background(), owner, "SELECT properties.reported.a FROM devices", 10, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(page.Rows[0]); got != `{"a":1}` {
		t.Errorf("a query sees %s while the disk hangs", got)
	}
	if len(answers) != 0 {
		t.Error("a patch was acknowledged while the disk hangs")
	}

	s.resume(nil)
	if a, b := <-answers, <-answers; a != 3 || b != 4 {
		t.Errorf("versions %d and %d, want 3 and 4", a, b)
	}
	if got := reported(t, h, "d"); got != "3" {
		t.Errorf("after the disk came back a=%s", got)
	}
}

func TestAFailedCommitLeavesNoTrace(t *testing.T) {
	h, s := openSlow(t)
	c := connect(t, h, register(t, h, "d"), newRecorder(), true)
	defer c.Close()
	if _, err := report(t, c, `{"a":1}`); err != nil {
		t.Fatal(err)
	}

	s.hang()
	failures := make(chan error, 3)
	for _, body := range []string{`{"a":2}`, `{"a":3}`, `{"a":4}`} {
		c.Report([]byte(body), twin.Rules{}, hub.AnyVersion, func(_ int64, err error) { failures <- err })
	}
	full := errors.New("no space left on device")
	s.resume(full)
	for range 3 {
		if err := <-failures; !errors.Is(err, full) || fault.Of(err).Code != fault.ServerError {
			t.Errorf("got %v, want the failure of the disk as a server error", err)
		}
	}
	if got := reported(t, h, "d"); got != "1" {
		t.Errorf("after a failed commit a=%s", got)
	}
	// The chain begins anew from what is on disk.
	if v, err := report(t, c, `{"a":5}`); err != nil || v != 3 {
		t.Errorf("the next patch: version %d, %v", v, err)
	}
	// And it is a chain again: the second patch builds on the first at once.
	s.hang()
	for _, body := range []string{`{"a":6}`, `{"a":7}`} {
		c.Report([]byte(body), twin.Rules{}, hub.AnyVersion, func(_ int64, err error) { failures <- err })
	}
	s.resume(nil)
	if err := errors.Join(<-failures, <-failures); err != nil {
		t.Errorf("two patches in flight: %v", err)
	}
}

func TestAConflictIsTriedAgain(t *testing.T) {
	h, s := openSlow(t)
	register(t, h, "d")
	s.hang()
	done := make(chan *document.Document)
	go func() { done <- patch(t, h, "d", `{"tags":{"a":1}}`) }()
	waitFor(t, func() bool { return s.waiting() == 1 })
	s.resume(store.ErrConflict)
	if d := <-done; d.Etag() != "AAAAAAAAAAI=" {
		t.Errorf("etag %s", d.Etag())
	}
}

func TestChangeAndEventAreOneBatch(t *testing.T) {
	m := memory.New()
	defer m.Close()
	h := open(t, m)
	i := register(t, h, "d")
	c := connect(t, h, i, newRecorder(), true)
	patch(t, h, "d", `{"tags":{"s":"A"},"properties":{"desired":{"x":1}}}`)
	if _, err := report(t, c, `{"fw":"1"}`); err != nil {
		t.Fatal(err)
	}
	patch(t, h, "d", `{"properties":{"desired":{"none":null}}}`) // changes nothing, tells nothing
	r, err := twin.ParseReplacement([]byte(`{"tags":{"s":"B"}}`), twin.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ReplaceTwin(context.Background(), owner, i.ID, r, ""); err != nil {
		t.Fatal(err)
	}
	c.Close()
	waitFor(t, func() bool { return state(t, h, "d") == device.Disconnected })
	if err := h.DeleteIdentity(context.Background(), owner, i.ID, hub.Any); err != nil {
		t.Fatal(err)
	}

	v, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	bodies := map[hub.EventKind]string{
		hub.IdentityCreated: `{"deviceId":"d","etag":"AAAAAAAAAAE=","version":2,"properties":{"desired":{"$metadata":{"$lastUpdated":"T"},"$version":1},"reported":{"$metadata":{"$lastUpdated":"T"},"$version":1}}}`,
		hub.TwinUpdated:     `{"version":4,"properties":{"reported":{"fw":"1","$metadata":{"$lastUpdated":"T","fw":{"$lastUpdated":"T"}},"$version":2}}}`,
		hub.TwinReplaced:    `{"deviceId":"d","etag":"AAAAAAAAAAM=","version":5,"tags":{"s":"B"},"properties":{"desired":{"$metadata":{"$lastUpdated":"T","$lastUpdatedVersion":3},"$version":3},"reported":{"fw":"1","$metadata":{"$lastUpdated":"T","fw":{"$lastUpdated":"T"}},"$version":2}}}`,
	}
	var kinds []hub.EventKind
	last := store.Position(0)
	lastBody := map[hub.EventKind]string{}
	times := regexp.MustCompile(`"2[0-9T:.-]+Z"`)
	for e, err := range v.Events(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position <= last {
			t.Errorf("event %d comes after %d", e.Position, last)
		}
		last = e.Position
		ev, err := hub.DecodeEvent(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		if ev.ID != i.ID || ev.Time.IsZero() {
			t.Errorf("event %+v", ev)
		}
		kinds = append(kinds, ev.Kind)
		body, err := ev.Body()
		if err != nil {
			t.Errorf("body of event %d: %v", ev.Kind, err)
		}
		if ev.Kind == hub.TwinUpdated && strings.Contains(string(body), `"$lastUpdated"`) && !strings.Contains(string(body), string(twin.AppendTime(nil, ev.Time))) {
			t.Errorf("the event says %v, its body %s", ev.Time, body)
		}
		lastBody[ev.Kind] = string(times.ReplaceAll(body, []byte(`"T"`)))
	}
	want := []hub.EventKind{hub.IdentityCreated, hub.Connected, hub.TwinUpdated, hub.TwinUpdated, hub.TwinReplaced, hub.Disconnected, hub.IdentityDeleted}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for kind, want := range bodies {
		if lastBody[kind] != want {
			t.Errorf("body of event %d\n got %s\nwant %s", kind, lastBody[kind], want)
		}
	}
}

func TestEventLogIsTrimmed(t *testing.T) {
	m := memory.New()
	defer m.Close()
	h := open(t, m, func(c *hub.Config) { c.KeepEvents = 50 })
	c := connect(t, h, register(t, h, "d"), newRecorder(), true)
	defer c.Close()
	for k := range 500 {
		if _, err := report(t, c, fmt.Sprintf(`{"n":%d}`, k)); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool {
		n := events(t, m)
		return n >= 50 && n <= 54
	})
}

// Many devices and back ends at once, with a cache that is far too small: all
// versions must be there, and every device must hear every change in order.
func TestManyWriters(t *testing.T) {
	h := open(t, nil, func(c *hub.Config) { c.CacheBytes = 1 })
	const devices, changes = 20, 40
	var done sync.WaitGroup
	for k := range devices {
		name := fmt.Sprintf("d%d", k)
		i := register(t, h, name)
		r := newRecorder()
		c := connect(t, h, i, r, true)
		done.Go(func() {
			for n := range changes {
				patch(t, h, name, fmt.Sprintf(`{"properties":{"desired":{"n":%d}}}`, n))
			}
		})
		done.Go(func() {
			defer c.Close()
			var answered sync.WaitGroup
			for n := range changes {
				answered.Add(1)
				c.Report(fmt.Appendf(nil, `{"n":%d}`, n), twin.Rules{}, hub.AnyVersion, func(v int64, err error) {
					if err != nil || v != int64(n)+2 {
						t.Errorf("%s: patch %d gives version %d, %v", name, n, v, err)
					}
					answered.Done()
				})
			}
			answered.Wait()
			r.wait(func() bool { return len(r.desired) == changes })
			for n, d := range r.desired {
				if d.Version != int64(n)+2 {
					t.Errorf("%s: notification %d has version %d", name, n, d.Version)
				}
			}
		})
	}
	done.Wait()
	q := fmt.Sprintf("SELECT COUNT() AS n FROM devices WHERE version = %d AND properties.desired.n = properties.reported.n", 2+2*changes)
	page, err := h.Query(context.Background(), owner, q, 10, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(page.Rows[0]); got != fmt.Sprintf(`{"n":%d}`, devices) {
		t.Errorf("twins with every change: %s", got)
	}
}

func TestQueryPagesAreSealed(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	for k := range 5 {
		register(t, h, fmt.Sprintf("d%d", k))
	}
	const text = "SELECT deviceId FROM devices"
	page, err := h.Query(ctx, owner, text, 2, "")
	if err != nil {
		t.Fatal(err)
	}
	token := page.Continuation
	altered := []byte(token)
	altered[len(altered)-3] ^= 1
	elsewhere := open(t, nil)
	register(t, elsewhere, "d")
	for name, call := range map[string]func() error{
		"another query":    func() error { _, err := h.Query(ctx, owner, text+" ", 2, token); return err },
		"an altered token": func() error { _, err := h.Query(ctx, owner, text, 2, string(altered)); return err },
		"garbage":          func() error { _, err := h.Query(ctx, owner, text, 2, "%%%"); return err },
		"a short token":    func() error { _, err := h.Query(ctx, owner, text, 2, token[:10]); return err },
		"a cut token":      func() error { _, err := h.Query(ctx, owner, text, 2, token[:len(token)-4]); return err },
		"a bare signature": func() error { _, err := h.Query(ctx, owner, text, 2, token[:22]); return err },
		"a long token":     func() error { _, err := h.Query(ctx, owner, text, 2, token+"AAAA"); return err },
		"a huge token":     func() error { _, err := h.Query(ctx, owner, text, 2, strings.Repeat(token, 10_000)); return err },
		"another hub":      func() error { _, err := elsewhere.Query(ctx, owner, text, 2, token); return err },
	} {
		if err := call(); !fault.Is(err, fault.ArgumentInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var rows []string
	for {
		for _, r := range page.Rows {
			rows = append(rows, string(r))
		}
		if page.Continuation == "" {
			break
		}
		if page, err = h.Query(ctx, owner, text, 2, page.Continuation); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{`{"deviceId":"d0"}`, `{"deviceId":"d1"}`, `{"deviceId":"d2"}`, `{"deviceId":"d3"}`, `{"deviceId":"d4"}`}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}
