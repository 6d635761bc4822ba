package twin

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/fault"
)

var deep = strings.Repeat(`{"a":[`, 60_000)

// Bodies that are not JSON, or that are no object. patch and device are the
// codes that a back end and a device get; 0 means that the body is accepted.
func TestParseRefusals(t *testing.T) {
	const format, invalid, missing = fault.IotHubFormatError, fault.ArgumentInvalid, fault.ArgumentNull
	for _, c := range []struct {
		body          string
		patch, device fault.Code
	}{
		{``, missing, invalid},
		{" \r\n\t", missing, invalid},
		{`null`, missing, invalid},
		{` null `, missing, invalid},
		{`nul`, format, invalid},
		{`{`, format, invalid},
		{`}`, format, invalid},
		{`[1]`, invalid, invalid},
		{`[1`, format, invalid},
		{`"text"`, invalid, invalid},
		{`7`, invalid, invalid},
		{`{}x`, format, invalid},
		{`{} {}`, format, invalid},
		{"{}\x00", format, invalid},
		{"\x00", format, invalid},
		{"\ufeff{}", format, invalid},
		{`{}` + "\n", 0, 0},
		{`{"tags":{"a":1,}}`, format, invalid},
		{`{"tags":{"a":1 "b":2}}`, format, invalid},
		{`{"tags":{"a" 1}}`, format, invalid},
		{`{"tags":{a:1}}`, format, invalid},
		{`{"tags":{"a":01}}`, format, invalid},
		{`{"tags":{"a":-}}`, format, invalid},
		{`{"tags":{"a":1.}}`, format, invalid},
		{`{"tags":{"a":.5}}`, format, invalid},
		{`{"tags":{"a":1e}}`, format, invalid},
		{`{"tags":{"a":+1}}`, format, invalid},
		{`{"tags":{"a":True}}`, format, invalid},
		{`{"tags":{"a":NaN}}`, format, invalid},
		{`{"tags":{"a":[1,]}}`, format, invalid},
		{`{"tags":{"a":[1}}}`, format, invalid},
		{`{"tags":{"a":'x'}}`, format, invalid},
		{`{"tags":{"a":"\x"}}`, format, invalid},
		{`{"tags":{"a":"\u12g4"}}`, format, invalid},
		{`{"tags":{"a":"\u12"}}`, format, invalid},
		{"{\"tags\":{\"a\":\"\\u001\x10\"}}", format, invalid},
		{`{"tags":{"a":"\ud800"}}`, format, invalid},
		{`{"tags":{"a":"\ud800x"}}`, format, invalid},
		{`{"tags":{"a":"\ud800\u0041"}}`, format, invalid},
		{`{"tags":{"a":"\udc00\ud800"}}`, format, invalid},
		{`{"tags":{"\ud800":1}}`, format, invalid},
		{`{"tags":{"a":"\ud83d\ude00\ufffd"}}`, 0, 0},
		{"{\"tags\":{\"a\":\"\xff\"}}", format, invalid},
		{"{\"tags\":{\"a\xc2\":1}}", format, invalid},
		{"{\"tags\":{\"a\":\"\n\"}}", format, invalid},
		{"{\"tags\":{\"a\":\"\x7f\"}}", 0, 0},
		{`{"tags":{"a.b":1}`, format, invalid}, // broken JSON outranks what else is wrong
		{`{"tags":{"a.b":1},"x":[}`, format, invalid},
		{deep, format, invalid},
		{`{"unknown":` + deep + `1` + strings.Repeat(`]}`, 60_000) + `}`, 0, invalid},
		{`{"unknown":{"a":[],"b":{},"c":[{},[]],"d":"\"","e":-0.1e+5,"f":null}}`, 0, 0},
		{`{"unknown":{"a":[{}}}}`, format, invalid},
	} {
		_, err := ParsePatch([]byte(c.body), Rules{})
		codeIs(t, "PATCH", c.body, err, c.patch)
		_, err = ParseReplacement([]byte(c.body), Rules{})
		codeIs(t, "PUT", c.body, err, c.patch)
		_, err = ParseReported([]byte(c.body), Rules{})
		codeIs(t, "device", c.body, err, c.device)
	}
}

