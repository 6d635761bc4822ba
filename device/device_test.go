package device

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hubtwin/hubtwin/fault"
)

// now is the moment of every test.
var now = time.Date(2026, 8, 15, 9, 6, 40, 0, time.UTC)

func TestIDValidate(t *testing.T) {
	type idCase struct {
		Device, Module, Note string
		Repeat               int
		OK                   bool
	}
	for _, c := range golden[idCase](t, "ids.jsonl") {
		id := ID{Device: strings.Repeat(c.Device, max(c.Repeat, 1)), Module: c.Module}
		want := fault.ArgumentInvalid
		if c.OK {
			want = 0
		}
		if err := id.Validate(); codeOf(err) != want {
			t.Errorf("%q (%s): %v", id, c.Note, err)
		}
	}
}

func TestParseIdentity(t *testing.T) {
	type bodyCase struct {
		Note, Path string
		Body       json.RawMessage
		Want       Identity
		Code       fault.Code
	}
	for _, c := range golden[bodyCase](t, "bodies.jsonl") {
		var id ID
		id.Device, id.Module, _ = strings.Cut(c.Path, "/")
		got, err := ParseIdentity(c.Body, id)
		if codeOf(err) != c.Code {
			t.Errorf("%s: %v, want code %d", c.Note, err, c.Code)
		}
		if err != nil || c.Code != 0 {
			continue
		}
		c.Want.ID = id
		if c.Want.Status == "" {
			c.Want.Status = Enabled
		}
		if diff := cmp.Diff(c.Want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Note, diff)
		}
	}
}

// TestParseIdentityLimits has the bodies too long or too broken for a table.
func TestParseIdentityLimits(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want fault.Code
	}{
		"no body":              {"", fault.ArgumentNull},
		"cut off":              {`{"deviceId":`, fault.DeserializationError},
		"two bodies":           {`{}{}`, fault.DeserializationError},
		"deep":                 {`{"x":` + strings.Repeat("[", 1<<16), fault.DeserializationError},
		"reason of 128":        {`{"statusReason":"` + strings.Repeat("ü", 128) + `"}`, 0},
		"reason of 129":        {`{"statusReason":"` + strings.Repeat("ü", 129) + `"}`, fault.ArgumentInvalid},
		"long scope":           {`{"deviceScope":"` + strings.Repeat("x", 257) + `"}`, fault.InvalidDeviceScope},
		"long parent scope":    {`{"parentScopes":["` + strings.Repeat("x", 257) + `"]}`, fault.InvalidDeviceScope},
		"long status, clipped": {`{"status":"` + strings.Repeat("x", 5000) + `"}`, fault.ArgumentInvalid},
	} {
		_, err := ParseIdentity([]byte(c.body), ID{Device: "d"})
		if codeOf(err) != c.want {
			t.Errorf("%s: %v, want code %d", name, err, c.want)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s: a message of %d bytes", name, len(err.Error()))
		}
	}
	_, err := ParseIdentity([]byte(`{"managedBy":"`+strings.Repeat("x", 129)+`"}`), ID{Device: "d", Module: "m"})
	if codeOf(err) != fault.ArgumentInvalid {
		t.Errorf("managedBy of 129: %v", err)
	}
}

func TestAppendJSON(t *testing.T) {
	type wireCase struct {
		Note       string
		Identity   Identity
		Connection Connection
		JSON       json.RawMessage
	}
	for _, c := range golden[wireCase](t, "wire.jsonl") {
		got := string(AppendJSON([]byte("["), c.Identity, c.Connection))
		if got != "["+string(c.JSON) {
			t.Errorf("%s\n got %s\nwant [%s", c.Note, got, c.JSON)
		}
	}
}

func TestScopes(t *testing.T) {
	type scopeCase struct {
		Note        string
		Old, Parent *Identity
		Want        Identity
		Scope       string
		Parents     []string
		Code        fault.Code
	}
	for _, c := range golden[scopeCase](t, "scopes.jsonl") {
		var got Identity
		var err error
		if c.Old == nil {
			got, err = Create(c.Want, c.Parent, now)
		} else {
			got, err = Replace(*c.Old, c.Want, c.Parent, now)
		}
		if codeOf(err) != c.Code {
			t.Errorf("%s: %v, want code %d", c.Note, err, c.Code)
		}
		if diff := cmp.Diff(c.Parents, got.ParentScopes); got.DeviceScope != c.Scope || diff != "" {
			t.Errorf("%s: deviceScope %q, want %q; parentScopes %s", c.Note, got.DeviceScope, c.Scope, diff)
		}
	}
}

