package query

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/hubtwin/hubtwin/message"
)

func mustCondition(t testing.TB, text string, source message.Source) *Condition {
	t.Helper()
	c, err := ParseCondition(text, source)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

// jsonSubject is a message with a body that says it is JSON in encoding.
func jsonSubject(source message.Source, encoding, body string) *Subject {
	e := &message.Event{Source: source}
	e.Body = []byte(body)
	e.System[message.ContentType] = "application/json"
	e.System[message.ContentEncoding] = encoding
	return &Subject{Event: e}
}

func inUTF16(order binary.AppendByteOrder, s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func inUTF32(order binary.AppendByteOrder, s string) string {
	var b []byte
	for _, r := range s {
		b = order.AppendUint32(b, uint32(r))
	}
	return string(b)
}

// TestBodies: a body is looked into if it says in which encoding of Unicode its
// JSON is, and if it is so.
func TestBodies(t *testing.T) {
	const body = `{"a":"ø😀","n":[1,{"b":2}]}`
	good := mustCondition(t, "$body.a = 'ø😀' AND $body.n[1].b = 2", message.DeviceMessages)
	looked := mustCondition(t, "$body.a = null", message.DeviceMessages) // undefined if nobody looks into the body
	for _, c := range []struct {
		name, kind, encoding, body string
		want                       Truth
	}{
		{"utf-8", "application/json", "utf-8", body, True},
		{"capitals", "Application/JSON", "UTF-8", body, True},
		{"parameter", "application/json; charset=utf-8", "", body, True},
		{"byte order mark", "application/json", "utf-8", "\xef\xbb\xbf" + body, True},
		{"utf-16", "application/json", "utf-16", inUTF16(binary.LittleEndian, body), True},
		{"utf-16 marked", "application/json", "UTF-16", inUTF16(binary.LittleEndian, "\ufeff"+body), True},
		{"utf-16 big", "application/json", "utf-16", inUTF16(binary.BigEndian, "\ufeff"+body), True},
		{"utf-32", "application/json", "utf-32", inUTF32(binary.LittleEndian, body), True},
		{"utf-32 marked", "application/json", "utf-32", inUTF32(binary.LittleEndian, "\ufeff"+body), True},
		{"utf-32 big", "application/json", "utf-32", inUTF32(binary.BigEndian, "\ufeff"+body), True},
		{"no encoding", "application/json", "", body, Unknown},
		{"base64", "application/json", "base64", body, Unknown},
		{"utf-7", "application/json", "utf-7", body, Unknown},
		{"text", "text/plain", "utf-8", body, Unknown},
		{"no type", "", "utf-8", body, Unknown},
		{"other encoding", "application/json", "utf-8", inUTF16(binary.LittleEndian, body), Unknown},
		{"two texts", "application/json", "utf-8", body + body, Unknown},
		{"blank", "application/json", "utf-8", " ", Unknown},
		{"empty", "application/json", "utf-16", "", Unknown},
		{"deep", "application/json", "utf-8", strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), Unknown},
	} {
		s := jsonSubject(message.DeviceMessages, c.encoding, c.body)
		s.Event.System[message.ContentType] = c.kind
		if got := good.Evaluate(s); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if got := looked.Evaluate(s); (got == Unknown) != (c.want == Unknown) {
			t.Errorf("%s: %s is %v", c.name, looked, got)
		}
	}
}

// TestBodyValues: texts of JSON that are odd.
func TestBodyValues(t *testing.T) {
	for _, c := range []struct {
		body, text string
		want       Truth
	}{
		{` { "a" : [ ] , "b" : { } , "c" : -0 } `, "is_array($body.a) AND is_object($body.b) AND $body.c = 0 AND $body.a[0] = null", True},
		{`{"a":1,"b":{"a":3},"a":2}`, "$body.a = 2 AND $body.b.a = 3", True}, // the last one counts
		{`{"\u0061":"\u0062\n"}`, `length($body.a) = 2 AND starts_with($body.a, 'b')`, True},
		{`{"a":[[1,[2]],{"b":[3]},"x"]}`, "$body.a[0][1][0] = 2 AND $body.a[1].b[0] = 3 AND $body.a[2] = 'x' AND $body.a[3] = null", True},
		{`[{"a":1}]`, "$body.a = null", True},
		{`"a"`, "$body.a = null", True},
		{`{"0":1,"a":{"":2}}`, "$body.0 = 1 AND $body.a[0] = null", True},
		{`{"a":1e400,"b":-1e400}`, "$body.a = 1 / 0 AND $body.b < 0 AND NOT is_number($body.a)", True},
		{"{\"a\":\"\xff\"}", `$body.a = '\ufffd'`, True},
		{`{"a":"2024-03-05T12:00:00"}`, "$body.a = 'x'", Unknown},
		{`{"a":"2024-03-05T12:00:00.1234567+01:00"}`, "$body.a = 'x'", Unknown},
		{`{"a":"2024-03-05T12:00:00.1234567+0100"}`, "$body.a = 'x'", Unknown},
		{`{"a":"2024-03-05"}`, "$body.a = '2024-03-05'", True},
		{`{"a":"2024-03-05 12:00:00"}`, "$body.a = '2024-03-05 12:00:00'", True},
		{`{"a":"2024-13-05T12:00:00Z"}`, "$body.a = '2024-13-05T12:00:00Z'", True},
		{`{"a":"0123456789T123456789"}`, "is_string($body.a)", True},
	} {
		s := jsonSubject(message.DeviceMessages, "utf-8", c.body)
		if got := mustCondition(t, c.text, message.DeviceMessages).Evaluate(s); got != c.want {
			t.Errorf("%s of %s: %v, want %v", c.text, c.body, got, c.want)
		}
	}
}

func TestTwinChangeIncludes(t *testing.T) {
	s := jsonSubject(message.TwinChangeEvents, "utf-8",
		`{"tags":{"x":1},"properties":{"reported":{"w":{"t":50,"gone":null,"at":"2024-03-05T12:00:00Z"}}}}`)
	for text, want := range map[string]Truth{
		"Twin_Change_Includes(properties.reported.w)":                                        True,
		"twin_change_includes(properties.reported.w.t) = true":                               True,
		"twin_change_includes(PROPERTIES.Reported.w.gone)":                                   True, // it was removed
		"twin_change_includes(properties.reported.w.at) AND twin_change_includes ( TAGS.x )": True,
		"twin_change_includes(properties.reported.W)":                                        False,
		"twin_change_includes(properties.desired.w)":                                         False,
	} {
		c := mustCondition(t, text, s.Event.Source)
		if got := c.Evaluate(s); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if !c.UsesBody() {
			t.Errorf("%s does not use the body", text)
		}
		reparse(t, c, s.Event.Source)
	}
	s = jsonSubject(message.TwinChangeEvents, "utf-8", "no JSON")
	if got := mustCondition(t, "twin_change_includes(tags.x)", s.Event.Source).Evaluate(s); got != Unknown {
		t.Errorf("a body that is no JSON: %v", got)
	}
	for _, arg := range []string{"", " ", "tags.", "properties.reported", "123", "tags.a..b", "'tags.a'", "$tags.a", "tags.a, tags.b", "tags.a b", "tags[0]", "tags.a[0]"} {
		_, err := ParseCondition("twin_change_includes("+arg+")", message.TwinChangeEvents)
		wantRefusal(t, err)
	}
	for _, source := range []message.Source{message.DeviceMessages, message.DeviceLifecycleEvents, message.DigitalTwinChangeEvents} {
		if _, err := ParseCondition("twin_change_includes(tags.x)", source); err == nil {
			t.Errorf("%v have the function", source)
		}
	}
}

// TestUses: a condition says whether it asks for body and twin, and how names of
// a twin are found.
func TestUses(t *testing.T) {
	for text, want := range map[string][2]bool{
		"level = 'x'": {}, "$connectionDeviceId = 'x' AND {$body} = 'x'": {}, "$twin = 'x'": {},
		"$body.a = 1": {true, false}, "{$twin.tags.a} = 1": {false, true}, "$BODY.a = $Twin.tags.a": {true, true},
	} {
		c := mustCondition(t, text, message.DeviceMessages)
		if c.UsesBody() != want[0] || c.UsesTwin() != want[1] {
			t.Errorf("%s: body %v, twin %v, want %v", text, c.UsesBody(), c.UsesTwin(), want)
		}
	}
	s := jsonSubject(message.DeviceMessages, "utf-8", "{}")
	if got := mustCondition(t, "$twin.tags.a = null OR is_defined($twin.tags.a)", message.DeviceMessages).Evaluate(s); got != Unknown {
		t.Errorf("without a twin: %v", got)
	}
	s.Twin = newDoc(t, `{"deviceId":"d","tags":{"Site":"Oslo","site":"Bergen","Rooms":["R1",{"Door":"open"}]}}`)
	for text, want := range map[string]Truth{
		"$twin.tags.Site = 'Oslo'": True, "$twin.tags.site = 'Bergen'": True, // the spelling decides, if it is there
		"is_string($twin.tags.SITE)": True, "is_defined($twin.tags.other)": False, "is_defined($twin.properties.desired.a)": False,
		"$twin.tags.rooms[0] = 'R1' AND $twin.Tags.Rooms[1].door = 'open'": True, "is_defined($twin.tags.Rooms[2])": False,
		"is_array($twin.tags.rooms)": True, "$twin.DEVICEID = 'd'": True,
	} {
		if got := mustCondition(t, text, message.DeviceMessages).Evaluate(s); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestSystemProperties(t *testing.T) {
	e := &message.Event{DeviceID: "d", ModuleID: "m", GenerationID: "7", AuthMethod: message.AuthMethod("module", "sas"), ModelID: "dtmi:a;1"}
	e.System = message.System{message.UserID: "u", message.CorrelationID: "c", message.Component: "thermostat", message.To: "/devices/d"}
	e.Properties = []message.Property{{Name: "$own", Value: "1"}, {Name: "$userId", Value: "other"}, {Name: "twin.tags", Value: "x"}}
	s := &Subject{Event: e}
	for _, text := range []string{
		"$connectionDeviceId = 'd' AND $CONNECTIONMODULEID = 'm' AND $connectionDeviceGenerationId = '7'",
		"contains($connectionAuthMethod, 'sas') AND $dt-dataschema = 'dtmi:a;1' AND $dt-subject = 'thermostat'",
		"$userId = 'u' AND {$userid} = 'u' AND $correlationId = 'c' AND NOT is_defined($to)",
		"$OWN = '1' AND NOT is_defined({$own}) AND NOT is_defined($messageId) AND NOT is_defined(userId)",
		"twin.tags = 'x' AND NOT is_defined($twin.tags)",
	} {
		if got := mustCondition(t, text, message.DeviceMessages).Evaluate(s); got != True {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestPropertiesCostNothing: conditions on properties run for every message.
func TestPropertiesCostNothing(t *testing.T) {
	e := messages(t)["m1"].Event
	for _, text := range []string{
		"level = 'storage' AND as_number(severity) >= 2 AND ($connectionModuleId ?? 'none') = 'none'",
		"starts_with(zone-id, 'N') AND NOT contains(level, 'x') AND length(level) = 7 AND index_of(level, 'r') = 3",
		"is_defined(bare) AND $contentType = 'application/json' AND NOT is_defined(missing)",
	} {
		c := mustCondition(t, text, message.DeviceMessages)
		held := 0
		if n := testing.AllocsPerRun(100, func() {
			s := Subject{Event: e}
			if c.Holds(&s) {
				held++
			}
		}); n != 0 || held != 101 {
			t.Errorf("%s: %v allocations, held %d times", text, n, held)
		}
	}
}

// TestConcatIsBounded: a condition can name a large body often.
func TestConcatIsBounded(t *testing.T) {
	s := jsonSubject(message.DeviceMessages, "utf-8", `{"a":"`+strings.Repeat("x", 250<<10)+`"}`)
	for n, want := range map[int]Truth{4: True, 5: False, 700: False} {
		text := "is_defined($body.a" + strings.Repeat(" || $body.a", n-1) + ")"
		if got := mustCondition(t, text, message.DeviceMessages).Evaluate(s); got != want {
			t.Errorf("%d parts: %v, want %v", n, got, want)
		}
	}
}

// TestLargeBody: members are found in a body of the largest size that has as many
// of them as it can.
func TestLargeBody(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`{"list":[`)
	for b.Len() < message.MaxD2C-20 {
		b.WriteString("7,")
	}
	b.WriteString(`8],"last":1}`)
	s := jsonSubject(message.DeviceMessages, "utf-8", b.String())
	n := (b.Len() - len(`{"list":[8],"last":1}`)) / 2
	text := fmt.Sprintf("$body.list[%d] = 8 AND $body.list[%d] = 7 AND $body.list[%d] = null AND $body.last = 1", n, n-1, n+1)
	if got := mustCondition(t, text, message.DeviceMessages).Evaluate(s); got != True {
		t.Errorf("%s: %v", text, got)
	}
}
