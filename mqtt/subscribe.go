package mqtt

import (
	"slices"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// maxFilter bounds a topic filter, in bytes. The longest that an SDK uses names
// a device and a module of 128 characters each.
const maxFilter = 512

// reach says how much of a kind of topics the subscriptions cover.
type reach byte

const (
	nothing reach = iota
	some          // it depends on the topic
	everything
)

// subscriptions are the filters of a connection, and what they mean for the
// topics that are sent most.
type subscriptions struct {
	// filters is replaced, never changed, so others may keep it.
	filters   []string
	granted   []byte // the QoS of each
	responses reach
	desired   reach
	methods   reach
	// devicebound is what was granted for messages: only filters that cover all
	// their topics count, for nobody knows the properties before.
	devicebound grant
	messages    string // those topics, as a filter
}

// grant says whether a device takes messages, and with which QoS.
type grant struct {
	granted bool
	qos     byte // the highest that was granted [MQTT-3.3.5-1]
}

func (s *subscriptions) add(subs []hub.Subscription) {
	next, granted := slices.Clone(s.filters), s.granted
	for _, sub := range subs {
		if i := slices.Index(next, sub.Filter); i >= 0 {
			granted[i] = sub.QoS // [MQTT-3.8.4-3]
			continue
		}
		next, granted = append(next, sub.Filter), append(granted, sub.QoS)
	}
	s.set(next, granted)
}

func (s *subscriptions) remove(filters []string) {
	var next []string
	var granted []byte
	for i, f := range s.filters {
		if !slices.Contains(filters, f) {
			next, granted = append(next, f), append(granted, s.granted[i])
		}
	}
	s.set(next, granted)
}

func (s *subscriptions) set(filters []string, granted []byte) {
	s.filters, s.granted = filters, granted
	s.responses, s.desired, s.methods, s.devicebound = nothing, nothing, nothing, grant{}
	for i, f := range filters {
		if packet.Matches(f, s.messages) {
			s.devicebound = grant{true, max(s.devicebound.qos, granted[i])}
		}
		s.responses = max(s.responses, reachOf(f, twinResponses))
		s.desired = max(s.desired, reachOf(f, desiredTopics))
		s.methods = max(s.methods, reachOf(f, methodTopics))
	}
}

func reachOf(filter, sent string) reach {
	switch {
	// A wildcard level of sent is, for this question, a level like any other: only
	// a wildcard matches it.
	case packet.Matches(filter, sent):
		return everything
	case intersect(filter, sent):
		return some
	}
	return nothing
}

// matchesAny tells whether one of the filters matches the topic.
func matchesAny(filters []string, topic string) bool {
	return slices.ContainsFunc(filters, func(f string) bool { return packet.Matches(f, topic) })
}

// subscribe grants all filters of a SUBSCRIBE, or ends the connection, as the
// hub does when one of them is not the device's (device-protocol 9.1).
func (c *conn) subscribe(body []byte) error {
	id, asked, err := packet.DecodeSubscribe(body)
	if err != nil {
		return broken(err)
	}
	subs := make([]hub.Subscription, len(asked))
	codes := make([]byte, len(asked))
	for i, a := range asked {
		filter := string(a.Filter)
		if len(filter) > maxFilter || !mayReceive(c.id, filter) {
			return fault.New(fault.IotHubUnauthorizedAccess, "SUBSCRIBE to %.200q, which matches no topic of this identity", filter)
		}
		codes[i] = min(a.QoS, 1) // there is no QoS 2 here (device-protocol 1.10)
		subs[i] = hub.Subscription{Filter: filter, QoS: codes[i]}
	}
	if err := c.out.begin(1); err != nil {
		return err
	}
	c.subscriptions.add(subs)
	if n := len(c.subscriptions.filters); n > hub.MaxSubscriptions {
		return fault.New(fault.IotHubQuotaExceeded, "%d subscriptions, at most %d may be", n, hub.MaxSubscriptions)
	}
	c.holdGate()
	devicebound := c.subscriptions.devicebound
	methods, all := c.subscriptions.methods, c.subscriptions.filters
	since := c.hub.Subscribe(subs, func(err error) {
		c.acknowledge(err, func(dst []byte) []byte { return packet.AppendSuback(dst, id, codes...) })
		c.openMethods(methods, all)
		c.openInbox(devicebound)
	})
	c.openGate(since)
	return nil
}

// unsubscribe forgets filters. Those that are not there, or never could be, are
// acknowledged all the same [MQTT-3.10.4-5].
func (c *conn) unsubscribe(body []byte) error {
	id, asked, err := packet.DecodeUnsubscribe(body)
	if err != nil {
		return broken(err)
	}
	filters := make([]string, len(asked))
	for i, f := range asked {
		filters[i] = string(f)
	}
	if err := c.out.begin(1); err != nil {
		return err
	}
	c.subscriptions.remove(filters)
	c.openGate(0)
	devicebound := c.subscriptions.devicebound
	methods, all := c.subscriptions.methods, c.subscriptions.filters
	c.hub.Unsubscribe(filters, func(err error) {
		c.acknowledge(err, func(dst []byte) []byte { return packet.AppendUnsuback(dst, id) })
		c.openMethods(methods, all)
		c.openInbox(devicebound)
	})
	return nil
}

// acknowledge ends a call with the answer f. If it has failed, the connection
// ends instead: a subscription that is not stored must not be acknowledged.
func (c *conn) acknowledge(err error, f func(dst []byte) []byte) {
	if err != nil {
		c.out.end(fault.Of(err))
	}
	c.out.done(1, f)
}
