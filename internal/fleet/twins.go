package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/twin"
)

// nesting is how many objects lie in each other in a section, itself included.
const nesting = 3

// Section draws tags, desired or reported properties as a JSON object. It holds
// no null: PUT and PATCH both take it.
func Section(t *rapid.T) string { return object(t, nesting, false) }

// Patch draws an object as Section does, in which some keys are removed by null.
func Patch(t *rapid.T) string { return object(t, nesting, true) }

func object(t *rapid.T, depth int, nulls bool) string {
	var keys []string
	for _, key := range frequent {
		if !oneIn(t, 10) {
			keys = append(keys, key)
		}
	}
	for oneIn(t, 3) {
		if key := choose(t, seldom...); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	members := make([]string, len(keys))
	for i, key := range rapid.Permutation(keys).Draw(t, "keys") {
		members[i] = quoted(t, key) + choose(t, ":", ":", " : ") + value(t, key, depth-1, nulls)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// value draws what a key leads to, with depth further objects in each other at
// most.
func value(t *rapid.T, key string, depth int, nulls bool) string {
	if nulls && oneIn(t, 4) {
		return "null"
	}
	if !oneIn(t, 3) {
		switch key {
		case "a":
			return jsonNumber(t)
		case "b":
			return quoted(t, chooseText(t))
		case "n":
			return serial(t)
		case "A":
			return choose(t, "true", "false")
		}
	}
	switch pick(t, 7) {
	case 0:
		return jsonNumber(t)
	case 1:
		return quoted(t, chooseText(t))
	case 2:
		return choose(t, "true", "false")
	case 3, 4:
		return array(t, depth)
	}
	if depth <= 0 {
		return choose(t, "1", `"a"`, "true")
	}
	return object(t, depth, nulls)
}

// serial draws a value of which there are thousands.
func serial(t *rapid.T) string {
	n := pick(t, distinct)
	if oneIn(t, 3) {
		return quoted(t, serialText(n))
	}
	return fmt.Sprint(n) + choose(t, "", "", ".0", ".5")
}

func jsonNumber(t *rapid.T) string {
	if oneIn(t, 12) {
		return choose(t, infinite...)
	}
	return chooseNumber(t)
}

func array(t *rapid.T, depth int) string {
	var elems []string
	for range pick(t, 4) {
		switch k := pick(t, 8); {
		case k < 3:
			elems = append(elems, jsonNumber(t))
		case k < 6:
			elems = append(elems, quoted(t, chooseText(t)))
		case k == 6 || depth <= 0:
			elems = append(elems, choose(t, "true", "false"))
		case oneIn(t, 2):
			elems = append(elems, array(t, depth-1))
		default:
			elems = append(elems, object(t, depth-1, false))
		}
	}
	blank := choose(t, "", "", " ")
	return "[" + blank + strings.Join(elems, ","+blank) + blank + "]"
}

// quoted writes s as a JSON string, in one of its spellings.
func quoted(t *rapid.T, s string) string {
	style := pick(t, 5) // up to 2 as short as it can be, 3 all escaped, 4 in turns
	var b strings.Builder
	for i, r := range s {
		switch {
		case style == 3, style == 4 && i%2 == 0, r < ' ':
			b.WriteString(escaped(t, r))
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '/' && style == 2:
			b.WriteString(`\/`)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// Twin draws a twin with a short history.
func Twin(t *rapid.T) *twin.Twin {
	tw := twin.New(Instant(t))
	if !oneIn(t, 10) {
		tw = Replaced(t, tw, `{"tags":`+Section(t)+`,"properties":{"desired":`+Section(t)+`}}`)
	}
	if oneIn(t, 4) {
		tw = Merged(t, tw, `{"tags":`+Patch(t)+`,"properties":{"desired":`+Patch(t)+`}}`)
	}
	if !oneIn(t, 10) {
		tw = Reported(t, tw, Section(t))
	}
	if oneIn(t, 4) {
		tw = Reported(t, tw, Patch(t))
	}
	return tw
}

// Merged is tw after a back end's PATCH at a drawn time. The body must be legal;
// if the twin would become too large or too deep, it stays what it was.
func Merged(t *rapid.T, tw *twin.Twin, body string) *twin.Twin {
	p, err := twin.ParsePatch([]byte(body), twin.Rules{})
	if tooDeep(err) {
		return tw
	}
	if err != nil {
		t.Fatalf("patch %s: %v", body, err)
	}
	return applied(t, tw, p, tw.Merge)
}

// Replaced is tw after a back end's PUT, as Merged is after a PATCH.
func Replaced(t *rapid.T, tw *twin.Twin, body string) *twin.Twin {
	r, err := twin.ParseReplacement([]byte(body), twin.Rules{})
	if tooDeep(err) {
		return tw
	}
	if err != nil {
		t.Fatalf("replacement %s: %v", body, err)
	}
	return applied(t, tw, r, tw.Replace)
}

// Reported is tw after a patch of its device, likewise.
func Reported(t *rapid.T, tw *twin.Twin, body string) *twin.Twin {
	r, err := twin.ParseReported([]byte(body), twin.Rules{})
	if tooDeep(err) {
		return tw
	}
	if err != nil {
		t.Fatalf("reported %s: %v", body, err)
	}
	return applied(t, tw, r, tw.Report)
}

// tooDeep tells whether a body is refused because arrays add to its depth.
func tooDeep(err error) bool { return err != nil && strings.Contains(err.Error(), "nested deeper") }

func applied[P any](t *rapid.T, old *twin.Twin, p P, apply func(P, time.Time) (*twin.Twin, *twin.Change, error)) *twin.Twin {
	next, _, err := apply(p, Instant(t))
	if err != nil {
		return old
	}
	return next
}

// Identity draws the registry's entry of id.
func Identity(t *rapid.T, id device.ID) *device.Identity {
	i := &device.Identity{
		ID:             id,
		Etag:           choose(t, "AAAAAAAAAAE=", "AAAAAAAAAAI="),
		Status:         rapid.SampledFrom([]device.Status{device.Enabled, device.Disabled}).Draw(t, "status"),
		StatusReason:   choose(t, "", "broken", "sold"),
		Authentication: device.Authentication{Type: device.SAS},
		IoTEdge:        oneIn(t, 3),
	}
	switch pick(t, 4) {
	case 2:
		i.Authentication = device.Authentication{Type: device.SelfSigned, PrimaryThumbprint: strings.Repeat("0A", 20)}
	case 3:
		i.Authentication.Type = device.CertificateAuthority
	}
	if oneIn(t, 3) {
		i.StatusUpdatedTime = Instant(t)
	}
	if oneIn(t, 3) {
		i.DeviceScope = "ms-azure-iot-edge://e-1"
		i.ParentScopes = []string{i.DeviceScope}
	}
	return i
}

// Connection draws what a document shows of a connection.
func Connection(t *rapid.T) document.Connection {
	if oneIn(t, 3) {
		return document.Connection{}
	}
	return document.Connection{Connected: oneIn(t, 2), LastActivity: Instant(t), ModelID: choose(t, models...)}
}

// Messages draws how many messages wait for a device.
func Messages(t *rapid.T) int { return pick(t, 3) }

// Head draws what a document shows of identity and connection.
func Head(t *rapid.T, id device.ID) (h document.Head) {
	h.SetIdentity(Identity(t, id))
	h.SetConnection(Connection(t))
	h.CloudToDeviceMessageCount = Messages(t)
	return h
}

// Document draws the document of id.
func Document(t *rapid.T, id device.ID) *document.Document {
	return &document.Document{ID: id, Head: Head(t, id), Twin: Twin(t)}
}
