package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of HTTPS connections. They are what stands against a caller that
// dribbles bytes or never reads; what a request may cost is for httpapi to say.
const (
	headerTimeout = 10 * time.Second // the handshake has as long
	readTimeout   = 30 * time.Second // of a whole request; the largest body has 512 KB
	writeTimeout  = 60 * time.Second // from the end of the header to the end of the answer
	idleTimeout   = 2 * time.Minute  // between requests
	headerBytes   = 16 << 10         // a token has 4 KB at most

	// maxConnections bounds how many there are at a time, without WebSockets,
	// which count with MQTT. Those beyond it are closed at once. See also
	// connectionLimits.
	maxConnections = 10_000
)

// httpServer serves the REST API and WebSockets. It speaks HTTP/1.1 only: no SDK
// needs more, and a WebSocket can't be had over HTTP/2.
type httpServer struct {
	http.Server
	limit int // of connections

	mu     sync.Mutex
	open   int
	unused map[net.Conn]bool // no request has begun on them
}

func newHTTPServer(h http.Handler, log *slog.Logger) *httpServer {
	s := &httpServer{unused: map[net.Conn]bool{}}
	s.limit, _ = connectionLimits(descriptorLimit())
	s.Handler = h
	s.DisableGeneralOptionsHandler = true // or "OPTIONS *" is answered to anyone
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.ReadHeaderTimeout = headerTimeout
	s.ReadTimeout = readTimeout
	s.WriteTimeout = writeTimeout
	s.IdleTimeout = idleTimeout
	s.MaxHeaderBytes = headerBytes
	s.ConnState = s.note
	// Failed handshakes and the like: news to a developer, noise to an operator.
	s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	return s
}

// note keeps count of connections, and of unused ones. net/http waits five
// seconds for such a connection to bring a request before a shutdown closes it,
// and browsers and SDKs open them in advance: without this, Ctrl-C would often
// take that long.
func (s *httpServer) note(c net.Conn, state http.ConnState) {
	if r, ok := recordsOf(c); ok {
		switch state {
		case http.StateIdle:
			r.end()
		case http.StateHijacked:
			r.handOver()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unused, c)
	switch state {
	case http.StateNew:
		if s.open++; s.open > s.limit {
			c.Close() // net/http meets the error, and says StateClosed
			return
		}
		s.unused[c] = true
	case http.StateClosed, http.StateHijacked:
		s.open--
	}
}

// shutdownTimeout bounds how long requests may take to finish once the hub has
// been told to end.
const shutdownTimeout = 10 * time.Second

// shutdown lets running requests finish, for a while, and cuts the rest.
func (s *httpServer) shutdown(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.RegisterOnShutdown(s.closeUnused)
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
}

func (s *httpServer) closeUnused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.unused {
		c.Close()
	}
}

// tlsConfig is that of a listener. SDKs of several languages pin TLS 1.2
// (device-protocol sheet, 1.2), so 1.3 is offered and not asked for.
func tlsConfig(cert tls.Certificate, protocols ...string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   protocols,
		// Whether a device needs a certificate is known only when it has said who it
		// is, and self-signed ones have no authority: auth verifies them.
		ClientAuth: tls.RequestClientCert,
		// Small records at the beginning let browsers render early. Here they
		// would cut a page of a query into hundreds of system calls.
		DynamicRecordSizingDisabled: true,
	}
}
