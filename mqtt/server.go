package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/injection"
)

// Config is what a server needs. A zero limit means its default.
type Config struct {
	Hub *hub.Hub
	// Verifier decides who a device is. Its Hosts are also the host names that
	// user names may begin with.
	Verifier *auth.Verifier
	Log      *slog.Logger
	// Faults are those to be injected; nil for none, ever.
	Faults *injection.Table

	// MaxConnections bounds how many connections are served at a time; default
	// 100,000. Those beyond it are refused with CONNACK 3, a sixteenth more, and
	// then without an answer.
	MaxConnections int
	// ConnectTimeout is how long a socket may take from accept to CONNECT, the
	// TLS handshake included; default 30 s (device-protocol 1.2).
	ConnectTimeout time.Duration
	// ExpiryGrace is how long after the end of its token a connection is closed;
	// default 10 min, which is how late the cloud hub is (device-protocol 1.9).
	ExpiryGrace time.Duration
	// WriteTimeout is how long a client may leave written bytes unread before it
	// is closed; default 30 s.
	WriteTimeout time.Duration
}

// Server serves MQTT connections. Its methods may be called from many
// goroutines at once.
type Server struct {
	config Config
	open   atomic.Int64
}

// New makes a server.
func New(c Config) *Server {
	if c.MaxConnections == 0 {
		c.MaxConnections = 100_000
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 30 * time.Second
	}
	if c.ExpiryGrace == 0 {
		c.ExpiryGrace = 10 * time.Minute
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 30 * time.Second
	}
	return &Server{config: c}
}

// Serve accepts connections of l, plain or TLS, until ctx ends; then it closes
// l and all connections, and returns nil when every goroutine has ended. It
// returns early, likewise, with the error of a listener that fails for good.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()

	var pause time.Duration
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case err != nil && !passing(err):
			return err
		case err != nil:
			// The usual cause is a lack of file descriptors, which ends when
			// connections do.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.config.Log.Warn("accept MQTT connection", slog.Any("error", err), slog.Duration("pause", pause))
			sleep(ctx, pause)
		default:
			pause = 0
			serving.Go(func() { s.ServeConn(ctx, c) })
		}
	}
}

// passing tells whether a failed Accept is worth another try.
func passing(err error) bool {
	var e interface{ Temporary() bool }
	return errors.As(err, &e) && e.Temporary()
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// ServeConn serves one connection, plain, TLS or WebSocket, until it ends or ctx
// does. Then c is closed, and all goroutines that served it have ended. Call it
// from a fresh goroutine: its stack lives as long as the connection.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) {
	open := s.open.Add(1)
	defer s.open.Add(-1)
	limit := int64(s.config.MaxConnections)
	if open > limit+limit/16 {
		s.config.Log.Warn("MQTT connection dropped: too many", slog.Int64("open", open))
		c.Close()
		return
	}
	newConn(s, c, open > limit).serve(ctx)
}
