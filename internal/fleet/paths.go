package fleet

import "strings"

// field is a path outside of the users' names, with what it may be compared to.
type field struct {
	path   string
	values []string
}

var (
	booleans = []string{"true", "false"}
	versions = []string{"1", "2", "3", "4", "5", "2.0", "0x3"}
	etags    = quotedAll("AAAAAAAAAAE=", "AAAAAAAAAAI=", "AAAAAAAAAAM=", "AAAA")
	times    = quotedAll(instantTexts...)
	nulls    = []string{"null", "''", "undefined"}
)

var fields = []field{
	{"deviceId", quotedAll(deviceIDs...)},
	{"status", quotedAll("enabled", "disabled", "Enabled", "e")},
	{"properties.desired.$version", versions},
	{"properties.reported.$version", versions},
	{"connectionState", quotedAll("Connected", "Disconnected", "C")},
	{"capabilities.iotEdge", booleans},
	{"lastActivityTime", times},
	{"properties.reported.$metadata.$lastUpdated", times},
	{"properties.desired.$metadata.a.$lastUpdated", times},
	{"properties.desired.$metadata.b.a.$lastUpdatedVersion", versions},
	{"properties.desired.$metadata.$lastUpdatedVersion", versions},
	{"properties.reported.$metadata.n.$lastUpdated", times},
	{"properties.reported.$metadata.a.$lastUpdatedVersion", versions}, // there is none
	{"version", versions},
	{"etag", etags},
	{"deviceEtag", etags},
	{"moduleId", quotedAll(moduleIDs...)},
	{"id", quotedAll(deviceIDs...)},
	{"modelId", quotedAll(models...)},
	{"statusReason", quotedAll("broken", "sold", "")},
	{"statusUpdateTime", times},
	{"authenticationType", quotedAll("sas", "selfSigned", "certificateAuthority", "s")},
	{"x509Thumbprint.primaryThumbprint", append(quotedAll(strings.Repeat("0A", 20), strings.Repeat("0a", 20), "0"), nulls...)},
	{"x509Thumbprint.secondaryThumbprint", nulls},
	{"x509Thumbprint", nulls},
	{"cloudToDeviceMessageCount", []string{"0", "1", "2", "-0"}},
	{"deviceScope", quotedAll("ms-azure-iot-edge://e-1", "ms")},
	{"parentScopes", quotedAll("ms-azure-iot-edge://e-1", "ms")},
	{"capabilities", booleans},
	{"configurations.[[c:1]].status", quotedAll("Applied", "Targeted")},
	{"configurations", nulls},
	{"tags", booleans},
	{"tags.$version", versions},
	{"properties", booleans},
	{"properties.desired", booleans},
	{"properties.reported", booleans},
	{"properties.desired.$metadata", booleans},
	{"properties.reported.$metadata.a", booleans},
	{"properties.wanted.a", booleans},
	{"nothing.here", booleans},
	{"a", booleans},
}

func quotedAll(texts ...string) (list []string) {
	for _, s := range texts {
		list = append(list, "'"+s+"'")
	}
	return list
}

// subject draws a path, and gives constants that it may have.
func (w writer) subject() (path string, constant func() string) {
	if !oneIn(w.t, 4) {
		return w.userPath()
	}
	return w.field()
}

// field draws one of the hub's own paths.
func (w writer) field() (path string, constant func() string) {
	i := pick(w.t, len(fields))
	f := fields[i]
	return w.prefix + w.anyCase(f.path), func() string {
		if oneIn(w.t, 8) {
			return w.signed()
		}
		return choose(w.t, f.values...)
	}
}

func (w writer) path() string {
	path, _ := w.subject()
	return path
}

func (w writer) section() string {
	return choose(w.t, "tags", "properties.reported", "properties.desired", "Tags", "PROPERTIES.Reported")
}

// userPath draws a path to what users name, of one to three keys, and gives
// constants of the kind that its last key most often leads to.
func (w writer) userPath() (path string, constant func() string) {
	path = w.prefix + w.section()
	name := ""
	for range nesting {
		name = key(w.t)
		path += "." + w.spelled(name)
		if !oneIn(w.t, 4) {
			break
		}
	}
	return path, func() string {
		switch {
		case oneIn(w.t, 5):
			return w.signed()
		case name == "a" || name == "n" && !oneIn(w.t, 3):
			return choose(w.t, "", "", "", "-") + w.number()
		case name == "b" || name == "n":
			return w.text()
		case name == "A":
			return choose(w.t, booleans...)
		default:
			return w.signed()
		}
	}
}

// numberPath draws one that is likely to lead to a number.
func (w writer) numberPath() string {
	return w.prefix + w.section() + "." + choose(w.t, "a", "a", "a", "n", "b.a", "b")
}

func (w writer) spelled(key string) string {
	if key == "group" || strings.Contains(key, ":") || oneIn(w.t, 12) {
		return "[[" + key + "]]"
	}
	return key
}

// anyCase changes the case of the hub's own names at times. Those of users, and
// those with a $, are told apart by case.
func (w writer) anyCase(path string) string {
	if !oneIn(w.t, 4) || strings.ContainsAny(path, "$[") {
		return path
	}
	return choose(w.t, strings.ToUpper(path), strings.ToLower(path))
}
