package mqtt

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/mqtt/packet"
	"github.com/hubtwin/hubtwin/presence"
)

// Direct methods (device-protocol section 4). The hub calls, so here it is the
// hub that makes up request ids, and the device that answers:
//
//	back end ──Invoke──▶ parked under rid ──$iothub/methods/POST/{name}/?$rid={rid}──▶ device
//	back end ◀─answered─ taken out        ◀─$iothub/methods/res/{status}/?$rid={rid}── device
//
// Whoever takes a call out of the table tells its caller: the answer, or the end
// of the connection. A caller who no longer waits takes it out himself. So an
// answer that is late, or nobody's, finds nothing and is ignored.

// methods are the calls under way, and whether there may be more. The lock of the
// output guards it.
type methods struct {
	// reach and filters say what subscriptions in force cover.
	reach   reach
	filters []string
	parked  map[string]func(presence.MethodAnswer, error) // by rid; at most presence.MaxMethods
	rid     uint32                                        // the last one
}

// parkLocked keeps answered under a new rid. Ids begin anywhere, so that an
// answer meant for an earlier connection does not meet a call of this one.
func (m *methods) parkLocked(answered func(presence.MethodAnswer, error)) string {
	if m.parked == nil {
		m.parked = map[string]func(presence.MethodAnswer, error){}
		m.rid = rand.Uint32()
	}
	m.rid++
	rid := strconv.FormatUint(uint64(m.rid), 16)
	m.parked[rid] = answered
	return rid
}

// Invoke is part of presence.Device. Requests have QoS 0 whatever was granted
// (device-protocol R4). Unlike a notification, a call may be refused: so if the
// device does not read, the call fails, and not the connection.
func (c *conn) Invoke(call presence.MethodCall, answered func(presence.MethodAnswer, error)) (withdraw func(), err error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	m := &c.methods
	switch {
	case c.out.ended != nil || !m.covers(call.Name):
		return nil, fault.New(fault.DeviceNotOnline, "The operation failed because the requested device isn't online: %q has not subscribed to the method", c.id)
	case len(m.parked) >= presence.MaxMethods:
		return nil, fault.New(fault.MaximumInflightMethodExceeded, "%d direct methods of %q are under way, which is the limit", presence.MaxMethods, c.id)
	case c.out.waiting()+len(call.Payload) > overflow:
		return nil, fault.New(fault.MaximumInflightMethodExceeded, "%q does not read: %d bytes wait for it", c.id, c.out.waiting())
	}
	rid := m.parkLocked(answered)
	c.out.appendLocked(func(dst []byte) []byte {
		dst, _ = packet.AppendPublish(dst, packet.PublishHeader(0, false, false), 0, call.Payload, topicMethodCall, call.Name, "/?$rid=", rid)
		return dst
	})
	return func() { c.unpark(rid) }, nil
}

// covers tells whether the device has subscribed to the topics of a method.
func (m *methods) covers(name string) bool {
	// A rid is not known yet, and who subscribes to one gets nothing.
	return m.reach == everything || m.reach == some && matchesAny(m.filters, topicMethodCall+name+"/?$rid=")
}

// unpark takes a call out of the table, and gives nil if it is not there.
func (c *conn) unpark(rid string) func(presence.MethodAnswer, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	answered := c.methods.parked[rid]
	delete(c.methods.parked, rid)
	return answered
}

// methodResult hands on an answer to a call; rest is the topic behind its prefix.
// What can't be one is ignored.
func (c *conn) methodResult(p packet.Publish, rest string) error {
	if status, rid, ok := parseMethodResult(rest); ok {
		if answered := c.unpark(rid); answered != nil {
			answered(presence.MethodAnswer{Status: status, Payload: bytes.Clone(p.Payload)}, nil)
		}
	}
	return c.puback(p)
}

// parseMethodResult reads {status}/?$rid={rid}.
func parseMethodResult(rest string) (status int, rid string, ok bool) {
	number, query, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, "", false
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return 0, "", false
	}
	r, ok := parseRequest(query)
	return int(n), r.rid, ok && r.hasRid
}

// openMethods brings what subscriptions say into force. It is called behind the
// SUBACK or UNSUBACK, which waits for the disk, so that no call overtakes it.
func (c *conn) openMethods(reach reach, filters []string) {
	c.out.mu.Lock()
	c.methods.reach, c.methods.filters = reach, filters
	c.out.mu.Unlock()
	if reach != nothing {
		c.hub.Use()
	}
	c.hub.WakeCallers()
}

// endMethods tells all callers that the connection has ended. There are no more
// calls from then on.
func (c *conn) endMethods() {
	c.out.mu.Lock()
	parked := c.methods.parked
	c.methods.parked = nil
	c.out.mu.Unlock()
	for _, answered := range parked {
		answered(presence.MethodAnswer{}, fault.New(fault.DeviceConnectionClosedRemotely, "the connection of %q ended before it answered", c.id))
	}
}
