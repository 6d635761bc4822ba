// Package server is one hub from a [Config]: it opens the store, the hub, the
// listeners and the front ends, in that order, runs them until a context ends,
// and closes them in reverse.
//
// It is wiring and knows no rule of the hub. Reading flags and files, telling
// people what runs where, and signals are the program's, cmd/hubtwin.
//
// Begin at [Open].
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/blob"
	"github.com/hubtwin/hubtwin/httpapi"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/injection"
	"github.com/hubtwin/hubtwin/job"
	"github.com/hubtwin/hubtwin/mqtt"
	"github.com/hubtwin/hubtwin/route"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/store/pebble"
	"github.com/hubtwin/hubtwin/wsnet"
)

// Server is a hub that is open: ports are taken, but nobody is served before
// Run.
type Server struct {
	Hub *hub.Hub
	Certificates
	HTTPS, MQTT, MQTTPlain, Admin Endpoint

	log     *slog.Logger
	names   []string
	store   store.Store
	jobs    *job.Manager
	queries *queryMetrics
	methods *methodMetrics
	faults  *injection.Table // nil if none are to be injected
	work    gate             // requests and WebSockets under way
}

// Open validates c, makes what is missing (certificates, policies with keys)
// and takes the ports. The caller must Close the server, whether or not it was
// Run. Errors say what to do; a data directory that another hub has open gives
// pebble.ErrInUse, one of an unknown format pebble.ErrFormat.
func Open(ctx context.Context, c Config) (_ *Server, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Server{log: c.Log, names: c.names(), queries: newQueryMetrics(), methods: newMethodMetrics()}
	if s.log == nil {
		s.log = slog.Default()
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if c.Faults {
		s.faults = injection.New(s.log)
	}
	if s.store, err = openStore(c.Data, s.log); err != nil {
		return nil, err
	}
	var blobs *blob.Store
	if c.BlobStorage != "" {
		if blobs, err = blob.Open(c.BlobStorage, c.BlobContainer); err != nil {
			return nil, err
		}
	}
	if s.Hub, err = hub.Open(ctx, hub.Config{
		Store: s.store, Log: s.log, Events: c.Events, Outside: c.outside(), Blobs: blobs, ObserveQuery: s.queries.observe, ObserveMethod: s.methods.observe,
	}); err != nil {
		return nil, err
	}
	if s.jobs, err = job.Open(ctx, job.Config{Hub: s.Hub, Store: s.store, Log: s.log, Files: c.JobFiles}); err != nil {
		return nil, err
	}
	if s.Certificates, err = openCertificates(c.Certificates, s.names, time.Now()); err != nil {
		return nil, err
	}
	if err = s.listen(c); err != nil {
		return nil, err
	}
	return s, nil
}

// deadLetterDirectory is the place of dead letters in the data directory.
const deadLetterDirectory = "dead-letters"

// outside is what endpoints of routes may reach.
func (c Config) outside() route.Outside {
	o := route.Outside{Files: c.RouteFiles, Hosts: c.WebhookHosts}
	if c.Data != "" {
		o.DeadLetters = filepath.Join(c.Data, deadLetterDirectory)
	}
	return o
}

// storeDirectory is the place of the store in the data directory. It has one
// of its own because the engine wants to be alone.
const storeDirectory = "store"

func openStore(dir string, log *slog.Logger) (store.Store, error) {
	if dir == "" {
		return memory.New(), nil
	}
	reserveHeap(filepath.Join(dir, storeDirectory))
	s, err := pebble.Open(filepath.Join(dir, storeDirectory), pebble.Options{Logger: log})
	if err != nil {
		return nil, err // never a nil *pebble.Store, which would be a Store that is not nil
	}
	return s, nil
}

func (s *Server) listen(c Config) (err error) {
	addresses := c.addresses()
	if s.HTTPS, err = listen(addresses, c.HTTPS); err != nil {
		return fmt.Errorf("https-port: %w", err)
	}
	if s.MQTT, err = listen(addresses, c.MQTT); err != nil {
		return fmt.Errorf("mqtt-port: %w", err)
	}
	if s.MQTTPlain, err = listen(addresses, c.MQTTPlain); err != nil {
		return fmt.Errorf("mqtt-plain-port: %w", err)
	}
	if s.Admin, err = listen(c.adminAddresses(), c.Admin); err != nil {
		return fmt.Errorf("admin-port: %w", err)
	}
	return nil
}

// Run serves until ctx ends, or a listener fails, which is the error. Then it
// stops accepting, closes devices' connections, lets requests finish for up to
// 10 seconds, and returns when nothing of them is left. It can run once.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	verifier := &auth.Verifier{Keys: s.Hub.Secrets(), Hosts: s.names}
	descriptors := descriptorLimit()
	https, most := connectionLimits(descriptors)
	s.log.Debug("limits", "descriptors", descriptors, "https", https, "mqtt", most)
	devices := mqtt.New(mqtt.Config{Hub: s.Hub, Verifier: verifier, Log: s.log, Faults: s.faults, MaxConnections: most})
	rest := newHTTPServer(s.counted(httpapi.New(httpapi.Config{
		Hub:       s.Hub,
		Jobs:      s.jobs,
		Verifier:  verifier,
		Log:       s.log,
		Websocket: s.tunnel(ctx, devices),
		Faults:    s.faults,
		Ending:    ctx,
	})), s.log)
	rest.ConnContext = httpapi.ConnContext
	rest.RegisterOnShutdown(s.Hub.HangUp)
	care := newHTTPServer(s.counted(admin{s.Hub.IndexStats, s.Hub.MessageStats, s.queries, s.methods, s.routingStats, s.store}.handler()), s.log)
	care.limit = maxAdminConnections

	var running sync.WaitGroup
	var first sync.Once
	var failure error // of a listener, while nobody wanted to stop
	serve := func(name string, e Endpoint, t *tls.Config, f func(net.Listener) error) {
		for _, l := range e.listeners {
			if t != nil {
				l = tls.NewListener(l, t)
			}
			running.Go(func() {
				if err := f(l); ctx.Err() == nil {
					first.Do(func() { failure = fmt.Errorf("%s on %s: %w", name, l.Addr(), err) })
					stop()
				}
			})
		}
	}
	serveDevices := func(l net.Listener) error { return devices.Serve(ctx, l) }
	serve("HTTPS", s.HTTPS, nil, func(l net.Listener) error {
		return rest.Serve(tls.NewListener(recordListener{l}, tlsConfig(s.server, "http/1.1")))
	})
	serve("MQTT", s.MQTT, tlsConfig(s.server), serveDevices)
	serve("MQTT without TLS", s.MQTTPlain, nil, serveDevices)
	serve("admin", s.Admin, nil, care.Serve)
	running.Go(func() { s.tuneMemory(ctx) })

	<-ctx.Done()
	s.log.Debug("stopping")
	s.drain(rest, care)
	running.Wait()
	return failure
}

