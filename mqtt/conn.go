package mqtt

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/mqtt/packet"
	"github.com/hubtwin/hubtwin/twin"
)

// maxBody bounds a packet once connected, in bytes: a payload and a topic of the
// greatest size, and the fields around them (device-protocol 1.10).
const (
	maxPayload = 256 << 10
	maxBody    = maxPayload + 65_535 + 4
)

// conn is one connection. Fields without another remark belong to the reading
// goroutine; before that one starts, to the admitting one.
type conn struct {
	server   *Server
	overfull bool // refuse whoever it is
	since    time.Time
	in       input
	out      output
	gate     gate    // guarded by out.mu
	methods  methods // guarded by out.mu
	inbox    inbox   // likewise

	// Set by admission.
	id            device.ID
	hub           *hub.Connection
	rules         twin.Rules
	subscriptions subscriptions
	will          *message.Message // nil if there is none to be sent

	// The deadlines; see deadline.go.
	timer     *time.Timer   // guarded by out.mu
	kill      *time.Timer   // of a fault that the device has ordered; guarded by out.mu
	keepAlive time.Duration // guarded by out.mu; 0 before CONNECT
	expires   time.Time     // guarded by out.mu
	idle      atomic.Int64  // since when: nanoseconds after since, and one more; 0: not idle
}

func newConn(s *Server, nc net.Conn, overfull bool) *conn {
	c := &conn{server: s, overfull: overfull, since: time.Now()}
	c.out.net, c.out.timeout = nc, s.config.WriteTimeout
	c.out.changed.L = &c.out.mu
	return c
}

// The ends of a connection that are nobody's failure.
var (
	errDisconnect = errors.New("the device sent DISCONNECT")
	errShutdown   = fault.New(fault.ServiceUnavailable, "the hub is shutting down")
)

// serve runs the connection from its first byte to its last.
func (c *conn) serve(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { c.out.end(errShutdown) })()
	c.startTimer()
	// The goroutine is thrown away, and with it the stack that handshakes and
	// signatures have grown.
	var admission sync.WaitGroup
	admission.Go(func() {
		if err := c.admit(ctx); err != nil {
			c.out.end(err)
		}
	})
	admission.Wait()
	if c.out.reason() == nil {
		c.out.end(c.loop())
	}
	c.finish()
}

// loop reads packets and acts on them until the connection ends.
func (c *conn) loop() error {
	for {
		c.out.hold()
		err := c.packets()
		c.out.flush()
		if err != nil {
			return err
		}
		c.rest()
		if err := c.in.read(c.out.net); err != nil {
			return err
		}
	}
}

// packets acts on all whole packets that were read.
func (c *conn) packets() error {
	for {
		h, body, n, err := packet.Next(c.in.waiting(), maxBody)
		if err == packet.ErrIncomplete {
			return nil
		}
		if err != nil {
			return broken(err)
		}
		c.busy()
		if err := c.handle(h, body); err != nil {
			return err
		}
		c.in.skip(n)
	}
}

// handle acts on one packet. Its error ends the connection, without an answer:
// MQTT 3.1.1 has none to give.
func (c *conn) handle(h packet.Header, body []byte) error {
	if c.server.config.Faults != nil {
		if done, err := c.disturb(h, body); done || err != nil {
			return err
		}
	}
	switch h.Type() {
	case packet.TypePublish:
		return c.publish(h, body)
	case packet.TypeSubscribe:
		return c.subscribe(body)
	case packet.TypeUnsubscribe:
		return c.unsubscribe(body)
	case packet.TypePuback:
		return c.acknowledged(body)
	case packet.TypePingreq:
		return c.answer(packet.AppendPingresp)
	case packet.TypeDisconnect:
		c.will = nil // [MQTT-3.14.4-3]
		return errDisconnect
	case packet.TypeConnect:
		return refused("a second CONNECT") // [MQTT-3.1.0-2]
	}
	return refused("%s is not for a device to send here", h.Type())
}

// answer appends an answer that needs nothing from the hub, behind those to
// earlier packets.
func (c *conn) answer(f func(dst []byte) []byte) error {
	if err := c.out.begin(1); err != nil {
		return err
	}
	c.hub.InOrder(func() { c.out.done(1, f) })
	return nil
}

// refused is a packet that the hub does not take.
func refused(format string, args ...any) error {
	return fault.New(fault.InvalidOperation, format, args...)
}

// broken gives the codec's errors their codes; nil stays nil.
func broken(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, packet.ErrTooLarge):
		return fault.New(fault.MessageTooLarge, "%w", err)
	}
	return fault.New(fault.IotHubFormatError, "%w", err)
}

// Close is part of presence.Device.
func (c *conn) Close(reason error) { c.out.end(reason) }

// finish takes the ended connection apart.
func (c *conn) finish() {
	c.stopTimer()
	c.endMethods()
	c.closeInbox()
	if c.hub != nil {
		if c.will != nil {
			c.hub.Will(*c.will)
		}
		c.hub.Close()
	}
	c.out.close()
	c.in.free()
	c.logEnd(c.out.reason())
}

// logEnd tells why the connection has ended. That a device leaves, or drops off
// the network, is everyday; what the hub ends is worth a line.
func (c *conn) logEnd(reason error) {
	level := slog.LevelInfo
	var e *fault.Error
	if !errors.As(reason, &e) {
		level = slog.LevelDebug
	}
	ctx := context.Background()
	log := c.server.config.Log
	if log.Enabled(ctx, level) {
		log.LogAttrs(ctx, level, "MQTT connection ended", c.attrs(reason, e)...)
	}
}

func (c *conn) attrs(reason error, e *fault.Error) []slog.Attr {
	attrs := []slog.Attr{slog.String("device", c.id.Device)}
	if c.id.IsModule() {
		attrs = append(attrs, slog.String("module", c.id.Module))
	}
	if a := c.out.net.RemoteAddr(); a != nil {
		attrs = append(attrs, slog.String("conn", a.String()))
	}
	if errors.Is(reason, io.EOF) {
		reason = errors.New("the device closed the socket")
	}
	attrs = append(attrs, slog.Any("reason", reason))
	if e == nil {
		return attrs
	}
	attrs = append(attrs, slog.Int("code", int(e.Code)), slog.String("name", e.Code.Name()))
	if cause := errors.Unwrap(e); cause != nil {
		attrs = append(attrs, slog.Any("cause", cause))
	}
	return attrs
}
