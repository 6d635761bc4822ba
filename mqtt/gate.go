package mqtt

import (
	"strconv"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/mqtt/packet"
	"github.com/hubtwin/hubtwin/presence"
)

// gate is where notifications of desired properties come in.
//
//	shut ──SUBSCRIBE, CONNECT──▶ holding ──position known──▶ open
//	 ▲                              │                         │
//	 └──── not subscribed ──────────┴────── UNSUBSCRIBE ──────┘
//
// A device hears of the changes after some position, which the hub tells while
// they already come in: until then they are held. It hears of none while the gate
// is shut. All of it is guarded by the lock of the output.
type gate struct {
	mode      gateMode
	since     uint64   // positions after it pass
	filters   []string // one must match the topic; nil: all do
	held      []presence.DesiredChange
	bytes     int   // of held
	announced int64 // the version of the last notification sent
}

type gateMode byte

const (
	shut gateMode = iota
	holding
	open
)

func (g *gate) hold() {
	if g.mode == shut {
		g.mode = holding
	}
}

// Desired is part of presence.Device.
func (c *conn) Desired(change presence.DesiredChange) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	switch g := &c.gate; g.mode {
	case holding:
		g.held = append(g.held, change)
		g.bytes += len(change.Patch)
		c.checkOverflow(g.bytes)
	case open:
		c.announce(change)
	}
}

// announce appends a notification, if it may pass.
func (c *conn) announce(change presence.DesiredChange) {
	g := &c.gate
	if change.Position <= g.since {
		return
	}
	query := "?$version=" + strconv.FormatInt(change.Version, 10)
	if g.filters != nil && !matchesAny(g.filters, topicDesired+query) {
		return
	}
	g.announced = change.Version
	c.out.appendLocked(func(dst []byte) []byte {
		dst, _ = packet.AppendPublish(dst, packet.PublishHeader(0, false, false), 0, change.Patch, topicDesired, query)
		return dst
	})
	c.checkOverflow(c.out.waiting())
}

// checkOverflow ends the connection of a client that does not read.
func (c *conn) checkOverflow(bytes int) {
	if bytes > overflow {
		c.out.endLocked(fault.New(fault.DeviceConnectionClosedRemotely, "the device does not read: %d bytes of notifications wait", bytes))
	}
}

// holdGate prepares for openGate, if the subscriptions want notifications.
func (c *conn) holdGate() {
	if c.subscriptions.desired == nothing {
		return
	}
	c.out.mu.Lock()
	c.gate.hold()
	c.out.mu.Unlock()
}

// openGate makes the gate what the subscriptions say. A gate that was held lets
// pass what was committed after since.
func (c *conn) openGate(since uint64) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	g := &c.gate
	held := g.held
	g.held, g.bytes, g.filters = nil, 0, nil
	switch c.subscriptions.desired {
	case nothing:
		g.mode = shut
		return
	case some:
		g.filters = c.subscriptions.filters
	}
	if g.mode == holding {
		g.mode, g.since = open, since
	}
	for _, change := range held {
		c.announce(change)
	}
}