func (s *Server) routingStats() routingStats {
	return routingStats{s.Hub.EgressStats(), s.Hub.EndpointStats()}
}

// drain ends the HTTP servers and returns when no request and no WebSocket is
// left.
func (s *Server) drain(servers ...*httpServer) {
	var ended sync.WaitGroup
	for _, h := range servers {
		ended.Go(func() { h.shutdown(shutdownTimeout) })
	}
	ended.Wait()
	s.work.close()
	s.work.wait()
}

// counted makes the end wait for the requests that h is serving.
func (s *Server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.work.enter() {
			panic(http.ErrAbortHandler) // the connection is closed already
		}
		defer s.work.leave()
		h.ServeHTTP(w, r)
	})
}

// tunnel hands devices that speak MQTT through a WebSocket to the MQTT front
// end, until ctx ends. A connection gets a fresh goroutine: net/http's own has
// a grown stack and a buffer that would stay for as long as it lives.
func (s *Server) tunnel(ctx context.Context, devices *mqtt.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := wsnet.Upgrader{}.Upgrade(w, r, "mqtt")
		if err != nil {
			s.log.Debug("no WebSocket", "remote", r.RemoteAddr, "error", err)
			return
		}
		if !s.work.enter() {
			conn.Close()
			return
		}
		go func() {
			defer s.work.leave()
			devices.ServeConn(ctx, conn)
		}()
	})
}

// Close releases what Open took. Run must have returned.
func (s *Server) Close() error {
	for _, e := range []*Endpoint{&s.Admin, &s.MQTTPlain, &s.MQTT, &s.HTTPS} {
		e.close()
	}
	if s.jobs != nil {
		s.jobs.Close()
	}
	if s.Hub != nil {
		s.Hub.Close()
	}
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}
