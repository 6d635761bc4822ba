package mqtt

import (
	"strings"

	"github.com/hubtwin/hubtwin/device"
)

// The topics of the hub (device-protocol sections 2 to 6). Those that begin with
// a dollar sign are the same for all identities: the connection says whose twin
// is meant.
const (
	topicTwinGet      = "$iothub/twin/GET/"
	topicReported     = "$iothub/twin/PATCH/properties/reported/"
	topicTwinResponse = "$iothub/twin/res/"
	topicDesired      = "$iothub/twin/PATCH/properties/desired/"
	topicMethodCall   = "$iothub/methods/POST/"
	topicMethodResult = "$iothub/methods/res/"
)

// Filters that match all topics of one kind that the hub sends. An empty level
// stands for the text between two slashes.
const (
	twinResponses = topicTwinResponse + "+/+"
	desiredTopics = topicDesired + "+"
	methodTopics  = topicMethodCall + "+/+"
)

// sentTopics lists what the hub may send to id, as filters.
func sentTopics(id device.ID) []string {
	topics := []string{twinResponses, desiredTopics, methodTopics}
	if id.IsModule() {
		topics = append(topics, "devices/"+id.Device+"/modules/"+id.Module+"/inputs/+/+")
	}
	return append(topics, deviceboundPrefix(id)+"+")
}

// deviceboundPrefix is what the topics of messages for id begin with; the
// property bag follows (device-protocol 3.1 and section 6).
func deviceboundPrefix(id device.ID) string {
	topic := "devices/" + id.Device
	if id.IsModule() {
		topic += "/modules/" + id.Module
	}
	return topic + "/messages/devicebound/"
}

// mayReceive tells whether filter matches a topic that the hub may send to id:
// such filters are granted, and no others (device-protocol 9.1).
func mayReceive(id device.ID, filter string) bool {
	for _, sent := range sentTopics(id) {
		if intersect(filter, sent) {
			return true
		}
	}
	return false
}

// intersect tells whether there is a topic that both filters match. Sent is one
// of sentTopics: it has no "#", and its first level is no wildcard.
func intersect(filter, sent string) bool {
	if sent[0] == '$' && filter[0] != '$' { // [MQTT-4.7.2-1]
		return false
	}
	for {
		a, filterRest, moreFilter := strings.Cut(filter, "/")
		b, sentRest, moreSent := strings.Cut(sent, "/")
		switch {
		case a == "#":
			return true
		case a != b && a != "+" && b != "+":
			return false
		case !moreSent:
			return !moreFilter || filterRest == "#"
		case !moreFilter:
			return false
		}
		filter, sent = filterRest, sentRest
	}
}

// eventsTopic tells whether topic is that of id's own telemetry, and gives the
// property bag in it.
func eventsTopic(id device.ID, topic string) (bag string, ok bool) {
	bag, ok = strings.CutPrefix(topic, "devices/")
	if ok {
		bag, ok = strings.CutPrefix(bag, id.Device)
	}
	if ok && id.IsModule() {
		if bag, ok = strings.CutPrefix(bag, "/modules/"); ok {
			bag, ok = strings.CutPrefix(bag, id.Module)
		}
	}
	if ok {
		bag, ok = strings.CutPrefix(bag, "/messages/events")
	}
	return bag, ok && (bag == "" || bag[0] == '/' || bag[0] == '?')
}

// request is what stands behind a topic as its query.
type request struct {
	rid        string
	hasRid     bool
	version    string
	hasVersion bool
}

// parseRequest reads ?$rid=…&$version=…, or nothing. The rid is opaque and ends
// at the next & (device-protocol 5.1). ok is false for what is no query.
func parseRequest(query string) (r request, ok bool) {
	if query == "" {
		return r, true
	}
	if query[0] != '?' {
		return r, false
	}
	for rest, more := query[1:], true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(pair, "=")
		switch {
		case key == "$rid" && !r.hasRid:
			r.rid, r.hasRid = value, true
		case key == "$version" && !r.hasVersion:
			r.version, r.hasVersion = value, true
		}
	}
	return r, true
}
