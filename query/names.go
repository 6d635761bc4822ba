package query

import "strings"

// fixedNames lists the names that the hub gives, as against those that users
// give: they ignore case and come back in this spelling (A3). A name below one
// that is not listed is a user's, and stays as written.
var fixedNames = spellings(
	// twins
	"deviceId", "moduleId", "modelId", "etag", "deviceEtag", "version",
	"cloudToDeviceMessageCount", "status", "statusReason", "statusUpdateTime",
	"connectionState", "lastActivityTime", "authenticationType",
	"x509Thumbprint", "x509Thumbprint.primaryThumbprint", "x509Thumbprint.secondaryThumbprint",
	"capabilities", "capabilities.iotEdge", "deviceScope", "parentScopes", "configurations",
	"tags", "properties", "properties.desired", "properties.reported",
	// jobs
	"jobId", "jobType", "startTimeUtc", "endTimeUtc", "createdDateTimeUtc", "lastUpdatedDateTimeUtc",
	"outcome", "outcome.deviceMethodResponse",
	"outcome.deviceMethodResponse.status", "outcome.deviceMethodResponse.payload",
	"error", "error.code", "error.description",
)

// spellings maps each path, in lower case, to the spelling of its last key.
func spellings(paths ...string) map[string]string {
	m := make(map[string]string, len(paths))
	for _, p := range paths {
		m[strings.ToLower(p)] = p[strings.LastIndexByte(p, '.')+1:]
	}
	return m
}

// canonical takes the prefix of the collection from p and gives fixed names
// their one spelling. It writes to p and returns a part of it.
func canonical(p Path, from Collection) Path {
	p = withoutPrefix(p, from)
	if len(p) == 1 && strings.EqualFold(p[0], "id") {
		p[0] = "deviceId" // a synonym that an SDK sample uses
		return p
	}
	return spelled(p)
}

// spelled gives the fixed names of p their one spelling, in place.
func spelled(p Path) Path {
	var room [64]byte // no fixed path is longer
	lower := room[:0]
	for i, key := range p {
		if len(lower)+1+len(key) > len(room) {
			break
		}
		if i > 0 {
			lower = append(lower, '.')
		}
		lower = appendLower(lower, key)
		name, ok := fixedNames[string(lower)]
		if !ok {
			break
		}
		p[i] = name
	}
	return p
}

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// prefix2 is the second word of a collection's prefix, as in
// devices.modules.tags; no key equals the empty one.
var prefix2 = [...]string{Devices: "", Modules: "modules", Jobs: "jobs"}

// withoutPrefix drops "devices." and "devices.modules." where something
// follows them.
func withoutPrefix(p Path, from Collection) Path {
	if len(p) < 2 || !strings.EqualFold(p[0], "devices") {
		return p
	}
	p = p[1:]
	if len(p) > 1 && strings.EqualFold(p[0], prefix2[from]) {
		p = p[1:]
	}
	return p
}
