package mqtt

import (
	"log/slog"
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// Cloud-to-device messages (device-protocol section 3). They wait in the hub's
// queue until the device has subscribed and there is room in the window:
//
//	Wake ──▶ courier: Receive from the hub ──▶ PUBLISH ──▶ window ──PUBACK──▶ Complete
//
// The courier is a goroutine that lives while there is something to deliver. With
// QoS 0 there is no PUBACK: a message is complete when it is written. What is in
// the window when the connection ends goes back to the queue.
const maxWindow = 16 // messages

// inbox is what is on its way to the device. The lock of the output guards it.
type inbox struct {
	open   bool // the device has subscribed, and knows it
	qos    byte // that was granted
	awake  bool // there may be messages
	atWork bool // there is a courier
	window []inFlight
	packet uint16      // the packet id used last
	retry  *time.Timer // for messages that others have in hand; or nil
}

// inFlight is a message that was sent and is not acknowledged.
type inFlight struct {
	packet   uint16
	sequence uint64
}

// Wake is part of presence.Device.
func (c *conn) Wake() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.wakeLocked()
}

func (c *conn) wakeLocked() {
	b := &c.inbox
	b.awake = true
	if !b.atWork && c.mayDeliverLocked() {
		b.atWork = true
		go c.deliver()
	}
}

func (c *conn) mayDeliverLocked() bool {
	b := &c.inbox
	return c.out.ended == nil && b.open && b.awake && len(b.window) < maxWindow
}

// openInbox brings what subscriptions say into force. It is called behind the
// SUBACK or UNSUBACK, which waits for the disk: no message comes before that.
func (c *conn) openInbox(g grant) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.inbox.open, c.inbox.qos = g.granted, g.qos
	c.wakeLocked()
}

// deliver is the courier.
func (c *conn) deliver() {
	for {
		qos, ok := c.nextTrip()
		if !ok {
			return
		}
		d, again, err := c.hub.Receive(qos > 0)
		switch {
		case err != nil:
			// The hub ends connections that have lost their right; any other
			// failure is one of the disk.
			c.out.end(fault.Of(err))
		case d != nil:
			c.carry(d, qos)
		case !again.IsZero():
			c.retryAt(again)
		}
	}
}

// nextTrip waits until the device has read enough to take another message. Ok is
// false if there is nothing to deliver: the courier has ended then.
func (c *conn) nextTrip() (qos byte, ok bool) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	for c.mayDeliverLocked() && c.out.waiting() > highWater {
		c.out.changed.Wait()
	}
	b := &c.inbox
	if !c.mayDeliverLocked() {
		b.atWork = false
		c.out.changed.Broadcast()
		return 0, false
	}
	// Who comes with a message while the courier looks wakes it again.
	b.awake = false
	return b.qos, true
}

// carry sends a message.
func (c *conn) carry(d *hub.Delivery, qos byte) {
	topic := c.deviceboundTopic(d)
	o, b := &c.out, &c.inbox
	o.mu.Lock()
	defer o.mu.Unlock()
	b.awake = true
	if !b.open || o.ended != nil {
		c.hub.Release(d.Entry.Sequence)
		return
	}
	var id uint16
	if qos > 0 {
		id = b.freePacket()
	}
	var err error
	o.appendLocked(func(dst []byte) []byte {
		dst, err = packet.AppendPublish(dst, packet.PublishHeader(qos, qos > 0 && d.Entry.Delivered, false), id, d.Message.Body, topic)
		return dst
	})
	switch {
	case err != nil:
		// It stays with this connection, so that it is not tried over and over,
		// and in the queue, for transports whose properties have more room.
		c.server.config.Log.Warn("a message does not fit in an MQTT topic", slog.String("device", c.id.String()),
			slog.Uint64("sequence", d.Entry.Sequence), slog.Any("error", err))
	case qos > 0:
		b.window = append(b.window, inFlight{id, d.Entry.Sequence})
	default:
		c.awaitWritten()
		if o.ended == nil {
			o.mu.Unlock()
			c.hub.Complete(d.Entry.Sequence, c.completed)
			o.mu.Lock()
		}
	}
}

// awaitWritten waits until all that was appended is with the socket, or the
// connection has ended.
func (c *conn) awaitWritten() {
	o := &c.out
	for mark := o.written + uint64(o.waiting()); o.written < mark && o.ended == nil; {
		o.changed.Wait()
	}
}

// freePacket gives a packet id that nothing in the window has [MQTT-2.3.1-4].
func (b *inbox) freePacket() uint16 {
	for {
		b.packet++
		if b.packet != 0 && !slices.ContainsFunc(b.window, func(m inFlight) bool { return m.packet == b.packet }) {
			return b.packet
		}
	}
}

// deviceboundTopic is the topic of a message, with its property bag.
func (c *conn) deviceboundTopic(d *hub.Delivery) string {
	b := append(make([]byte, 0, 256), deviceboundPrefix(c.id)...)
	return string(d.Message.AppendBag(b))
}

// acknowledged acts on a PUBACK. One that nothing waits for is ignored: it is late.
func (c *conn) acknowledged(body []byte) error {
	id, err := packet.DecodeAck(body)
	if err != nil {
		return broken(err)
	}
	c.out.mu.Lock()
	b := &c.inbox
	i := slices.IndexFunc(b.window, func(m inFlight) bool { return m.packet == id })
	if i < 0 {
		c.out.mu.Unlock()
		return nil
	}
	sequence := b.window[i].sequence
	b.window = slices.Delete(b.window, i, i+1)
	c.wakeLocked()
	c.out.mu.Unlock()
	if err := c.out.begin(1); err != nil {
		return err
	}
	c.hub.Complete(sequence, func(err error) {
		c.completed(err)
		c.out.done(1, func(dst []byte) []byte { return dst })
	})
	return nil
}

// completed ends a connection whose acknowledgement could not be noted: the device
// gets the message again.
func (c *conn) completed(err error) {
	if err != nil {
		c.out.end(fault.New(fault.ServiceUnavailable, "a message was not completed: %w", err))
	}
}

// retryAt wakes the courier when a message that others have in hand may be free.
func (c *conn) retryAt(at time.Time) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	b := &c.inbox
	if c.out.ended != nil {
		return
	}
	wait := max(time.Until(at), time.Second)
	if b.retry == nil {
		b.retry = time.AfterFunc(wait, c.Wake)
		return
	}
	b.retry.Reset(wait)
}

// closeInbox waits for the courier. The connection has ended.
func (c *conn) closeInbox() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	b := &c.inbox
	for b.atWork {
		c.out.changed.Wait()
	}
	if b.retry != nil {
		b.retry.Stop()
	}
}
