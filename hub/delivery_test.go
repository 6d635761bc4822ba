package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
)

// hook is a webhook that notes the bodies of the events it takes.
type hook struct {
	mu    sync.Mutex
	calls int
	took  []string
	// answer decides on a call by its number, from 1 on, and its events; nil takes
	// all.
	answer func(call int, bodies []string) int
}

// RoundTrip is the network between hub and hook, so that time may be virtual.
func (k *hook) RoundTrip(r *http.Request) (*http.Response, error) {
	status, err := k.serve(r.Body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// ServeHTTP is the same over sockets.
func (k *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, err := k.serve(r.Body)
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
}

func (k *hook) serve(body io.Reader) (status int, err error) {
	var list []struct{ Body json.RawMessage }
	if err := json.NewDecoder(body).Decode(&list); err != nil {
		return 0, err
	}
	bodies := make([]string, len(list))
	for i := range list {
		bodies[i] = string(list[i].Body)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls++
	status = http.StatusOK
	if k.answer != nil {
		status = k.answer(k.calls, bodies)
	}
	if status == http.StatusOK {
		k.took = append(k.took, bodies...)
	}
	return status, nil
}

func (k *hook) taken() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.took)
}

// hookRouting leads telemetry to a webhook.
func hookRouting(url string) string {
	return `{"endpoints":{"webhooks":[{"name":"hook","url":"` + url + `","retryHours":2}]},
		"routes":[{"name":"r","source":"DeviceMessages","endpointNames":["hook"]}]}`
}

// numbered makes n messages whose bodies are numbers.
func numbered(first, n int) []message.Message {
	list := make([]message.Message, n)
	for k := range list {
		m := &list[k]
		m.Body = fmt.Append(nil, first+k)
		m.System[message.ContentType], m.System[message.ContentEncoding] = "application/json", "utf-8"
	}
	return list
}

// sendNumbers sends numbered messages, one after another.
func sendNumbers(t testing.TB, h *hub.Hub, i device.Identity, first, n int) {
	t.Helper()
	for _, m := range numbered(first, n) {
		send(t, h, i, m)
	}
}

// sendTogether sends numbered messages in one commit.
func sendTogether(t testing.TB, h *hub.Hub, i device.Identity, first, n int) {
	t.Helper()
	if err := h.SendEvents(context.Background(), principal(i), i.ID, numbered(first, n)); err != nil {
		t.Fatal(err)
	}
}

func numbers(first, n int) (list []string) {
	for k := range n {
		list = append(list, fmt.Sprint(first+k))
	}
	return list
}

// status is that of the only endpoint.
func status(t testing.TB, h *hub.Hub) hub.EndpointStatus {
	t.Helper()
	list, err := h.EndpointStatus(owner)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0]
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within half a minute: %s", what)
		}
	}
}

// TestWebhookRecovers: events that a webhook does not take are offered again, in
// their order, with pauses that grow up to a minute.
func TestWebhookRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		k := &hook{answer: func(call int, _ []string) int {
			if at = append(at, time.Now()); call <= 12 {
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		}}
		h := open(t, nil, func(c *hub.Config) { c.Outside.Transport = k })
		i := register(t, h, "d1")
		setRouting(t, h, hookRouting("https://example.com/"))
		sendNumbers(t, h, i, 1, 3)
		time.Sleep(time.Second / 4)
		synctest.Wait()
		if s := status(t, h); s.Health != hub.HealthUnhealthy || s.Backlog != 3 || s.Delivered != 0 ||
			!strings.Contains(s.LastError, "status 503") || s.Oldest.IsZero() || !s.LastSuccess.IsZero() {
			t.Errorf("while it fails: %+v", s)
		}
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		sendNumbers(t, h, i, 4, 1)
		synctest.Wait()
		if got := k.taken(); !slices.Equal(got, numbers(1, 4)) {
			t.Errorf("it took %q", got)
		}
		if s := status(t, h); s.Health != hub.HealthHealthy || s.Backlog != 0 || s.Delivered != 4 || s.Dropped+s.DeadLettered != 0 || !s.Oldest.IsZero() {
			t.Errorf("afterwards: %+v", s)
		}
		for n := 1; n < 13; n++ {
			longest := min(time.Second<<(n-1), time.Minute)
			if pause := at[n].Sub(at[n-1]); pause < longest/2 || pause > longest {
				t.Errorf("pause %d is %s, want half of %s to all of it", n, pause, longest)
			}
		}
	})
}

