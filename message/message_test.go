package message_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
)

// bagCase is a line of testdata/bags.jsonl: a topic behind "events", and what it
// says.
type bagCase struct {
	Name       string            `json:"name"`
	Bag        string            `json:"bag"`
	System     map[string]string `json:"system"`
	Properties [][2]string       `json:"properties"`
	Null       []string          `json:"null"`
	Fails      bool              `json:"fails"`
}

var keys = map[string]message.Key{
	"mid": message.MessageID, "cid": message.CorrelationID, "uid": message.UserID, "to": message.To, "exp": message.Expiry,
	"ct": message.ContentType, "ce": message.ContentEncoding, "ctime": message.CreationTime, "ack": message.Ack,
	"on": message.OutputName, "sub": message.Component, "ifid": message.InterfaceID, "schema": message.Schema,
	"diagid": message.DiagnosticID, "diagctx": message.DiagnosticContext,
}

func (c bagCase) want() (m message.Message) {
	for name, value := range c.System {
		m.System[keys[name]] = value
	}
	for _, p := range c.Properties {
		m.Properties = append(m.Properties, message.Property{Name: p[0], Value: p[1]})
	}
	for _, name := range c.Null {
		m.Properties = append(m.Properties, message.Property{Name: name, Null: true})
	}
	return m
}

func readCases[T any](t testing.TB, file string) (list []T) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var c T
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, c)
	}
	return list
}

