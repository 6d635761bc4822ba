package server

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
)

// someStats has another number in each field.
var someStats = index.Stats{
	Ready: true, Position: 12, Devices: 3, Modules: 1,
	Paths: 20, PathsRefused: 2, ColumnBytes: 4096, DocumentBytes: 1024,
}

// someQueries has met most outcomes, each a number of times of its own.
func someQueries() *queryMetrics {
	m := newQueryMetrics()
	for _, took := range []time.Duration{time.Second / 4, time.Second / 2, time.Minute} {
		m.observe(hub.QueryOK, took)
	}
	for _, o := range []hub.QueryOutcome{hub.QueryRefused, hub.QueryRefused, hub.QueryFailed} {
		m.observe(o, time.Second)
	}
	return m
}

// someMethods has met an answer and a failure.
func someMethods() *methodMetrics {
	m := newMethodMetrics()
	m.observe(hub.MethodObservation{Request: 100, Answer: 5000, Took: 2 * time.Second})
	m.observe(hub.MethodObservation{Request: 70_000, Took: time.Minute, Err: store.ErrClosed})
	return m
}

func someMessages() hub.MessageStats {
	return hub.MessageStats{Sent: 10, Completed: 1, Abandoned: 2, Rejected: 3, Expired: 4, DeliveryCountExceeded: 5, Purged: 6, FeedbackDropped: 7}
}

func someRouting() routingStats {
	return routingStats{
		hub.EgressStats{Success: 1, Fallback: 2, Orphaned: 3, Invalid: 4, Dropped: 5},
		[]hub.EndpointStatus{
			{Name: "alerts", Health: hub.HealthHealthy, Backlog: 6, Delivered: 7, DeadLettered: 8, Dropped: 9},
			{Name: "archive", Health: hub.HealthDead, Backlog: 10},
			{Name: "new", Health: hub.HealthUnknown},
		},
	}
}

// ask sends a request to the admin handler of a hub with these stats.
func ask(stats index.Stats, st store.Store, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	a := admin{func() index.Stats { return stats }, someMessages, someQueries(), someMethods(), someRouting, st}
	a.handler().ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestHealth(t *testing.T) {
	st := memory.New()
	st.Close() // which does not matter: the process is alive
	if w := ask(index.Stats{}, st, "GET", "http://localhost/healthz"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// TestReadiness is ready only with the whole index and a store that works.
func TestReadiness(t *testing.T) {
	open, closed := memory.New(), memory.New()
	defer open.Close()
	closed.Close()
	building := someStats
	building.Ready = false
	for _, c := range []struct {
		name  string
		stats index.Stats
		store store.Store
		code  int
		want  string
	}{
		{"ready", someStats, open, 200, `{"ready":true,"index":{"ready":true,"rows":4,"position":12}}`},
		{"building", building, open, 503, `{"ready":false,"index":{"ready":false,"rows":4,"position":12}}`},
		{"no store", someStats, closed, 503, `{"ready":false,"index":{"ready":true,"rows":4,"position":12},"store":"store: closed"}`},
	} {
		w := ask(c.stats, c.store, "GET", "http://127.0.0.1:9464/readyz")
		if w.Code != c.code || w.Body.String() != c.want+"\n" {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// silentStore takes batches and never says what became of them.
type silentStore struct{ store.Store }

func (silentStore) Submit(store.Batch, func(store.Position, error)) {}

// TestReadinessDoesNotWait has a disk that hangs.
func TestReadinessDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ask(someStats, silentStore{}, "GET", "http://localhost/readyz")
		if w.Code != 503 || !strings.Contains(w.Body.String(), `"store":"context deadline exceeded"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// TestMetrics compares the numbers of the hub with testdata/metrics.txt, and
// looks for those of the process.
func TestMetrics(t *testing.T) {
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	text := ask(someStats, nil, "GET", "http://localhost/metrics").Body.String()
	var got strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "hubtwin_") {
			got.WriteString(line)
		}
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	for _, name := range []string{"go_goroutines", "go_memstats_heap_inuse_bytes"} {
		if !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestAdminRefuses has what a web page could make a browser send, and what does
// not exist.
func TestAdminRefuses(t *testing.T) {
	for target, want := range map[string]int{
		"http://localhost:9464/healthz":     200,
		"http://LOCALHOST/healthz":          200,
		"http://127.0.0.9:9464/healthz":     200,
		"http://[::1]:9464/healthz":         200,
		"http://[::1]/healthz":              200,
		"http://evil.example/healthz":       403,
		"http://localhost.example/readyz":   403,
		"http://evil.example:9464/metrics":  403,
		"http://localhost/":                 404,
		"http://localhost/debug/pprof/heap": 404,
	} {
		if w := ask(someStats, nil, "GET", target); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
	if w := ask(someStats, nil, "POST", "http://localhost/healthz"); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestAdminListens asks a whole hub, which listens on every network.
func TestAdminListens(t *testing.T) {
	defer goleak.VerifyNone(t)
	c := ephemeral(t)
	c.Listen, c.MQTTPlain = "0.0.0.0", nil
	s, stop := started(t, c)
	if len(s.Admin.Addresses) == 0 {
		t.Fatal("there is no admin listener")
	}
	if _, err := s.Hub.Query(t.Context(), auth.Principal{Permissions: auth.ServiceConnect}, "SELECT * FROM devices", 0, ""); err != nil {
		t.Error(err)
	}
	transport := &http.Transport{}
	for _, address := range s.Admin.Addresses {
		if !strings.HasPrefix(address, "127.0.0.1:") && !strings.HasPrefix(address, "[::1]:") {
			t.Errorf("health is served on %s", address)
		}
		for path, want := range map[string]string{"/healthz": "ok\n", "/metrics": `hubtwin_queries_total{outcome="ok"} 1`, "/readyz": `"index":`} {
			res, err := (&http.Client{Transport: transport}).Get("http://" + address + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !strings.Contains(string(body), want) {
				t.Errorf("%s: %d %s, %v", path, res.StatusCode, body, err)
			}
			if path == "/readyz" {
				var members map[string]json.RawMessage
				if err := json.Unmarshal(body, &members); err != nil || !slices.Contains(slices.Collect(maps.Keys(members)), "ready") {
					t.Errorf("%s, %v", body, err)
				}
			}
		}
	}
	transport.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestAdminConnections opens one connection more than there may be.
func TestAdminConnections(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, stop := started(t, ephemeral(t))
	closed := make(chan struct{}, maxAdminConnections+1)
	for range maxAdminConnections + 1 {
		c, err := net.Dial("tcp", s.Admin.Addresses[0])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			c.Read(make([]byte, 1)) // until it is closed
			closed <- struct{}{}
		}()
	}
	select {
	case <-closed:
	case <-time.After(headerTimeout / 2): // before they are late with what they should say
		t.Errorf("%d connections are open, want %d at most", maxAdminConnections+1, maxAdminConnections)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
