package server

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store"
)

// Limits of the admin listener, on top of those of HTTPS.
const (
	// maxAdminConnections is enough for a few scrapers and probes. They come out
	// of what storeFiles sets aside: a flood of clients must not shut out
	// whoever looks after the hub.
	maxAdminConnections = 16
	// storeTimeout is how long the store may take to show that it is alive.
	// Nothing is written for that, so only a disk that hangs takes longer.
	storeTimeout = 2 * time.Second
)

// admin answers those who look after a hub: probes and scrapers. It asks nobody
// who he is, which is why it is reached on loopback addresses only, and tells
// counts and states, nothing of a device.
//
//	GET /healthz   the process is alive
//	GET /readyz    the hub answers queries, and its store takes changes
//	GET /metrics   numbers, in the text form of Prometheus
type admin struct {
	index    func() index.Stats
	messages func() hub.MessageStats
	queries  *queryMetrics
	methods  *methodMetrics
	routing  func() routingStats
	store    store.Store
}

func (a admin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", a.serveReadiness)
	mux.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(a), promhttp.HandlerOpts{}))
	return localOnly(mux)
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool           `json:"ready"`
	Index indexReadiness `json:"index"`
	Store string         `json:"store,omitempty"` // why it takes no changes
}

// indexReadiness says how far the query index is: while it is being built,
// queries wait for it.
type indexReadiness struct {
	Ready    bool   `json:"ready"`
	Rows     int    `json:"rows"` // twins in it
	Position uint64 `json:"position"`
}

// serveReadiness answers 200 or 503, with the reasons.
func (a admin) serveReadiness(w http.ResponseWriter, r *http.Request) {
	stats := a.index()
	state := readiness{
		Ready: stats.Ready,
		Index: indexReadiness{Ready: stats.Ready, Rows: stats.Devices + stats.Modules, Position: stats.Position},
	}
	if err := a.storeFailure(r.Context()); err != nil {
		state.Ready, state.Store = false, err.Error()
	}
	body, err := json.Marshal(state)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if !state.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	w.Write(append(body, '\n'))
}

// storeFailure sends a barrier through the store: it comes back once everything
// submitted before is durable, with the failure of the medium if there was one.
func (a admin) storeFailure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, err := store.CommitBatch(ctx, a.store, store.Batch{})
	return err
}

// localOnly refuses requests for a host that is neither localhost nor an IP
// address. Without that, any page in a browser on this machine could read the
// answers, by a name of its own that it lets point here.
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalName(r.Host) {
			http.Error(w, "ask for localhost or an IP address", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func isLocalName(host string) bool {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost")
}

// adminAddresses are those of the hub, if only this machine reaches them, and
// both loopback addresses otherwise.
func (c Config) adminAddresses() []netip.Addr {
	if !c.loopback() {
		c.Listen = "localhost"
	}
	return c.addresses()
}
