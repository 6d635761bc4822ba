package mqtt

import (
	"log/slog"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/injection"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// Faults on purpose (package injection). A hub without them pays for the
// comparison with nil.

// disturb lets a packet meet the faults. done says that nothing remains to be
// done with it; an error ends the connection.
func (c *conn) disturb(h packet.Header, body []byte) (done bool, err error) {
	if h.Type() == packet.TypeDisconnect {
		return false, nil
	}
	var p packet.Publish
	o := injection.Packet
	if h.Type() == packet.TypePublish {
		if p, err = packet.DecodePublish(h, body); err != nil {
			return false, broken(err)
		}
		o = c.operation(string(p.Topic))
	}
	switch hit := c.server.config.Faults.Meet(o, c.id, ""); hit.Effect {
	case injection.Drop:
		return true, nil
	case injection.Delay:
		return false, c.out.pause(hit.Delay)
	case injection.Fail:
		return true, c.failed(o, p, hit.Err())
	}
	return false, nil
}

// operation is what a PUBLISH asks for.
func (c *conn) operation(topic string) injection.Operation {
	switch {
	case strings.HasPrefix(topic, topicReported):
		return injection.Report
	case strings.HasPrefix(topic, topicTwinGet):
		return injection.Twin
	}
	if _, ok := eventsTopic(c.id, topic); ok {
		return injection.Telemetry
	}
	return injection.Packet
}

// failed answers a request with a failure, or ends the connection if MQTT has no
// answer that says so.
func (c *conn) failed(o injection.Operation, p packet.Publish, failure error) error {
	if o == injection.Telemetry {
		return failure
	}
	_, query, _ := strings.Cut(string(p.Topic), "?")
	r, _ := parseRequest("?" + query)
	calls := 1
	if o == injection.Twin {
		calls = twinCall
	}
	if err := c.out.begin(calls); err != nil {
		return err
	}
	response := c.respondTo(p, r, calls)
	c.hub.InOrder(func() {
		if o == injection.Twin {
			response.failLater(failure)
			return
		}
		response.fail(failure)
	})
	return nil
}

// disturbConnect lets a CONNECT with good credentials meet the faults.
func (c *conn) disturbConnect() error {
	switch hit := c.server.config.Faults.Meet(injection.Connect, c.id, ""); hit.Effect {
	case injection.Drop:
		return c.ignore()
	case injection.Delay:
		return c.out.pause(hit.Delay)
	case injection.Fail:
		return hit.Err()
	}
	return nil
}

// ignore reads and answers nothing, until the device gives up or the time for its
// CONNECT is over.
func (c *conn) ignore() error {
	for {
		c.in.skip(len(c.in.waiting()))
		if err := c.in.read(c.out.net); err != nil {
			return fault.New(fault.ServiceUnavailable, "the CONNECT was not answered, as was asked for")
		}
	}
}

// pause lets the reading goroutine wait. It gives the reason if the connection
// ends meanwhile.
func (o *output) pause(d time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	until := time.Now().Add(d)
	timer := time.AfterFunc(d, func() {
		o.mu.Lock()
		o.changed.Broadcast()
		o.mu.Unlock()
	})
	defer timer.Stop()
	for o.ended == nil && time.Now().Before(until) {
		o.waitLocked()
	}
	return o.ended
}

// soonest is the least time after which a connection is closed on order: the
// acknowledgement of the order is to arrive, or the device sends it again.
const soonest = 100 * time.Millisecond

// order carries out a fault that the device has ordered for itself (FLT-01). It
// tells whether the message was an order, which is then not telemetry.
func (c *conn) order(m *message.Message) bool {
	if _, ok := m.Property(injection.PropertyType); !ok {
		return false
	}
	o, ok := injection.ParseOrder(c.id.Device, func(name string) string {
		p, _ := m.Property(name)
		return p.Value
	})
	if !ok {
		return false
	}
	c.server.config.Log.Warn("a device orders a fault", slog.String("device", c.id.String()),
		slog.Duration("after", o.Delay), slog.String("reason", o.Reason))
	c.server.config.Faults.Carry(o)
	if o.Close {
		c.closeAfter(max(o.Delay, soonest), o.Abruptly)
	}
	return true
}

// closeAfter closes the connection after a time; abruptly is without the goodbye
// of TLS. The first such order counts.
func (c *conn) closeAfter(d time.Duration, abruptly bool) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.kill != nil {
		return
	}
	c.kill = time.AfterFunc(d, func() {
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		c.out.broken = c.out.broken || abruptly
		c.out.endLocked(fault.New(fault.DeviceConnectionClosedRemotely, "the device has ordered the end of its connection"))
	})
}
