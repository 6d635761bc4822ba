package document

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/twin"
)

var _ query.Document = (*Document)(nil)

// examples are the documents of testdata/documents.jsonl.
func examples(t *testing.T) map[string]*Document {
	t.Helper()
	gate := device.ID{Device: "gate'1"}
	full := newDocument(t, &device.Identity{
		ID: gate, Etag: "NTgwMDg5MDA0", Status: device.Disabled, StatusReason: "lost \"for <good>\"\tsaid Jörg",
		StatusUpdatedTime: t0.Add(time.Hour), IoTEdge: true,
		Authentication: device.Authentication{Type: device.SelfSigned, PrimaryThumbprint: "A0B1", SecondaryThumbprint: "C2D3"},
		DeviceScope:    "ms-azure-iot-edge://gate'1-638448768000000000",
		ParentScopes:   []string{"ms-azure-iot-edge://top-638448000000000000"},
	}, `{"site":"A"}`)
	full.Head.SetConnection(Connection{Connected: true, LastActivity: t0.Add(2 * time.Hour),
		ModelID: "dtmi:com:example:Gate;1"})
	full.Head.CloudToDeviceMessageCount = 12
	return map[string]*Document{
		"a device as it is created": newDocument(t, &device.Identity{
			ID: device.ID{Device: "pump-7"}, Etag: "NTgwMDg5MDAz", Status: device.Enabled,
			Authentication: device.Authentication{Type: device.SAS, PrimaryKey: "c2VjcmV0"},
		}, `{}`),
		"an edge device with everything": full,
		"a module, which has no status and no capabilities of its own": newDocument(t, &device.Identity{
			ID: device.ID{Device: gate.Device, Module: "$edgeHub"}, Etag: "NTgwMDg5MDAz",
			Status: device.Disabled, IoTEdge: true, ManagedBy: "iotEdge", Authentication: device.Authentication{Type: device.None},
		}, `{}`),
	}
}

func newDocument(t *testing.T, i *device.Identity, tags string) *Document {
	t.Helper()
	d := &Document{ID: i.ID, Twin: twin.New(t0)}
	d.Head.SetIdentity(i)
	d.Twin = merge(t, d.Twin, `{"tags":`+tags+`}`)
	return d
}