// TestDeliveredEventsLeaveTheStore: they do so in steps.
func TestDeliveredEventsLeaveTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		defer m.Close()
		h := open(t, m, func(c *hub.Config) { c.Outside.Transport = new(hook) })
		defer h.Close()
		i := register(t, h, "d1")
		setRouting(t, h, hookRouting("https://example.com/"))
		for range 20 {
			sendTogether(t, h, i, 1, 250)
		}
		synctest.Wait()
		l, err := eventlog.Open(m, eventlog.Config{})
		if err == nil {
			err = l.Make("hook", eventlog.Retention{})
		}
		if err != nil {
			t.Fatal(err)
		}
		if info, err := l.Info("hook"); err != nil || info[0].First == 0 {
			t.Errorf("nothing has left the store: %+v, %v", info, err)
		}
	})
}

// TestDeadLettersAfterTheTime: what a webhook has not taken in its time is in a
// file with the reason, and no later event waits for it.
func TestDeadLettersAfterTheTime(t *testing.T) {
	dead := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		up := false
		k := &hook{answer: func(int, []string) int {
			if up {
				return http.StatusOK
			}
			return http.StatusInternalServerError
		}}
		h := open(t, nil, func(c *hub.Config) { c.Outside.Transport, c.Outside.DeadLetters = k, dead })
		i := register(t, h, "d1")
		setRouting(t, h, hookRouting("https://example.com/"))
		sendNumbers(t, h, i, 1, 3)
		time.Sleep(time.Hour)
		sendNumbers(t, h, i, 4, 2)
		time.Sleep(time.Hour + 2*time.Minute)
		synctest.Wait()
		if s := status(t, h); s.Health != hub.HealthDead || s.DeadLettered != 3 || s.Dropped != 0 || s.Backlog != 2 {
			t.Errorf("after two hours: %+v", s)
		}
		k.mu.Lock()
		up = true
		k.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := k.taken(); !slices.Equal(got, numbers(4, 2)) {
			t.Errorf("it took %q", got)
		}
		if s := status(t, h); s.Health != hub.HealthHealthy || s.Delivered != 2 {
			t.Errorf("afterwards: %+v", s)
		}
	})
	list := lettersIn(t, dead)
	if len(list) != 3 {
		t.Fatalf("%d dead letters", len(list))
	}
	for n, l := range list {
		if l.Endpoint != "hook" || !strings.Contains(l.Reason, "status 500") || string(l.Event.Body) != fmt.Sprint(n+1) {
			t.Errorf("dead letter %d: %+v", n, l)
		}
	}
}

type deadLetter struct {
	Endpoint, Reason string
	Event            struct{ Body json.RawMessage }
}

// lettersIn reads the dead letters of the endpoint "hook".
func lettersIn(t testing.TB, dir string) (list []deadLetter) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "hook", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var l deadLetter
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			list = append(list, l)
		}
	}
	return list
}

// TestEndpointsAreAskedAfterALongTime: events that have waited for longer than their
// time because the hub was off are offered once, and then they are dead letters.
func TestEndpointsAreAskedAfterALongTime(t *testing.T) {
	for _, code := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			m := memory.New()
			defer m.Close()
			down := &hook{answer: func(int, []string) int { return http.StatusServiceUnavailable }}
			h := open(t, m, func(c *hub.Config) { c.Outside.Transport = down })
			i := register(t, h, "d1")
			setRouting(t, h, hookRouting("https://example.com/"))
			sendTogether(t, h, i, 1, 3)
			h.Close()
			time.Sleep(24 * time.Hour)
			k := &hook{answer: func(int, []string) int { return code }}
			h = open(t, m, func(c *hub.Config) { c.Outside.Transport = k })
			defer h.Close()
			time.Sleep(time.Minute)
			synctest.Wait()
			want := hub.EndpointStatus{Delivered: 3}
			if code != http.StatusOK {
				want = hub.EndpointStatus{Dropped: 3} // no place for dead letters
			}
			if s := h.EndpointStats()[0]; k.calls != 1 || s.Delivered != want.Delivered || s.Dropped != want.Dropped {
				t.Errorf("answer %d, after %d calls: %+v", code, k.calls, s)
			}
		})
	}
}