func codeIs(t *testing.T, who, body string, err error, want fault.Code) {
	t.Helper()
	if want == 0 {
		if err != nil {
			t.Errorf("%s %.60q: %v", who, body, err)
		}
		return
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != want {
		t.Errorf("%s %.60q: want code %d, got %v", who, body, want, err)
	}
}

// Values on both sides of their limits, as a member of the reported properties.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name, member string
		ok           bool
	}{
		{"least integer", `"n":-4503599627370496`, true},
		{"below the least integer", `"n":-4503599627370497`, false},
		{"greatest integer", `"n":4503599627370495`, true},
		{"unsigned 64 bits", `"n":18446744073709551615`, false},
		{"integer of a thousand digits", `"n":1` + strings.Repeat("0", 1000), false},
		{"integer in an array", `"n":[4503599627370496]`, false},
		{"double above the greatest integer", `"n":4503599627370496.0`, true},
		{"double with exponent", `"n":45e99`, true},
		{"key of escapes", `"` + strings.Repeat(`\u00e9`, 512) + `":1`, true},
		{"key of escapes, too long", `"` + strings.Repeat(`\u00e9`, 513) + `":1`, false},
		{"escaped control character in a key", `"a\u0085":1`, false},
		{"plain C1 control character in a key", "\"a\u009f\":1", false},
		{"no-break space in a key", "\"a\u00a0\":1", true},
		{"delete character in a key", "\"a\x7f\":1", false},
		{"quote and backslash in a key", `"a\"\\":1`, true},
		{"escaped dollar in a key", `"\u0024version":1`, false},
		{"bad key in an array", `"l":[{"a.b":1}]`, false},
		{"reserved key in an array", `"l":[{"$version":1}]`, false},
		{"string of escapes", `"s":"` + strings.Repeat(`\u00e9`, 2048) + `"`, true},
		{"string of escapes, too long", `"s":"` + strings.Repeat(`\u00e9`, 2048) + `a"`, false},
		{"long string in an array", `"l":[["` + strings.Repeat("x", 4097) + `"]]`, false},
		{"ten levels", `"a":` + strings.Repeat("[", 10) + strings.Repeat("]", 10), true},
		{"eleven levels", `"a":` + strings.Repeat("[", 11) + strings.Repeat("]", 11), false},
		{"eleven levels of both", `"a":` + strings.Repeat(`{"a":[`, 6) + strings.Repeat(`]}`, 6), false},
		{"a hundred thousand levels", `"a":` + strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5), false},
	} {
		_, err := ParseReported([]byte("{"+c.member+"}"), Rules{})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestRefusalTexts(t *testing.T) {
	for _, c := range []struct{ via, body, want string }{
		{"device", `{"l":[1,null]}`, "Value of Property or Tag cannot be null. Error inProperty/Tag l"},
		{"device", `{"l":[{"k":null}]}`, "Value of Property or Tag cannot be null. Error inProperty/Tag k"},
		{"PUT", `{"properties":{"desired":null}}`, "Value of Property or Tag cannot be null. Error in Property/Tag desired"},
		{"PUT", `{"tags":{"a.b":null}}`, "Property or Tag name has invalid characters. Error in Property/Tag a.b. Must not contain Control Characters, '.', '$', '#', or ' '."},
		{"PUT", `{"tags":{"a":null,"b.c":1}}`, "Value of Property or Tag cannot be null. Error in Property/Tag a"},
		{"PATCH", `{"tags":"x"}`, "Provided json is not a valid 'tags' or 'properties' object."},
		{"PATCH", `{"properties":1}`, "Provided json is not a valid 'tags' or 'properties' object."},
		{"old PATCH", `{"tags":{"l":[]}}`, "Provided json is not a valid 'tags' or 'properties' object: arrays are not supported."},
		{"PATCH", `{"tags":{"$version":1,"o":{"$version":1}}}`, "Property or Tag name has invalid characters. Error in Property/Tag $version. Must not contain Control Characters, '.', '$', '#', or ' '."},
		{"PATCH", `{"tags":{"$etag":"x"}}`, "Property or Tag name has invalid characters. Error in Property/Tag $etag. Must not contain Control Characters, '.', '$', '#', or ' '."},
	} {
		var err error
		switch c.via {
		case "device":
			_, err = ParseReported([]byte(c.body), Rules{})
		case "PUT":
			_, err = ParseReplacement([]byte(c.body), Rules{})
		case "PATCH":
			_, err = ParsePatch([]byte(c.body), Rules{})
		case "old PATCH":
			_, err = ParsePatch([]byte(c.body), Rules{NoArrays: true})
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %s: want\n %s, got\n %v", c.via, c.body, c.want, err)
		}
	}
}

// A message never repeats a key without bound.
func TestLongKeyInMessage(t *testing.T) {
	_, err := ParseReported([]byte(`{"`+strings.Repeat("é.", 50_000)+`":1}`), Rules{})
	if err == nil || len(err.Error()) > 300 || !strings.HasSuffix(err.Error(), "…") {
		t.Errorf("got %v", err)
	}
}

// The last of several equal keys wins, at the place of the first: in few
// members and in many, at the root, around and within sections.
func TestDuplicateKeys(t *testing.T) {
	var many, want strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, `,"k%d":%d`, i%1000, i)
		if i < 1000 {
			fmt.Fprintf(&want, `,"k%d":%d`, i, 2000+i)
		}
	}
	for _, c := range []struct{ body, tags, desired string }{
		{`{"tags":{"a":1,"b":2,"a":3}}`, `{"a":3,"b":2}`, `{}`},
		{`{"tags":{"a":1,"\u0061":{"x":1}}}`, `{"a":{"x":1}}`, `{}`},
		{`{"tags":{"a":1},"tags":{"b":1}}`, `{"b":1}`, `{}`},
		{`{"tags":{"o":{"x":1},"o":{"y":1}}}`, `{"o":{"y":1}}`, `{}`},
		{`{"properties":{"desired":{"a":1}},"properties":{"desired":{"b":1},"desired":{"c":1}}}`, `{}`, `{"c":1}`},
		{`{"properties":{"desired":{` + many.String()[1:] + `}}}`, `{}`, `{` + want.String()[1:] + `}`},
	} {
		p, err := ParsePatch([]byte(c.body), Rules{})
		if err != nil {
			t.Fatal(err)
		}
		tags, desired := string(appendObject(nil, p.tags.members)), string(appendObject(nil, p.desired.members))
		if tags != c.tags || desired != c.desired {
			t.Errorf("%.80s: want\n %.200s %.200s, got\n %.200s %.200s", c.body, c.tags, c.desired, tags, desired)
		}
	}
}

