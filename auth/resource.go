package auth

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/device"
)

// The field sr names what a token is good for: the hub's host, then perhaps a
// path. It covers what lies below it, by whole segments: host/devices covers
// host/devices/d1, but host/devices/d does not.
//
// SDKs spell the same resource in many ways (device-protocol sheet, 1.4): raw,
// percent-encoded once or twice, with or without a port. A reading is one way
// to understand the text.

// readings gives the text as written, decoded once, and decoded twice, without
// repetitions.
func readings(sr string) []string {
	list := []string{sr}
	for len(list) < 3 {
		next, err := url.PathUnescape(list[len(list)-1])
		if err != nil || next == list[len(list)-1] {
			break
		}
		list = append(list, next)
	}
	return list
}

// split separates the host of a reading, in lower case and without its port,
// from the path, which begins with a slash or is empty.
func split(reading string) (host, path string) {
	host, path = reading, ""
	if n := strings.IndexByte(reading, '/'); n >= 0 {
		host, path = reading[:n], reading[n:]
	}
	return bareHost(host), strings.TrimSuffix(path, "/")
}

// bareHost is the form in which host names are compared: in lower case, with
// neither port nor the brackets of an IPv6 address.
func bareHost(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, _, _ = strings.Cut(inner, "]")
	} else if name, _, ok := strings.Cut(host, ":"); ok && strings.Count(host, ":") == 1 {
		host = name
	}
	return strings.ToLower(host)
}

// serves tells whether host, as split gives it, is one of the hub's names.
func serves(hosts []string, host string) bool {
	return host != "" && slices.ContainsFunc(hosts, func(h string) bool { return bareHost(h) == host })
}

// withoutVersion drops a last segment /api-version=…, which samples in the
// documentation append to the resource.
func withoutVersion(path string) string {
	if n := strings.LastIndexByte(path, '/'); n >= 0 && strings.HasPrefix(path[n+1:], "api-version=") {
		return path[:n]
	}
	return path
}

// coversHub tells whether sr names the whole hub.
func coversHub(hosts []string, sr string) bool {
	for _, r := range readings(sr) {
		if host, path := split(r); serves(hosts, host) {
			return withoutVersion(path) == ""
		}
	}
	return false
}

// pathCovers tells whether path covers the device or module id.
func pathCovers(path string, id device.ID) bool {
	if path == "" || path == "/devices" {
		return true
	}
	// Only the identity's own resources may be followed by a version: after
	// /devices it might be the name of a device.
	for _, p := range []string{path, withoutVersion(path)} {
		own := "/devices/" + id.Device
		if p == own || p == "/"+id.Device {
			return true
		}
		if id.IsModule() && (p == own+"/modules" || p == own+"/modules/"+id.Module) {
			return true
		}
	}
	return false
}

// coversIdentity tells whether sr, signed with the key of id itself, is meant
// for id. Any reading will do, since the key is proof enough of who signs: the
// resource only keeps a token from being used where it was not meant. C# writes
// the id twice encoded, so the first reading with a host is not always the
// right one. A plus may be an encoded blank, if nothing else fits.
func coversIdentity(hosts []string, sr string, id device.ID) bool {
	for _, r := range readings(sr) {
		host, path := split(r)
		if serves(hosts, host) && (pathCovers(path, id) || pathCovers(strings.ReplaceAll(path, "+", " "), id)) {
			return true
		}
	}
	return false
}

// delegatesIdentity tells whether sr, signed with the key of a policy, covers
// id. Here the resource is what limits the token, so that it must have one
// meaning: the first reading that names the hub decides. Ids may hold percent
// signs, and a token for "a%40b" is not one for "a@b".
func delegatesIdentity(hosts []string, sr string, id device.ID) bool {
	decoded := readings(sr)
	if strings.ContainsRune(sr, '%') && len(decoded) > 1 {
		decoded = decoded[1:] // As written it is encoded.
	}
	for _, r := range decoded {
		if host, path := split(r); serves(hosts, host) {
			return pathCovers(path, id)
		}
	}
	return false
}