// TestRefusedEvents: one event that a webhook refuses does not stop the others,
// and is a dead letter at once. Those that were refused with it come one by one.
func TestRefusedEvents(t *testing.T) {
	dead := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k := &hook{answer: func(_ int, bodies []string) int {
			if slices.Contains(bodies, "39") {
				return http.StatusBadRequest
			}
			return http.StatusOK
		}}
		h := open(t, nil, func(c *hub.Config) { c.Outside.Transport, c.Outside.DeadLetters = k, dead })
		i := register(t, h, "d1")
		setRouting(t, h, hookRouting("https://example.com/"))
		sendTogether(t, h, i, 1, 40)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := k.taken(); !slices.Equal(got, append(numbers(1, 38), "40")) || k.calls != 41 {
			t.Errorf("it took %q, in %d calls", got, k.calls)
		}
		if s := status(t, h); s.Health != hub.HealthHealthy || s.DeadLettered != 1 || s.Backlog != 0 {
			t.Errorf("%+v", s)
		}
		sendTogether(t, h, i, 41, 10)
		synctest.Wait()
		if k.calls != 42 {
			t.Errorf("%d calls: later ones do not come together", k.calls)
		}
	})
	if list := lettersIn(t, dead); len(list) != 1 || string(list[0].Event.Body) != "39" || !strings.Contains(list[0].Reason, "status 400") {
		t.Errorf("dead letters %+v", list)
	}
}

// TestOffersAreBounded: no call is too large, unless one event alone is.
func TestOffersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		k := &hook{answer: func(_ int, bodies []string) int {
			size := 0
			for _, b := range bodies {
				size += len(b)
			}
			calls = append(calls, fmt.Sprintf("%d of %dK", len(bodies), size>>10))
			return http.StatusOK
		}}
		h := open(t, nil, func(c *hub.Config) { c.Outside.Transport = k })
		i := register(t, h, "d1")
		setRouting(t, h, hookRouting("https://example.com/"))
		sendTogether(t, h, i, 1, 250)
		synctest.Wait()
		large := numbered(0, 5)
		for n := range large {
			large[n].Body = []byte(`"` + strings.Repeat("x", 100<<10) + `"`)
		}
		if err := h.SendEvents(t.Context(), principal(i), i.ID, large); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, want := strings.Join(calls, ", "), "100 of 0K, 100 of 0K, 50 of 0K, 2 of 200K, 2 of 200K, 1 of 100K"; got != want {
			t.Errorf("calls with %s, want %s", got, want)
		}
	})
}

// TestSettledEventsAreNotOfferedAgain: a restart does not repeat what was settled
// one by one, of events that were offered together.
func TestSettledEventsAreNotOfferedAgain(t *testing.T) {
	dead := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		defer m.Close()
		up := false
		k := &hook{answer: func(_ int, bodies []string) int {
			switch {
			case bodies[0] == "3" && !up:
				return http.StatusServiceUnavailable
			case len(bodies) > 1 || bodies[0] == "1":
				return http.StatusBadRequest
			}
			return http.StatusOK
		}}
		o := func(c *hub.Config) { c.Outside.Transport, c.Outside.DeadLetters = k, dead }
		h := open(t, m, o)
		i := register(t, h, "d1")
		setRouting(t, h, hookRouting("https://example.com/"))
		sendTogether(t, h, i, 1, 5)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := status(t, h); s.Delivered != 1 || s.DeadLettered != 1 || s.Backlog != 3 {
			t.Errorf("before the restart: %+v", s)
		}
		h.Close()
		k.mu.Lock()
		up = true
		k.mu.Unlock()
		h = open(t, m, o)
		defer h.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := k.taken(); !slices.Equal(got, numbers(2, 4)) {
			t.Errorf("it took %q", got)
		}
	})
	if list := lettersIn(t, dead); len(list) != 1 || string(list[0].Event.Body) != "1" {
		t.Errorf("dead letters %+v", list)
	}
}

