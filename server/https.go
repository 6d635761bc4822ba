package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
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
)

// newHTTPServer makes the server of the REST API and of WebSockets. It speaks
// HTTP/1.1 only: no SDK needs more, and a WebSocket can't be had over HTTP/2.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		// Failed handshakes and the like: news to a developer, noise to an
		// operator.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// shutdownTimeout bounds how long requests may take to finish once the hub has
// been told to end.
const shutdownTimeout = 10 * time.Second

// shutdownHTTP lets running requests finish, for a while, and cuts the rest.
func shutdownHTTP(s *http.Server, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
}

// tlsConfig is that of a listener. SDKs of several languages pin TLS 1.2
// (device-protocol sheet, 1.2), so 1.3 is offered and not asked for.
func tlsConfig(cert tls.Certificate, protocols ...string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   protocols,
	}
}
