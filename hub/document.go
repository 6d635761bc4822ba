package hub

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/twin"
)

// TwinDocument is a twin as back ends see it: the document with the copies of
// identity fields around it (twin sheet, section 1). It is also a row of the
// collections devices and devices.modules.
type TwinDocument struct {
	id         device.ID
	state      *state
	connection device.Connection
	modelID    string
}

func (h *Hub) document(id device.ID, s *state) TwinDocument {
	d := TwinDocument{id: id, state: s, connection: h.connection(id, s)}
	if s.connection != nil {
		d.modelID = s.connection.ModelID
	}
	return d
}

// connection is what twin and identity say of the connection: the committed
// record, with the activity of the live link on top. A record of an earlier run
// that says "connected" is of a hub that died: the device is not.
func (h *Hub) connection(id device.ID, s *state) device.Connection {
	c := device.Connection{State: device.Disconnected}
	r := s.connection
	if r == nil {
		return c
	}
	c.StateUpdatedTime, c.LastActivityTime = r.Since, r.Activity
	if !r.Connected || r.Epoch != h.epoch {
		return c
	}
	c.State = device.Connected
	if link := h.table.Find(id); link != nil {
		if t := link.LastActivity(); t.After(c.LastActivityTime) {
			c.LastActivityTime = t
		}
	}
	return c
}

// Etag is the etag of the twin, without quotes.
func (d TwinDocument) Etag() string { return d.state.twin.Etag() }

// Key is the document's place in the order of its collection.
func (d TwinDocument) Key() string { return rowKey(d.id) }

func rowKey(id device.ID) string { return id.Device + "\x00" + id.Module }

// AppendJSON appends the whole document.
func (d TwinDocument) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for _, f := range twinFields {
		v, ok := f.json(d)
		if !ok {
			continue
		}
		b = append(b, '"')
		b = append(b, f.name...)
		b = append(b, `":`...)
		b = append(b, v...)
		b = append(b, ',')
	}
	b = d.state.twin.AppendSections(b)
	return append(b, '}')
}

// appendIDs appends the members that the body of an event of a whole twin begins
// with.
func appendIDs(b []byte, id device.ID) []byte {
	b = append(b, `"deviceId":`...)
	b = append(b, quote(id.Device)...)
	if id.IsModule() {
		b = append(b, `,"moduleId":`...)
		b = append(b, quote(id.Module)...)
	}
	return b
}

// Lookup gives the JSON text at a path of canonical names, for queries.
func (d TwinDocument) Lookup(path []string) (string, bool) {
	if path[0] == "tags" || path[0] == "properties" {
		return d.state.twin.Lookup(path)
	}
	for i := range twinFields {
		if f := &twinFields[i]; f.name == path[0] {
			v, ok := f.json(d)
			if !ok || len(path) == 1 {
				return v, ok
			}
			return lookupJSON(v, path[1:])
		}
	}
	return "", false
}

// lookupJSON finds a member of one of the small objects among the identity
// copies, such as capabilities.iotEdge.
func lookupJSON(text string, path []string) (string, bool) {
	for _, name := range path {
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &members) != nil {
			return "", false
		}
		v, ok := members[name]
		if !ok {
			return "", false
		}
		text = string(v)
	}
	return text, true
}

// A twinField is a root member of the document outside the sections. json gives
// its text, or !ok when the document has no such member.
type twinField struct {
	name string
	json func(TwinDocument) (string, bool)
}

var twinFields = []twinField{
	{"deviceId", func(d TwinDocument) (string, bool) { return quote(d.id.Device), true }},
	{"moduleId", func(d TwinDocument) (string, bool) { return quote(d.id.Module), d.id.IsModule() }},
	{"modelId", func(d TwinDocument) (string, bool) { return quote(d.modelID), d.modelID != "" }},
	{"etag", func(d TwinDocument) (string, bool) { return quote(d.state.twin.Etag()), true }},
	{"deviceEtag", func(d TwinDocument) (string, bool) { return quote(d.state.identity.Etag), true }},
	{"status", func(d TwinDocument) (string, bool) { return quote(string(d.status())), true }},
	{"statusReason", func(d TwinDocument) (string, bool) {
		return quote(d.state.identity.StatusReason), d.state.identity.StatusReason != ""
	}},
	{"statusUpdateTime", func(d TwinDocument) (string, bool) {
		return quoteTime(d.state.identity.StatusUpdatedTime), true
	}},
	{"connectionState", func(d TwinDocument) (string, bool) { return quote(string(d.connection.State)), true }},
	{"lastActivityTime", func(d TwinDocument) (string, bool) { return quoteTime(d.connection.LastActivityTime), true }},
	{"cloudToDeviceMessageCount", func(d TwinDocument) (string, bool) {
		return strconv.Itoa(d.connection.CloudToDeviceMessageCount), true
	}},
	{"authenticationType", func(d TwinDocument) (string, bool) {
		return quote(string(d.state.identity.Authentication.Type)), true
	}},
	{"x509Thumbprint", func(d TwinDocument) (string, bool) {
		a := d.state.identity.Authentication
		return `{"primaryThumbprint":` + quoteOrNull(a.PrimaryThumbprint) +
			`,"secondaryThumbprint":` + quoteOrNull(a.SecondaryThumbprint) + `}`, true
	}},
	{"version", func(d TwinDocument) (string, bool) { return strconv.FormatInt(d.state.twin.Version(), 10), true }},
	{"capabilities", func(d TwinDocument) (string, bool) {
		return `{"iotEdge":` + strconv.FormatBool(d.state.identity.IoTEdge) + `}`, !d.id.IsModule()
	}},
	{"deviceScope", func(d TwinDocument) (string, bool) {
		return quote(d.state.identity.DeviceScope), d.state.identity.DeviceScope != ""
	}},
	{"parentScopes", func(d TwinDocument) (string, bool) {
		b, _ := json.Marshal(d.state.identity.ParentScopes)
		return string(b), len(d.state.identity.ParentScopes) > 0
	}},
}

// status of a module's twin is always enabled: modules have no status.
func (d TwinDocument) status() device.Status {
	if d.id.IsModule() {
		return device.Enabled
	}
	return d.state.identity.Status
}

// quote writes s as JSON. Ids and etags need no escapes, and that is the way
// every document goes.
func quote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r > '~' }) < 0 {
		return `"` + s + `"`
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

func quoteOrNull(s string) string {
	if s == "" {
		return "null"
	}
	return quote(s)
}

// quoteTime writes a date of a twin. Unlike in identities, the zero date has
// its Z (twin sheet, section 1).
func quoteTime(t time.Time) string {
	if t.IsZero() {
		return `"0001-01-01T00:00:00Z"`
	}
	b := make([]byte, 0, 32)
	b = append(b, '"')
	b = twin.AppendTime(b, t)
	return string(append(b, '"'))
}