// TestHangingWebhook: it holds up neither devices, nor other endpoints, nor the
// end of the hub; after a restart its events are still there.
func TestHangingWebhook(t *testing.T) {
	m := memory.New()
	defer m.Close()
	hang := make(chan struct{})
	var hung atomic.Int64
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hung.Add(1); r.Body != nil {
			<-hang
		}
	}))
	defer slow.Close()
	defer close(hang)
	files := t.TempDir()
	routing := func(url string) string {
		return `{"endpoints":{"webhooks":[{"name":"hook","url":"` + url + `"}],"files":[{"name":"file"}]},
			"routes":[{"name":"a","source":"DeviceMessages","endpointNames":["hook"]},{"name":"b","source":"DeviceMessages","endpointNames":["file"]}]}`
	}
	o := func(c *hub.Config) { c.Outside.Files = files }
	h := open(t, m, o)
	i := register(t, h, "d1")
	setRouting(t, h, routing(slow.URL))
	sendNumbers(t, h, i, 1, 1)
	eventually(t, "the call hangs", func() bool { return hung.Load() > 0 })
	sendNumbers(t, h, i, 2, 300)
	eventually(t, "the file has all", func() bool { return h.EndpointStats()[1].Delivered == 301 })
	if s := h.EndpointStats()[0]; s.Backlog != 301 || s.Health != hub.HealthUnknown {
		t.Errorf("the one that hangs: %+v", s)
	}
	h.Close()

	h = open(t, m, o)
	k := new(hook)
	good := httptest.NewServer(k)
	defer good.Close()
	setRouting(t, h, routing(good.URL)) // the same endpoint at another address
	eventually(t, "the webhook has all", func() bool { return h.EndpointStats()[0].Delivered == 301 })
	if got := k.taken(); !slices.Equal(got, numbers(1, 301)) {
		t.Errorf("it took %q", got)
	}
	if s := h.EndpointStats()[1]; s.Delivered != 0 || s.Backlog != 0 {
		t.Errorf("the file, after the restart: %+v", s)
	}
}