func TestParentScope(t *testing.T) {
	for _, c := range []struct {
		i    Identity
		want string
	}{
		{Identity{DeviceScope: "p"}, "p"},
		{Identity{DeviceScope: "p", ParentScopes: []string{"q"}}, "p"},
		{Identity{IoTEdge: true, DeviceScope: "own"}, ""},
		{Identity{IoTEdge: true, DeviceScope: "own", ParentScopes: []string{"q"}}, "q"},
		{Identity{ID: ID{Device: "d", Module: "m"}, DeviceScope: "p"}, ""},
	} {
		if got := c.i.ParentScope(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.i, got, c.want)
		}
	}
}

func TestScopeDevice(t *testing.T) {
	for scope, want := range map[string]string{
		newScope("pump-7", now):       "pump-7",
		"ms-azure-iot-edge://a-b-123": "a-b",
		"ms-azure-iot-edge://a":       "",
		"ms-azure-iot-edge://-1":      "",
		"ms-azure-iot-edge://a/b-1":   "",
		"other://a-1":                 "",
		"":                            "",
	} {
		if id, ok := ScopeDevice(scope); ok != (want != "") || ok && id.Device != want {
			t.Errorf("%q: %q, %v", scope, id, ok)
		}
	}
}

func TestCreate(t *testing.T) {
	want := Identity{ID: ID{Device: "d"}, Status: Disabled, GenerationID: "mine", Etag: "mine", Authentication: Authentication{Type: SAS}}
	a, err := Create(want, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := Create(want, nil, now.Add(time.Microsecond))
	if a.GenerationID != "639223816000000000" || a.GenerationID == b.GenerationID {
		t.Errorf("generations %s and %s", a.GenerationID, b.GenerationID)
	}
	if a.Etag == want.Etag || a.Etag == b.Etag {
		t.Errorf("etags %s and %s", a.Etag, b.Etag)
	}
	if !a.StatusUpdatedTime.IsZero() {
		t.Errorf("status changed at %v", a.StatusUpdatedTime)
	}
	keys := map[string]bool{}
	for _, k := range []string{a.Authentication.PrimaryKey, a.Authentication.SecondaryKey, b.Authentication.PrimaryKey, b.Authentication.SecondaryKey} {
		if raw, err := base64.StdEncoding.DecodeString(k); err != nil || len(raw) != 32 || keys[k] {
			t.Errorf("key %q", k)
		}
		keys[k] = true
	}
}

func TestFillKeysLeavesOthersAlone(t *testing.T) {
	for _, a := range []Authentication{
		{Type: SAS, PrimaryKey: "a", SecondaryKey: "b"},
		{Type: SelfSigned},
		{Type: CertificateAuthority},
		{Type: None},
	} {
		i := Identity{Authentication: a}
		i.FillKeys()
		if i.Authentication != a {
			t.Errorf("%+v became %+v", a, i.Authentication)
		}
	}
}

func TestReplace(t *testing.T) {
	old, err := Create(Identity{ID: ID{Device: "d"}, Status: Enabled, StatusReason: "new", Authentication: Authentication{Type: SAS}}, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{ID: old.ID, Status: Disabled, GenerationID: "mine", Authentication: Authentication{Type: SAS}}
	later := now.Add(time.Hour)
	next, err := Replace(old, want, nil, later)
	if err != nil {
		t.Fatal(err)
	}
	if next.GenerationID != old.GenerationID {
		t.Error("the generation moved")
	}
	if next.Etag == old.Etag {
		t.Error("the etag stayed")
	}
	if next.StatusReason != "" {
		t.Error("a PUT is a full replace, but the reason stayed")
	}
	if !next.StatusUpdatedTime.Equal(later) {
		t.Errorf("status changed at %v, want %v", next.StatusUpdatedTime, later)
	}
	if next.Authentication.PrimaryKey == old.Authentication.PrimaryKey {
		t.Error("a PUT without keys makes new ones, but the key stayed")
	}
	// Same status, given keys: time and keys stay.
	want = next
	want.StatusUpdatedTime = time.Time{}
	again, _ := Replace(next, want, nil, later.Add(time.Hour))
	if !again.StatusUpdatedTime.Equal(later) {
		t.Errorf("the status did not change, but its time moved to %v", again.StatusUpdatedTime)
	}
	if again.Authentication != next.Authentication {
		t.Error("given keys did not stay")
	}
}

func TestSystemModules(t *testing.T) {
	for _, m := range SystemModules("e", now) {
		if !m.ID.IsSystem() || m.ID.Device != "e" || m.ManagedBy != "iotEdge" || m.Authentication.Type != None || m.Etag == "" || m.GenerationID == "" {
			t.Errorf("%+v", m)
		}
	}
	if len(SystemModules("e", now)) != 2 {
		t.Error("not $edgeAgent and $edgeHub")
	}
}

func TestNextEtag(t *testing.T) {
	if got := NextEtag("ODAxMjMyNDI2"); got != "ODAxMjMyNDI3" {
		t.Errorf("after 801232426 comes %s", got)
	}
	greatest := base64.StdEncoding.EncodeToString([]byte("18446744073709551615"))
	for _, old := range []string{"", "x", "AAAAAAAAAAE=", greatest} {
		b, err := base64.StdEncoding.DecodeString(NextEtag(old))
		if err != nil || len(b) != 9 || strings.Trim(string(b), "0123456789") != "" {
			t.Errorf("after %q comes %q", old, b)
		}
	}
}

func TestEtagMatches(t *testing.T) {
	for given, want := range map[string]bool{
		`*`: true, `"*"`: true, `"abc="`: true, `abc=`: true, `W/"abc="`: true, ` "abc=" `: true,
		``: false, `""`: false, `"`: false, `ABC=`: false, `"abc`: false, `"abd="`: false,
	} {
		if got := EtagMatches(given, "abc="); got != want {
			t.Errorf("EtagMatches(%s) = %v", given, got)
		}
	}
	if EtagMatches(`""`, "") {
		t.Error("nothing matches nothing")
	}
}

func TestParseBulk(t *testing.T) {
	type itemCase struct {
		BulkItem
		Code fault.Code
	}
	type bulkCase struct {
		Note  string
		Body  json.RawMessage
		Items []itemCase
		Code  fault.Code
	}
	for _, c := range golden[bulkCase](t, "bulk.jsonl") {
		got, err := ParseBulk(c.Body)
		if codeOf(err) != c.Code || len(got) != len(c.Items) {
			t.Errorf("%s: %v and %d items, want code %d and %d items", c.Note, err, len(got), c.Code, len(c.Items))
			continue
		}
		for n, want := range c.Items {
			if codeOf(got[n].Err) != want.Code {
				t.Errorf("%s, item %d: %v, want code %d", c.Note, n, got[n].Err, want.Code)
			}
			got[n].Err = nil
			if diff := cmp.Diff(want.BulkItem, got[n]); diff != "" {
				t.Errorf("%s, item %d (-want +got):\n%s", c.Note, n, diff)
			}
		}
	}
}

func TestParseBulkSize(t *testing.T) {
	var items []string
	for n := range MaxBulkItems {
		items = append(items, fmt.Sprintf(`{"id":"d%d"}`, n))
	}
	if got, err := ParseBulk([]byte("[" + strings.Join(items, ",") + "]")); err != nil || len(got) != MaxBulkItems {
		t.Errorf("%d items: %v", len(got), err)
	}
	items = append(items, `{"id":"one too many"}`)
	if _, err := ParseBulk([]byte("[" + strings.Join(items, ",") + "]")); codeOf(err) != fault.TooManyDevices {
		t.Errorf("one too many: %v", err)
	}
	for _, body := range []string{``, `[`, `[{"id":"d"}`, `[{"id":"d"}]]`, `[{"id":"d"}] x`, `[{"id":"d"},]`, `[{"id":1}]`} {
		if _, err := ParseBulk([]byte(body)); codeOf(err) != fault.DeserializationError {
			t.Errorf("%s: %v", body, err)
		}
	}
}