func TestBags(t *testing.T) {
	for _, c := range readCases[bagCase](t, "testdata/bags.jsonl") {
		t.Run(c.Name, func(t *testing.T) {
			var m message.Message
			err := m.ParseBag(c.Bag)
			if c.Fails {
				if fault.Of(err).Code != fault.ArgumentInvalid {
					t.Errorf("%v, not ArgumentInvalid", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want(), m); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTooManyProperties(t *testing.T) {
	var m message.Message
	var b strings.Builder
	for i := range 1001 {
		b.WriteString("&p" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/26))
	}
	if err := m.ParseBag(b.String()); fault.Of(err).Code != fault.ArgumentInvalid {
		t.Errorf("%d properties, and %v", len(m.Properties), err)
	}
	if err := m.ParseBag("p=\xff"); !fault.Is(err, fault.ArgumentInvalid) {
		t.Errorf("not UTF-8: %v", err)
	}
}

// TestBagToDevice has the order and the escapes of the device-protocol sheet, 3.1.
func TestBagToDevice(t *testing.T) {
	var m message.Message
	m.System = message.System{
		message.MessageID: "4e6f49cb", message.To: "/devices/dev-1/messages/deviceBound", message.Ack: "full",
		message.Expiry: device.FormatTime(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)), message.ContentType: "application/json",
		message.CorrelationID: "c", message.UserID: "u", message.ContentEncoding: "utf-8",
	}
	m.Set("foo", "a b+c&d=é")
	m.Set("empty", "")
	m.System[message.CreationTime] = "2026-11-24T11:00:00.5+01:00"
	const want = "%24.mid=4e6f49cb&%24.exp=2030-01-01T00%3A00%3A00.0000000Z&%24.to=%2Fdevices%2Fdev-1%2Fmessages%2FdeviceBound" +
		"&%24.cid=c&%24.uid=u&%24.ct=application%2Fjson&%24.ce=utf-8&%24.ctime=2026-11-24T10%3A00%3A00.5000000Z&iothub-ack=full&foo=a%20b%2Bc%26d%3D%C3%A9&empty="
	got := string(m.AppendBag(nil))
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	var back message.Message
	if err := back.ParseBag(got); err != nil {
		t.Fatal(err)
	}
	m.System[message.CreationTime] = "2026-11-24T10:00:00.5000000Z"
	if d := cmp.Diff(m, back); d != "" {
		t.Error(d)
	}
	m = message.Message{System: message.System{message.To: "d", message.Expiry: "tomorrow", message.CreationTime: "0001-01-01T00:00:00Z"}}
	if got := string(m.AppendBag([]byte("topic/"))); got != "topic/%24.to=d" {
		t.Errorf("%s: one SDK ends the connection for such a time", got)
	}
}

func TestExpiry(t *testing.T) {
	for text, want := range map[string]time.Time{
		"":                             {},
		"2030-01-01T01:00:00.5+01:00":  time.Date(2030, 1, 1, 0, 0, 0, 5e8, time.UTC),
		"2030-01-01T00:00:00.1234567Z": time.Date(2030, 1, 1, 0, 0, 0, 123456700, time.UTC),
	} {
		m := message.Message{System: message.System{message.Expiry: text}}
		if got, err := m.ParseExpiry(); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	m := message.Message{System: message.System{message.Expiry: "tomorrow"}}
	if _, err := m.ParseExpiry(); !fault.Is(err, fault.InvalidMessageExpiryTime) {
		t.Errorf("tomorrow: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		m    message.Message
		max  int
		want fault.Code // 0 for none
	}{
		{"empty", message.Message{}, 0, 0},
		{"an id of all characters", message.Message{System: message.System{message.MessageID: `aZ9-:.+%_#*?!(),=@;$'`}}, 100, 0},
		{"an id of 128 characters", message.Message{System: message.System{message.MessageID: strings.Repeat("a", 128)}}, 128, 0},
		{"an id of 129", message.Message{System: message.System{message.MessageID: strings.Repeat("a", 129)}}, 500, fault.ArgumentInvalid},
		{"an id with a slash", message.Message{System: message.System{message.MessageID: "id/1"}}, 500, 0},
		{"an id with a line feed", message.Message{System: message.System{message.MessageID: "a\nb"}}, 500, fault.ArgumentInvalid},
		{"an ack", message.Message{System: message.System{message.Ack: "none"}}, 500, 0},
		{"another ack", message.Message{System: message.System{message.Ack: "maybe"}}, 500, fault.ArgumentInvalid},
		{"just as large", message.Message{Body: make([]byte, 90), Properties: []message.Property{{Name: "abc", Value: "defg"}}, System: message.System{message.ContentType: "x/y"}}, 100, 0},
		{"a byte more", message.Message{Body: make([]byte, 91), Properties: []message.Property{{Name: "abc", Value: "defg"}}, System: message.System{message.ContentType: "x/y"}}, 100, fault.MessageTooLarge},
	} {
		err := c.m.Check(c.max)
		if c.want == 0 && err != nil || c.want != 0 && fault.Of(err).Code != c.want {
			t.Errorf("%s: %v, want %d", c.name, err, c.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := http.Header{}
	// As clients write them, and net/http reads them.
	for name, value := range map[string]string{
		"IoTHub-MessageId": "id-1", "iothub-contenttype": "application/json", "iothub-contentencoding": "utf-8", "iothub-app-myProp": "a b",
		"iothub-app-iothub-creation-time-utc": "2020-01-01T01:01:01.0000000Z", "iothub-app-iothub-connection-device-id": "other", "Content-Type": "text/plain",
		"iothub-to": "/devices/dev-1/messages/events", "dt-subject": "comp",
	} {
		h[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
	}
	var m message.Message
	if err := m.FromHeader(h); err != nil {
		t.Fatal(err)
	}
	want := message.Message{
		System: message.System{message.MessageID: "id-1", message.ContentType: "application/json", message.ContentEncoding: "utf-8",
			message.To: "/devices/dev-1/messages/events", message.Component: "comp"},
		Properties: []message.Property{{Name: "iothub-creation-time-utc", Value: "2020-01-01T01:01:01.0000000Z"}, {Name: "myprop", Value: "a b"}},
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	for name, value := range map[string]string{"Iothub-App-A": "ü", "Iothub-App-": "x", "Iothub-App-B": "a\tb"} {
		var m message.Message
		if err := m.FromHeader(http.Header{name: {value}}); fault.Of(err).Code != fault.ArgumentInvalid {
			t.Errorf("%s: %q: %v, not ArgumentInvalid", name, value, err)
		}
	}
}

func TestHeadersToDevice(t *testing.T) {
	m := message.Message{System: message.System{message.MessageID: "id", message.Ack: "full", message.ContentType: "text/plain"}}
	m.Set("Name", "value")
	m.Set("no header", "x")
	m.Set("none-either", "ü")
	m.Set("empty", "")
	m.System[message.UserID] = "a\r\niothub-ack: none"
	m.System[message.Expiry] = "2030-01-01T00:00:00Z"
	got := map[string]string{}
	m.SetHeader(got)
	want := map[string]string{"iothub-messageid": "id", "iothub-ack": "full", "iothub-contenttype": "text/plain", "ContentType": "text/plain", "iothub-app-Name": "value",
		"iothub-app-empty": "", "iothub-expiry": "2030-01-01T00:00:00.0000000Z"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestBatches(t *testing.T) {
	list, err := message.ParseBatch([]byte(`[{"body":"YQ=="},{"body":"Yg==","base64Encoded":true,"properties":{"iothub-app-K":"v","iothub-messageid":"m"}},` +
		`{"body":"text","base64Encoded":false,"properties":{"unknown":"x","iothub-app-k":"1","iothub-app-K":"2","iothub-app-iothub-enqueuedtime":"x"}}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []message.Message{
		{Body: []byte("a")},
		{Body: []byte("b"), System: message.System{message.MessageID: "m"}, Properties: []message.Property{{Name: "K", Value: "v"}}},
		{Body: []byte("text"), Properties: []message.Property{{Name: "k", Value: "1"}}},
	}
	if d := cmp.Diff(want, list); d != "" {
		t.Error(d)
	}
	half := `{"base64Encoded":false,"body":"` + strings.Repeat("x", message.MaxD2C/2) + `"}`
	for text, want := range map[string]fault.Code{
		`{}`:           fault.DeserializationError,
		`[{"body":1}]`: fault.DeserializationError,
		`[{}`:          fault.DeserializationError,
		`[{} {}]`:      fault.DeserializationError,
		`[]]`:          fault.DeserializationError,
		``:             fault.DeserializationError,
		`[]`:           0,
		`[` + strings.Repeat(`{},`, 4999) + `{}]`: 0,
		`[` + strings.Repeat(`{},`, 5000) + `{}]`: fault.MessageTooLarge,
		`[{"body":"?"}]`:                                    fault.ArgumentInvalid,
		`[` + half + `,` + half + `]`:                       0,
		`[` + half + `,` + half + `,{"body":"YQ=="}]`:       fault.MessageTooLarge,
		`[{"body":"","properties":{"iothub-app-a b":"x"}}]`: fault.ArgumentInvalid,
	} {
		_, err := message.ParseBatch([]byte(text))
		if want == 0 && err != nil || want != 0 && fault.Of(err).Code != want {
			t.Errorf("%.60s: %v, want %d", text, err, want)
		}
	}
}

func TestJSON(t *testing.T) {
	e := message.Event{
		Message: message.Message{
			System: message.System{message.MessageID: "m", message.ContentType: "application/json", message.ContentEncoding: "UTF-8",
				message.To: "nobody", message.Ack: "none", message.Expiry: "2030-01-01T00:00:00Z"},
			Properties: []message.Property{{Name: "a", Value: `"é`}, {Name: "n", Null: true}}, Body: []byte("{\n\t\"t\": 21.50\n}"),
		},
		DeviceID: "d", ModuleID: "m", GenerationID: "637388034455888246", AuthMethod: message.AuthMethod("module", "sas"), ModelID: "dtmi:x;1",
		Enqueued: time.Date(2026, 11, 24, 10, 0, 0, 123456700, time.UTC),
	}
	const want = `{"EnqueuedTimeUtc":"2026-11-24T10:00:00.1234567Z","Properties":{"a":"\"é","n":null},` +
		`"SystemProperties":{"messageId":"m","contentType":"application/json","contentEncoding":"UTF-8","connectionDeviceId":"d","connectionModuleId":"m",` +
		`"connectionAuthMethod":"{\"scope\":\"module\",\"type\":\"sas\",\"issuer\":\"iothub\",\"acceptingIpFilterRule\":null}",` +
		`"connectionDeviceGenerationId":"637388034455888246","dt-dataschema":"dtmi:x;1","iothub-message-source":"Telemetry","enqueuedTime":"2026-11-24T10:00:00.1234567Z"},` +
		`"Body":{"t":21.50}}`
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for _, c := range []struct{ kind, encoding, body, want string }{
		{"application/json", "utf-8", `{`, `"ew=="`}, // it only says so
		{"application/json", "", `{}`, `"e30="`},
		{"application/json; charset=utf-8", "", `{}`, `{}`},
		{"Application/JSON", "Utf-8", `[1]`, `[1]`},
		{"application/json", "utf-16", `{}`, `"e30="`},
		{"application/json", "utf-8", "\"\xff\"", `"Iv8i"`}, // not UTF-8
		{"text/plain", "utf-8", `{}`, `"e30="`},
	} {
		e := message.Event{Message: message.Message{System: message.System{message.ContentType: c.kind, message.ContentEncoding: c.encoding}, Body: []byte(c.body)}}
		_, got, _ := strings.Cut(string(e.AppendJSON(nil)), `"Body":`)
		if got != c.want+"}" {
			t.Errorf("%s %s %s: body %s, want %s", c.kind, c.encoding, c.body, got, c.want)
		}
	}
}

func TestLookup(t *testing.T) {
	e := message.Event{DeviceID: "d", Message: message.Message{System: message.System{message.ContentType: "x"}}, Source: message.TwinChangeEvents}
	for name, want := range map[string]string{"contentType": "x", "CONTENTTYPE": "x", "connectionDeviceId": "d", "connectionModuleId": "", "iothub-message-source": "twinChangeEvents", "other": ""} {
		if got, ok := e.Lookup(name); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "to", "iothub-ack"} {
		e.System[message.To], e.System[message.Ack] = "x", "none"
		if got, ok := e.Lookup(name); ok {
			t.Errorf("%q is %q, and has no name in conditions", name, got)
		}
	}
	e.Set("Name", "v")
	if n := testing.AllocsPerRun(10, func() { e.Lookup("dt-dataschema"); e.Property("NAME") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if p, ok := e.Property("nAME"); !ok || p.Value != "v" {
		t.Errorf("%v, %v", p, ok)
	}
	if _, ok := e.Property("names"); ok {
		t.Error("found what is not there")
	}
}

func TestNotStored(t *testing.T) {
	e := message.Event{Message: message.Message{Properties: []message.Property{{Name: "a", Value: "b"}}}, DeviceID: "d"}
	good := e.AppendBinary(nil)
	for n := range good {
		if err := new(message.Event).Decode(good[:n]); !errors.Is(err, message.ErrStored) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	const source, mask, count = 1, 16, 18 // where they are in good
	for name, change := range map[string]func(b []byte) []byte{
		"a newer version":          func(b []byte) []byte { b[0] = 2; return b },
		"an unknown source":        func(b []byte) []byte { b[source] = 6; return b },
		"an unknown property":      func(b []byte) []byte { b[mask] = 0x80; return b },
		"more properties than fit": func(b []byte) []byte { return append(b[:count], 0xff, 0xff, 0xff, 0x7f, 0, 0, 0) },
		"a number without end":     func(b []byte) []byte { return append(b[:count], bytes.Repeat([]byte{0xff}, 20)...) },
	} {
		stored := change(slices.Clone(good))
		var e message.Event
		if n := testing.AllocsPerRun(1, func() { e.Decode(stored) }); n > 8 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if err := e.Decode(stored); !errors.Is(err, message.ErrStored) || e.DeviceID != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var m message.Message
	if err := m.Decode([]byte{2, 0, 0, 0}); !errors.Is(err, message.ErrStored) {
		t.Errorf("a newer version: %v", err)
	}
}

func TestStoredForm(t *testing.T) {
	text := rapid.StringN(0, 20, 40)
	rapid.Check(t, func(t *rapid.T) {
		var e message.Event
		for k := range e.System {
			if rapid.Bool().Draw(t, "has") {
				e.System[k] = text.Draw(t, "value")
			}
		}
		for range rapid.IntRange(0, 4).Draw(t, "properties") {
			e.Set("p"+text.Draw(t, "name"), text.Draw(t, "value"))
		}
		e.Body = rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "body")
		e.Source = message.Source(rapid.IntRange(0, 5).Draw(t, "source"))
		e.DeviceID, e.ModuleID, e.GenerationID = text.Draw(t, "device"), text.Draw(t, "module"), text.Draw(t, "generation")
		e.AuthMethod, e.ModelID = text.Draw(t, "auth"), text.Draw(t, "model")
		e.Enqueued = time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 100).UTC()
		var back message.Event
		if err := back.Decode(e.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, back); d != "" {
			t.Fatal(d)
		}
		var m message.Message
		if err := m.Decode(e.Message.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e.Message, m); d != "" {
			t.Fatal(d)
		}
	})
}