func TestAppendJSON(t *testing.T) {
	text, err := os.ReadFile("testdata/documents.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	documents := examples(t)
	for line := range bytes.Lines(text) {
		var want struct {
			Name     string
			Document json.RawMessage
		}
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		d := documents[want.Name]
		if d == nil {
			t.Fatalf("there is no document for %q", want.Name)
		}
		if got := string(d.AppendJSON([]byte(" "))); got != " "+string(want.Document) {
			t.Errorf("%s: want\n %s, got\n%s", want.Name, want.Document, got)
		}
		delete(documents, want.Name)
	}
	if len(documents) > 0 {
		t.Errorf("%d documents are not in the file", len(documents))
	}
}

// anyHead draws a head as identities and connections make it.
var anyHead = rapid.Custom(func(t *rapid.T) Head {
	text := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-zA-Z0-9=+/]{1,20}`), rapid.String())
	ticks := rapid.OneOf(rapid.Just[int64](0), rapid.Int64Range(1, 3155378975999999999))
	var h Head
	h.SetIdentity(&device.Identity{
		Etag:         text.Draw(t, "etag"),
		Status:       rapid.SampledFrom([]device.Status{device.Enabled, device.Disabled, "paused"}).Draw(t, "status"),
		StatusReason: text.Draw(t, "reason"),
		Authentication: device.Authentication{
			Type:                rapid.SampledFrom([]device.AuthenticationType{device.SAS, device.SelfSigned, device.CertificateAuthority, device.None, "dice"}).Draw(t, "type"),
			PrimaryThumbprint:   text.Draw(t, "primary"),
			SecondaryThumbprint: text.Draw(t, "secondary"),
		},
		DeviceScope:  text.Draw(t, "scope"),
		ParentScopes: rapid.SliceOfN(text, 0, 2).Draw(t, "parents"),
		IoTEdge:      rapid.Bool().Draw(t, "edge"),
	})
	h.SetConnection(Connection{
		Connected: rapid.Bool().Draw(t, "connected"),
		ModelID:   text.Draw(t, "model"),
	})
	h.CloudToDeviceMessageCount = rapid.IntRange(0, 1<<40).Draw(t, "messages")
	h.StatusUpdated, h.LastActivity = ticks.Draw(t, "updated"), ticks.Draw(t, "activity")
	return h
})

// AppendJSON is valid JSON, and Lookup finds each value in it, and no others.
func TestLookup(t *testing.T) {
	d := plain(t)
	rapid.Check(t, func(t *rapid.T) {
		d.ID = device.ID{Device: "d", Module: rapid.SampledFrom([]string{"", "m"}).Draw(t, "module")}
		d.Head = anyHead.Draw(t, "head")
		if text := d.AppendJSON(nil); !json.Valid(text) {
			t.Fatalf("no JSON: %s", text)
		}
		l := lookups{T: t, d: d, found: map[string]bool{}}
		l.below(nil, d.AppendJSON(nil))
		for _, path := range slices.Concat(HeadPaths, TwinPaths, [][]string{{"moduleId"}, {"capabilities"}, {"none"}, {"status", "x"},
			{"capabilities", "none"}, {"capabilities", "iotEdge", "x"}, {"none", "none"}, {"parentScopes", "0"}, {}}) {
			if got, ok := d.Lookup(path); ok != l.found[strings.Join(path, ".")] {
				t.Errorf("%q is %s %t, but %s", path, got, ok, d.AppendJSON(nil))
			}
		}
	})
}

// lookups walks a document and looks each path up.
type lookups struct {
	*rapid.T
	d     *Document
	found map[string]bool
}

func (l lookups) below(path []string, object []byte) {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return // it is no object
	}
	for key, want := range members {
		at := append(path[:len(path):len(path)], key)
		if got, ok := l.d.Lookup(at); !ok || got != string(want) {
			l.Errorf("%q: want %s, got %s %t", at, want, got, ok)
		}
		l.found[strings.Join(at, ".")] = true
		l.below(at, want)
	}
}

// Each path that is no part of the sections is in one list, the right one.
func TestPaths(t *testing.T) {
	all := examples(t)
	full, other := all["an edge device with everything"], all["a device as it is created"]
	check := func(what string, d Document, changed, same [][]string) {
		for _, path := range changed {
			if got, _ := d.Lookup(path); got == at(full, path) {
				t.Errorf("%q does not follow from the %s", path, what)
			}
		}
		for _, path := range same {
			if got, _ := d.Lookup(path); got != at(full, path) {
				t.Errorf("%q follows from the %s", path, what)
			}
		}
	}
	ids := [][]string{{"deviceId"}, {"moduleId"}}
	check("ids", Document{device.ID{Device: "d", Module: "m"}, full.Head, full.Twin}, ids, TwinPaths)
	check("head", Document{full.ID, other.Head, full.Twin}, HeadPaths, slices.Concat(TwinPaths, ids))
	check("twin", Document{full.ID, full.Head, merge(t, plain(t).Twin, `{"tags":{"x":1}}`)}, TwinPaths, slices.Concat(HeadPaths, ids))

	listed := map[string]bool{"tags": true, "properties": true}
	for _, path := range slices.Concat(HeadPaths, TwinPaths, ids) {
		listed[path[0]] = true
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(full.AppendJSON(nil), &members); err != nil {
		t.Fatal(err)
	}
	for name := range members {
		if !listed[name] {
			t.Errorf("%s is in no list", name)
		}
	}
}

func at(d *Document, path []string) string {
	json, _ := d.Lookup(path)
	return json
}

// Keys stand in the order of the ids.
func TestKeys(t *testing.T) {
	var ids []device.ID
	for _, id := range []string{"a", "a/$edgeAgent", "a/m", "a!", "a-/m", "aa", "b"} {
		dev, mod, _ := strings.Cut(id, "/")
		ids = append(ids, device.ID{Device: dev, Module: mod})
	}
	if !slices.IsSortedFunc(ids, func(a, b device.ID) int { return cmp.Compare(RowKey(a), RowKey(b)) }) {
		t.Error("keys are not in the order of their ids")
	}
	d := Document{ID: ids[2], Twin: twin.New(t0)}
	if d.Key() != "a\x00m" || d.Etag() != "AAAAAAAAAAE=" {
		t.Errorf("key %q, etag %q", d.Key(), d.Etag())
	}
	for id, want := range map[device.ID]string{ids[0]: `"deviceId":"a"`, ids[2]: `"deviceId":"a","moduleId":"m"`} {
		if got := string(AppendIDs(nil, id)); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}

func TestAppendString(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, s string) {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.Encode(s)
		if got := string(appendString(nil, s)); got+"\n" != want.String() {
			t.Fatalf("%q: want %s, got %s", s, want.String(), got)
		}
	}
	for r := range rune(0x3000) {
		check(t, "a"+string(r))
	}
	for _, s := range []string{"", "a\xff", "\xef", "\xef\xbf ", "\xed\xa0\x80", "\ufffd", "\U0001f600é\""} {
		check(t, s)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))) })
}

func TestNoAllocations(t *testing.T) {
	d := plain(t)
	d.Head.StatusReason = "lost \"for good\" é"
	stored := string(AppendHead(nil, &d.Head))
	dst := d.AppendJSON(nil)
	for name, run := range map[string]func(){
		"AppendJSON": func() { dst = d.AppendJSON(dst[:0]) },
		"DecodeHead": func() { d.Head, _, _ = DecodeHead(stored) },
	} {
		if n := testing.AllocsPerRun(10, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