// TestRemovedEndpoint: what waited for it does not come back when there is another
// one of that name, also after a crash in between.
func TestRemovedEndpoint(t *testing.T) {
	m := memory.New()
	defer m.Close()
	h := open(t, m, func(c *hub.Config) {
		c.Outside.Transport = &hook{answer: func(int, []string) int { return http.StatusInternalServerError }}
	})
	i := register(t, h, "d1")
	setRouting(t, h, hookRouting("https://example.com/"))
	sendNumbers(t, h, i, 1, 5)
	setRouting(t, h, `{}`)
	if list, err := h.EndpointStatus(owner); err != nil || len(list) != 0 {
		t.Errorf("endpoints %v, %v", list, err)
	}
	if _, err := h.ReadEvents(owner, "hook", hub.From{Start: true}); !fault.Is(err, fault.ArgumentInvalid) {
		t.Errorf("its events can be read: %v", err)
	}
	h.Close()
	stream := func() *eventlog.Log {
		t.Helper()
		l, err := eventlog.Open(m, eventlog.Config{})
		if err == nil {
			err = l.Make("hook", eventlog.Retention{})
		}
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	written := make(chan error, 1)
	stream().Submit(store.Batch{}, []eventlog.Entry{{Stream: "hook", Key: "d1", Time: time.Now(), Body: []byte("left by a crash")}},
		func(_ store.Position, err error) { written <- err })
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	k := new(hook)
	h = open(t, m, func(c *hub.Config) { c.Outside.Transport = k })
	if info, err := stream().Info("hook"); err != nil || info[0].Next != 0 {
		t.Errorf("the start has left %+v, %v", info, err)
	}
	setRouting(t, h, hookRouting("https://example.com/"))
	sendNumbers(t, h, i, 6, 1)
	eventually(t, "the new one gets something", func() bool { return len(k.taken()) > 0 })
	if got := k.taken(); !slices.Equal(got, []string{"6"}) {
		t.Errorf("it took %q", got)
	}
}

// TestEndpointsExchangeWhatTheyReach: what an endpoint has reached is not another's
// before the first one has ended.
func TestEndpointsExchangeWhatTheyReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		at := map[string]int{} // calls that are under way
		h := open(t, nil, func(c *hub.Config) {
			c.Outside.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				count := func(by int) {
					mu.Lock()
					defer mu.Unlock()
					if at[r.URL.Path] += by; at[r.URL.Path] > 1 {
						t.Errorf("%s is called by two endpoints at once", r.URL.Path)
					}
				}
				count(1)
				defer count(-1)
				<-r.Context().Done()
				time.Sleep(time.Second) // what is written meanwhile must not get in between
				return nil, r.Context().Err()
			})
		})
		i := register(t, h, "d1")
		routing := func(a, b string) string {
			return `{"endpoints":{"webhooks":[{"name":"a","url":"https://example.com/` + a + `"},{"name":"b","url":"https://example.com/` + b + `"}]},
				"routes":[{"name":"a","source":"DeviceMessages","endpointNames":["a"]},{"name":"b","source":"DeviceMessages","endpointNames":["b"]}]}`
		}
		setRouting(t, h, routing("1", "2"))
		sendNumbers(t, h, i, 1, 1)
		synctest.Wait()
		setRouting(t, h, routing("2", "1"))
		synctest.Wait()
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestEndpointsAreChecked: what the operator does not allow is refused, and
// changes nothing; the status asks for a right.
func TestEndpointsAreChecked(t *testing.T) {
	h := open(t, nil, func(c *hub.Config) { c.Outside.Hosts = []string{"example.com"} })
	for config, want := range map[string]string{
		hookRouting("https://example.org/"):      "endpoints.webhooks[0].url",
		`{"endpoints":{"files":[{"name":"f"}]}}`: "endpoints.files",
	} {
		if err := trySetRouting(h, config); !fault.Is(err, fault.ArgumentInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
	if _, etag, err := h.Routing(owner); err != nil || etag != "0" {
		t.Errorf("etag %q, %v", etag, err)
	}
	if _, err := h.EndpointStatus(auth.Principal{Permissions: auth.ServiceConnect}); err == nil {
		t.Error("status without the right")
	}
}

// TestLossIsCounted: events for which there is no place any more are counted,
// those that the stream had to forget among them; then things go on.
func TestLossIsCounted(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(nowhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dead string
		off        time.Duration // between two runs of the hub
		dropped    int64
		took       []string
	}{
		{"no dead letters", "", 0, 510, []string{"511"}},
		// What was read before the stream forgot it is in hand.
		{"dead letters fail", nowhere, 8 * 24 * time.Hour, 10, append(numbers(1, 500), "511")},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := memory.New()
				defer m.Close()
				up := false
				k := &hook{answer: func(int, []string) int {
					if up {
						return http.StatusOK
					}
					return http.StatusInternalServerError
				}}
				o := func(o *hub.Config) { o.Outside.Transport, o.Outside.DeadLetters = k, c.dead }
				h := open(t, m, o)
				i := register(t, h, "d1")
				setRouting(t, h, hookRouting("https://example.com/"))
				sendTogether(t, h, i, 1, 510)
				h.Close()
				time.Sleep(c.off)
				h = open(t, m, o)
				defer h.Close()
				time.Sleep(2*time.Hour + 5*time.Minute)
				k.mu.Lock()
				up = true
				k.mu.Unlock()
				time.Sleep(2 * time.Minute)
				sendTogether(t, h, i, 511, 1)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if s := status(t, h); s.Dropped != c.dropped || s.DeadLettered != 0 || s.Backlog != 0 {
					t.Errorf("%+v", s)
				}
				if got := k.taken(); !slices.Equal(got, c.took) {
					t.Errorf("it took %q", got)
				}
			})
		})
	}
}
