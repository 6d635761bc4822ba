package packet

import (
	"bytes"
	"strings"
)

// CheckFilter tells whether filter is a topic filter by section 4.7: not empty,
// "+" only as a whole level, "#" only as the whole last level. What it refuses
// is a MalformedError. It does not look at the encoding.
func CheckFilter(filter []byte) error {
	if len(filter) == 0 {
		return MalformedError("[MQTT-4.7.3-1] topic filter is empty")
	}
	for rest, more := filter, true; more; {
		var level []byte
		level, rest, more = bytes.Cut(rest, []byte("/"))
		switch {
		case bytes.IndexByte(level, '#') >= 0 && (len(level) > 1 || more):
			return MalformedError("[MQTT-4.7.1-2] \"#\" is not the whole last level of the filter")
		case bytes.IndexByte(level, '+') >= 0 && len(level) > 1:
			return MalformedError("[MQTT-4.7.1-3] \"+\" is not a whole level of the filter")
		}
	}
	return nil
}

// Matches tells whether a valid filter matches a topic name, by section 4.7:
// "+" stands for one level, "#" for the rest and for its own parent, and neither
// stands for the first level of a topic that begins with "$" [MQTT-4.7.2-1].
// Levels compare byte for byte. Its time is linear in the two lengths.
func Matches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		want, filterRest, moreFilter := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		level, topicRest, moreTopic := strings.Cut(topic, "/")
		if want != "+" && want != level {
			return false
		}
		if !moreTopic {
			return !moreFilter || filterRest == "#"
		}
		if !moreFilter {
			return false
		}
		filter, topic = filterRest, topicRest
	}
}
