package mqtt

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// maxConnectBody bounds the packet of somebody who has not proved who they are,
// in bytes. A CONNECT without a will has less than 5 KB; the rest is for one.
const maxConnectBody = 16 << 10

// will is the message that a device left for the case that it is cut off.

// admit takes the connection from its first byte to the CONNACK. It gives the
// reason if the device is not let in; the answer to it is written then.
func (c *conn) admit(ctx context.Context) error {
	if t, ok := c.out.net.(*tls.Conn); ok {
		if err := t.Handshake(); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
	}
	p, err := c.readConnect()
	switch {
	case errors.Is(err, packet.ErrUnsupportedLevel):
		c.refuse(func(dst []byte) []byte { return packet.AppendUnsupportedLevel(dst, p.Level) })
		return fault.New(fault.InvalidProtocolVersion, "%w: level %d", err, p.Level)
	case err != nil:
		return err // [MQTT-3.1.4-1]: no CONNACK
	}
	if err := c.connect(ctx, p); err != nil {
		c.will = nil // Who was never connected is not cut off.
		f := fault.Of(err)
		c.refuse(func(dst []byte) []byte { return packet.AppendConnack(dst, false, connackCode(f)) })
		return f
	}
	return nil
}

// readConnect waits for a whole CONNECT. What it returns are views into the
// input, which has not skipped the packet yet.
func (c *conn) readConnect() (packet.Connect, error) {
	for {
		h, body, n, err := packet.Next(c.in.waiting(), maxConnectBody)
		switch {
		case err == packet.ErrIncomplete:
			if err := c.in.read(c.out.net); err != nil {
				return packet.Connect{}, err
			}
		case err != nil:
			return packet.Connect{}, broken(err)
		case h.Type() != packet.TypeConnect: // [MQTT-3.1.0-1]
			return packet.Connect{}, refused("the first packet is %s, not CONNECT", h.Type())
		default:
			p, err := packet.DecodeConnect(body)
			c.in.skip(n)
			if err != nil && !errors.Is(err, packet.ErrUnsupportedLevel) {
				err = broken(err)
			}
			return p, err
		}
	}
}

// connackCode is what a device is told. 5 ends the attempts of most SDKs for
// good, so it is for credentials that were found bad; where they could not be
// checked it is 3 (device-protocol R8).
func connackCode(f *fault.Error) packet.ConnackCode {
	if status := f.Code.Status(); status >= 500 || status == 429 {
		return packet.RefusedUnavailable
	}
	return packet.RefusedNotAuthorized
}

// connect decides on a CONNECT, and writes the CONNACK if the device is let in.
func (c *conn) connect(ctx context.Context, p packet.Connect) error {
	clientID := string(p.ClientID)
	id, err := parseIdentity(clientID)
	if err != nil {
		return err
	}
	c.id = id
	if c.overfull {
		return fault.New(fault.ServerBusy, "the hub has %d connections, which is its limit", c.server.config.MaxConnections)
	}
	name, err := parseUsername(string(p.Username), clientID)
	if err != nil {
		return err
	}
	if !c.server.config.Verifier.Serves(name.host) {
		return fault.New(fault.IotHubUnauthorized, "the user name begins with %.100q, which is not a name of this hub", name.host)
	}
	if err := c.acceptWill(p); err != nil {
		return err
	}
	credentials := auth.Credentials{Token: string(p.Password), Chain: chainOf(c.out.net)}
	who, err := c.server.config.Verifier.Device(ctx, id, credentials, time.Now())
	if err != nil {
		return err
	}
	if err := c.disturbConnect(); err != nil {
		return err
	}
	c.rules = rulesOf(name.version)
	return c.enter(ctx, who, p, name.modelID)
}

// chainOf is what the client brought to the TLS handshake, if there was one: below
// a WebSocket, too.
func chainOf(c net.Conn) *auth.Chain {
	t, ok := c.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	return auth.NewChain(t.ConnectionState().PeerCertificates)
}

// acceptWill keeps the will, which must be for the device's own events topic.
func (c *conn) acceptWill(p packet.Connect) error {
	if !p.HasWill {
		return nil
	}
	bag, ok := eventsTopic(c.id, string(p.Will.Topic))
	if !ok {
		return fault.New(fault.IotHubUnauthorized, "the will is for %.100q, which is not the device's events topic", p.Will.Topic)
	}
	m, err := telemetry(bag, p.Will.Payload, p.Will.Retain)
	if err != nil {
		return err
	}
	m.Set("iothub-MessageType", "Will")
	m.Body = bytes.Clone(m.Body)
	c.will = &m
	return nil
}

// enter takes the device into the hub. From then on it may be told of changes,
// which wait at the gate until the CONNACK is on its way.
func (c *conn) enter(ctx context.Context, who auth.Principal, p packet.Connect, modelID string) error {
	c.out.mu.Lock()
	c.gate.hold()
	c.out.mu.Unlock()
	h, err := c.server.config.Hub.Connect(ctx, who, c, p.CleanSession, modelID)
	if err != nil {
		return err
	}
	c.hub = h
	c.subscriptions.messages = deviceboundPrefix(c.id) + "+"
	c.subscriptions.add(h.Subscriptions)
	c.connected(silence(p.KeepAlive), who.Expires)
	c.out.append(func(dst []byte) []byte { return packet.AppendConnack(dst, h.Resumed, packet.Accepted) })
	c.openGate(h.Position)
	// What earlier sessions have subscribed to counts (device-protocol R1).
	c.openMethods(c.subscriptions.methods, c.subscriptions.filters)
	c.openInbox(c.subscriptions.devicebound)
	c.server.config.Log.Debug("MQTT connection begins", slog.String("device", c.id.String()),
		slog.Bool("resumed", h.Resumed), slog.String("model", modelID))
	return nil
}

// refuse writes a last packet before the connection ends.
func (c *conn) refuse(f func(dst []byte) []byte) {
	c.out.hold()
	c.out.append(f)
	c.out.flush()
	c.linger()
}

// What is read after a refusal, so as not to lose it.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// linger reads on for a moment: a socket that is closed with unread bytes is
// reset, and the reset may overtake the CONNACK.
func (c *conn) linger() {
	c.out.mu.Lock()
	ended := c.out.ended != nil
	if !ended {
		c.out.net.SetReadDeadline(time.Now().Add(lingerTime))
	}
	c.out.mu.Unlock()
	if ended {
		return
	}
	if w, ok := c.out.net.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	io.Copy(io.Discard, io.LimitReader(c.out.net, lingerBytes))
}
