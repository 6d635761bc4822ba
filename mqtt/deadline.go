package mqtt

import (
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// A connection has one timer for all it may be late with: its CONNECT, then its
// next packet, and the renewal of its token. Packets don't touch the timer, they
// leave their time. When the timer fires it looks whether that is late, and
// sets itself to when it next could be. (Read deadlines would do for TCP and TLS,
// but a WebSocket whose read deadline has passed can't be read any more.)

// The keep-alive (device-protocol 1.3): the hub waits one and a half times what
// the device says [MQTT-3.1.2-24], but no longer than longestSilence, which is
// also what it waits if the device says 0.
const (
	longestKeepAlive = 1177 // seconds
	longestSilence   = 1767 * time.Second
)

func silence(keepAlive uint16) time.Duration {
	if keepAlive == 0 || keepAlive > longestKeepAlive {
		return longestSilence
	}
	return time.Duration(keepAlive) * 1500 * time.Millisecond
}

func (c *conn) startTimer() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.timer = time.AfterFunc(c.server.config.ConnectTimeout, c.lookAtClock)
}

func (c *conn) stopTimer() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.timer.Stop()
	if c.kill != nil {
		c.kill.Stop()
	}
}

// connected starts keep-alive and expiry.
func (c *conn) connected(keepAlive time.Duration, expires time.Time) {
	c.rest()
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.keepAlive, c.expires = keepAlive, expires
	if at, _ := c.nextDeadline(); c.out.ended == nil {
		c.timer.Reset(time.Until(at))
	}
}

// busy says that the device sent a packet, and is not idle while it is worked
// on: what the hub makes it wait for is not its silence.
func (c *conn) busy() { c.idle.Store(0) }

// rest says that all packets are worked off.
func (c *conn) rest() {
	if c.idle.Load() != 0 {
		return // Some bytes of a packet are not a packet.
	}
	now := time.Now()
	c.idle.Store(int64(now.Sub(c.since)) + 1)
	if c.hub != nil {
		c.hub.Touch(now)
	}
}

// lookAtClock is called by the timer.
func (c *conn) lookAtClock() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.ended != nil {
		return
	}
	at, late := c.nextDeadline()
	if wait := time.Until(at); wait > 0 {
		c.timer.Reset(wait)
		return
	}
	c.out.endLocked(late)
}

// nextDeadline is the time at which the connection is late, if nothing happens
// until then, and what it is late with. The caller holds out.mu.
func (c *conn) nextDeadline() (time.Time, error) {
	if c.keepAlive == 0 {
		return c.since.Add(c.server.config.ConnectTimeout),
			fault.New(fault.DeviceConnectionClosedRemotely, "no CONNECT within %s", c.server.config.ConnectTimeout)
	}
	last := time.Now()
	if idle := c.idle.Load(); idle != 0 {
		last = c.since.Add(time.Duration(idle - 1))
	}
	at := last.Add(c.keepAlive)
	if end := c.expires.Add(c.server.config.ExpiryGrace); end.Before(at) {
		return end, fault.New(fault.IotHubUnauthorized, "the credentials expired at %s", c.expires.Format(time.RFC3339))
	}
	return at, fault.New(fault.DeviceConnectionClosedRemotely, "no packet within %s", c.keepAlive)
}