// Text stays as it was written, but for white space between the tokens of
// arrays and escapes in keys.
func TestTextIsKept(t *testing.T) {
	body := `{ "n" : 1.10 , "s" : "\u0041\/\n" , "l" : [ 1.0 , "a \" b" , { "k" : [ ] } ] , "\u0041\"\\" : { } }`
	want := `{"n":1.10,"s":"\u0041\/\n","l":[1.0,"a \" b",{"k":[]}],"A\"\\":{}}`
	tw := mustApply(t, New(t0), "devPatch", body, t1)
	if got := string(appendObject(nil, tw.reported.members)); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
}

// The size formula of twin-semantics section 5.
func TestWeigh(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want int
	}{
		{`true`, 4}, {`false`, 4}, {`0`, 8}, {`-1.5e+300`, 8}, {`""`, 0}, {`"abc"`, 3}, {`"é"`, 2},
		{`"\u00e9\"\ud83d\ude00"`, 2 + 1 + 4},
		{`"a\n\u0007\u007f\u0085b"`, 2},
		{"\"a\x7f\u009f\u00a0b\"", 4},
		{`[]`, 0}, {`[1,"a",true,[false],{"k":"vw","l":{}}]`, 8 + 1 + 4 + 4 + 1 + 2 + 1},
	} {
		if got := weigh(c.raw); got != c.want {
			t.Errorf("%q: want %d, got %d", c.raw, c.want, got)
		}
	}
}

// What a back end reads it may send back, changed or not.
func TestWholeTwinAsBody(t *testing.T) {
	tw := sample(t, 30, 34)
	body := append(tw.AppendSections([]byte(`{"deviceId":"d","etag":"AAA=","status":"enabled",`)), '}')
	p, err := ParsePatch(body, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	next, change, err := tw.Merge(p, t1)
	if err != nil {
		t.Fatal(err)
	}
	if contents(next) != contents(tw) || change.Void() || next.ReportedVersion() != tw.ReportedVersion() {
		t.Errorf("want\n %s, got\n %s", contents(tw), contents(next))
	}
}
