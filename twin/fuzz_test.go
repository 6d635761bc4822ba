package twin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/fault"
)

// hostile are bodies of the kinds that have broken parsers before; n is how far
// they go.
func hostile(n int) []string {
	var keys, duplicates strings.Builder
	for i := range n {
		fmt.Fprintf(&keys, `,"k%d":%d`, i, i)
		fmt.Fprintf(&duplicates, `,"k":{"a":%d}`, i)
	}
	return []string{
		`{"tags":{` + keys.String()[1:] + `}}`,
		`{"properties":{"desired":{` + duplicates.String()[1:] + `}}}`,
		strings.Repeat(`{"tags":`, n),
		`{"x":` + strings.Repeat(`[{"a":`, n) + `1` + strings.Repeat(`}]`, n) + `}`,
		strings.Repeat(`{"a":[`, n) + strings.Repeat(`]}`, n),
		"{\"tags\":{\"a\xc2\":\"\xed\xa0\x80\"}}",
		`{"tags":{"a":"\ud800","b":"\udc00\ud800","\ud83d\ude00":"\ud83d\ude00"}}`,
		`{"properties":{"desired":{"n":` + strings.Repeat("9", n) + `,"e":1e999999999}}}`,
		`{"properties":{"desired":{"a":[{"b":[ 1 , null ]}],"c":{"d":null}}},"tags":null}`,
		`{"tags":{"a":"` + strings.Repeat(`\u0007`, n) + `","b":[` + strings.Repeat(`[],`, n) + `{}]}}`,
	}
}

func TestHostileBodies(t *testing.T) {
	for _, body := range hostile(3000) {
		checkBody(t, []byte(body))
	}
}

// FuzzParsePatch gives a body to all three parsers. What they accept must be
// JSON for encoding/json too, what they call no JSON must not be, and what they
// accept must merge, render and store.
func FuzzParsePatch(f *testing.F) {
	for _, body := range hostile(30) {
		f.Add([]byte(body))
	}
	f.Fuzz(checkBody)
}

func checkBody(t *testing.T, body []byte) {
	tw := New(t0)
	patch, err := ParsePatch(body, Rules{})
	checkVerdict(t, body, err)
	if err == nil {
		if next, c, err := tw.Merge(patch, t1); err == nil {
			checkChange(t, next, c)
			tw = next
		}
	}
	replacement, err := ParseReplacement(body, Rules{NoArrays: true})
	checkVerdict(t, body, err)
	if err == nil {
		if next, c, err := tw.Replace(replacement, t1); err == nil {
			checkChange(t, next, c)
			tw = next
		}
	}
	reported, err := ParseReported(body, Rules{})
	if err == nil {
		checkVerdict(t, body, err)
		if next, c, err := tw.Report(reported, t1); err == nil {
			checkChange(t, next, c)
		}
	}
}

// checkVerdict compares what a parser said of body with encoding/json, where
// the two mean the same by JSON: that one lets surrogates and broken UTF-8 pass,
// and stops at 10,000 levels.
func checkVerdict(t *testing.T, body []byte, err error) {
	t.Helper()
	if bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) >= 10_000 {
		return
	}
	valid := json.Valid(body)
	if err == nil && !valid {
		t.Errorf("accepted: %q", body)
	}
	lenient := !utf8.Valid(body) || bytes.Contains(bytes.ToLower(body), []byte(`\ud`))
	if fault.Is(err, fault.IotHubFormatError) && valid && !lenient {
		t.Errorf("%v: %q", err, body)
	}
}

func checkChange(t *testing.T, tw *Twin, c *Change) {
	t.Helper()
	for name, text := range map[string]string{
		"device":       string(tw.AppendDevice(nil)),
		"sections":     "{" + string(tw.AppendSections(nil)) + "}",
		"notification": string(c.AppendDesired(nil)),
		"event":        "{" + event(t, c) + "}",
	} {
		if !json.Valid([]byte(text)) {
			t.Errorf("%s is not JSON: %s", name, text)
		}
	}
	back, err := Decode(tw.AppendBinary(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(back.AppendSections(nil)), string(tw.AppendSections(nil)); got != want {
		t.Errorf("stored\n %s, came back\n %s", want, got)
	}
	if got := string(tw.compact().AppendSections(nil)); got != string(tw.AppendSections(nil)) {
		t.Errorf("compacted\n %s", got)
	}
}

// event is the body of a change's event, by way of its record.
func event(t testing.TB, c *Change) string {
	t.Helper()
	body, err := AppendEvent(nil, c.AppendRecord(nil))
	if err != nil {
		t.Fatalf("the record %q of a change: %v", c.AppendRecord(nil), err)
	}
	return string(body)
}

// FuzzAppendEvent gives any bytes to AppendEvent. What it takes for an update must
// be the members of a JSON object.
func FuzzAppendEvent(f *testing.F) {
	p, err := ParsePatch([]byte(`{"tags":{"a":1},"properties":{"desired":{"b":{"c":null,"d":[1,{}]}}}}`), Rules{})
	if err != nil {
		f.Fatal(err)
	}
	_, c, err := New(t0).Merge(p, t1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.AppendRecord(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := AppendEvent(nil, b)
		if err == nil && b[0] == recordUpdate && !json.Valid([]byte("{"+string(body)+"}")) {
			t.Errorf("%x gives %s", b, body)
		}
	})
}

// FuzzDecode gives any bytes to Decode. What it takes for a twin must be usable
// like one, even if the texts in it are nonsense, and must store to what it was
// read from. A Decoder with used room must agree.
func FuzzDecode(f *testing.F) {
	f.Add(New(t0).AppendBinary(nil))
	f.Add(sample(f, 12, 20).AppendBinary(nil))
	f.Add([]byte("\x01\x01\x02" + "\x00\x00\x00\x00\x02\x0e\x01a\"\\u\x06\x00\x00" + strings.Repeat("\x00", 10)))
	patch, err := ParseReported([]byte(reportedPatch), Rules{})
	if err != nil {
		f.Fatal(err)
	}
	used := string(sample(f, 12, 20).AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		tw, err := Decode(b)
		var decoder Decoder
		decoder.Decode(used)
		if again, verdict := decoder.Decode(string(b)); verdict != err || err == nil && !reflect.DeepEqual(again, tw) {
			t.Errorf("%x: Decode says %v %v, a Decoder %v %v", b, tw, err, again, verdict)
		}
		if err != nil {
			return
		}
		stored := tw.AppendBinary(nil)
		back, err := Decode(stored)
		if err != nil {
			t.Fatalf("%x was read, stored as %x, and is unreadable: %v", b, stored, err)
		}
		if again := back.AppendBinary(nil); !bytes.Equal(again, stored) {
			t.Errorf("stored as\n %x, then as\n %x", stored, again)
		}
		tw.AppendDevice(nil)
		tw.Lookup([]string{"properties"})
		tw.Lookup([]string{"tags", "a"})
		if next, c, err := tw.Report(patch, t1); err == nil {
			AppendEvent(nil, c.AppendRecord(nil)) // refuses what is not JSON
			next.AppendSections(nil)
		}
	})
}
