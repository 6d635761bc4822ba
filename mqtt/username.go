package mqtt

import (
	"net/url"
	"strings"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/twin"
)

// maxModelID is the greatest length of a model id, in bytes: that of a DTMI.
const maxModelID = 2048

// parameters is what the hub reads from a user name.
type parameters struct {
	host    string // as written
	version string // api-version, or ""
	modelID string
}

// parseIdentity reads a client id: device, or device/module.
func parseIdentity(clientID string) (device.ID, error) {
	var id device.ID
	var module bool
	id.Device, id.Module, module = strings.Cut(clientID, "/")
	if err := id.Validate(); err != nil {
		return device.ID{}, err
	}
	if module && id.Module == "" {
		return device.ID{}, fault.New(fault.ArgumentInvalid, "the client id of a module is {device}/{module}")
	}
	return id, nil
}

// parseUsername reads a user name (device-protocol 1.3.1), which must name the
// identity that the client id names:
//
//	host/identity [ / [?] key=value { & key=value } ]
//
// All SDKs but one write the question mark. Without it a slash separates
// parameters too, as in an old C# preview.
func parseUsername(name, identity string) (parameters, error) {
	host, path, _ := strings.Cut(name, "/")
	rest, ok := strings.CutPrefix(path, identity)
	if !ok || rest != "" && rest[0] != '/' {
		return parameters{}, fault.New(fault.IotHubUnauthorized, "the user name does not name the identity %q of the client id", identity)
	}
	p := parameters{host: host}
	query := strings.TrimPrefix(rest, "/")
	separators := "&/"
	if strings.HasPrefix(query, "?") {
		query, separators = query[1:], "&"
	}
	given := map[string]bool{}
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		key, value, ok := strings.Cut(pair, "=")
		if !ok && separators != "&" {
			// It is no parameter, so the user name has one segment too many.
			return parameters{}, fault.New(fault.IotHubUnauthorized, "the user name names more than the identity %q of the client id", identity)
		}
		if given[key] {
			continue // the first one wins
		}
		switch key {
		case "api-version":
			p.version = unescape(value)
		case "model-id":
			p.modelID = unescape(value)
		default:
			continue
		}
		given[key] = true
	}
	if len(p.modelID) > maxModelID {
		return parameters{}, fault.New(fault.ArgumentInvalid, "the model id has more than %d bytes", maxModelID)
	}
	return p, nil
}

// unescape decodes percent escapes, or leaves a text that has bad ones.
func unescape(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// firstWithArrays is the api-version from which on twins may hold arrays.
const firstWithArrays = "2019-10-01"

// rulesOf gives the rules of an api-version. Versions are dates, perhaps with
// -preview behind. A missing or unknown one counts as the newest, because no SDK
// relies on the old rules (device-protocol 1.3.1).
func rulesOf(version string) twin.Rules {
	return twin.Rules{NoArrays: isDate(version) && version < firstWithArrays}
}

// isDate tells whether v begins with a date.
func isDate(v string) bool {
	const form = "0000-00-00"
	if len(v) < len(form) {
		return false
	}
	for i := range len(form) {
		if digit := '0' <= v[i] && v[i] <= '9'; digit != (form[i] == '0') || !digit && v[i] != '-' {
			return false
		}
	}
	return true
}
