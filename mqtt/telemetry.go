package mqtt

import (
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// telemetryBytes is the payload for which a message counts as one more of the
// calls that are outstanding: it waits in memory until it is on the disk.
const telemetryBytes = 16 << 10

// send takes telemetry. QoS 1 is acknowledged when it is durable; what can't be
// taken ends the connection, as nothing else would tell the device
// (device-protocol 2.3 and 2.5).
func (c *conn) send(h packet.Header, p packet.Publish, bag string) error {
	m, err := telemetry(bag, p.Payload, h.Retain())
	if err != nil {
		return err
	}
	if h.Dup() {
		m.Set("mqtt-dup", "true")
	}
	if n := m.Size(); n > message.MaxD2C {
		return fault.New(fault.MessageTooLarge, "telemetry of %d bytes with its properties, %d may be", n, message.MaxD2C)
	}
	if c.server.config.Faults != nil && c.order(&m) {
		return c.puback(p)
	}
	calls := 1 + len(p.Payload)/telemetryBytes
	if err := c.out.begin(calls); err != nil {
		return err
	}
	ack := p.ID
	c.hub.Send(m, func(err error) {
		if err != nil {
			c.out.end(fault.Of(err))
		}
		c.out.done(calls, func(dst []byte) []byte {
			if ack == 0 {
				return dst
			}
			return packet.AppendPuback(dst, ack)
		})
	})
	return nil
}

// telemetry makes a message of a PUBLISH or a will. Its body is payload itself.
func telemetry(bag string, payload []byte, retain bool) (m message.Message, err error) {
	if err := m.ParseBag(bag); err != nil {
		return m, err
	}
	m.Body = payload
	if retain { // nothing is retained here (device-protocol 2.4)
		m.Set("mqtt-retain", "true")
	}
	return m, nil
}
