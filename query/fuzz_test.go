package query

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/message"
)

// seeds are corners of the grammar that the golden cases leave out.
var seeds = []string{
	"SELECT TOP (3) *, a.[[b c]]\tAS x-y FROM devices.modules WHERE NOT -a.b * 0x1F >= 'it''s' OR x NIN [ [1], 'a\\u00eb', undefined]",
	"SELECT * WHERE " + strings.Repeat("(", maxDepth-1) + "a" + strings.Repeat(")", maxDepth-1),
	"SELECT * WHERE " + strings.Repeat("NOT ", maxDepth+1) + "a",
	"SELECT * WHERE ARRAY_CONTAINS(a, " + strings.Repeat("[ ", 20) + strings.Repeat("]", 20) + ")",
	"SELECT * WHERE a - -(b - (c - d)) % e / (f * g) = -(-1) AND (a = 1) = (b <> 2)",
	"SELECT * WHERE NOT (a OR b) AND (NOT c OR (d AND e) OR f) OR NOT NOT (g AND h)",
	"SELECT * WHERE x IN [-0, -0x10, 1e-7, 1E+21, 0.10, 'a', \"b\"\"c\", null, false]",
	"SELECT devices.devices.a, devices.modules.modules.b AS $metadata FROM devices.modules WHERE Devices.id = 'x'",
	"select tags.[[group]], tags.$version, count(tags.[[5 g]]) as n, MIN (tags.from) group by tags.[[group]] , tags.$version",
	"SELECT * WHERE STARTSWITH('a' , b) AND IS_DEFINED(configurations.[[a%*!'b]].status)",
	"SELECT * WHERE 'ø\u0000\U0001f600\\ud83d\\ude00\\ud83d' = tags.\u00f8/**/ ",
	"from devices.modules where tags.a=1",
	"tags.a = 1 group by status",
}

// FuzzParse: whatever the text, Parse gives a query whose canonical text is a
// fixed point and which can be run, or an error that can be shown. A Grouper
// gives the same rows.
func FuzzParse(f *testing.F) {
	for _, c := range goldenCases(f) {
		f.Add(c.Q)
	}
	for _, text := range seeds {
		f.Add(text)
	}
	src := fixture(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, start := range []func(*parser) *Query{(*parser).query, (*parser).target} {
			q, err := parse(text, MaxText, start)
			if err != nil {
				checkError(t, text, err)
				continue
			}
			again, err := parse(q.String(), 1<<20, (*parser).query)
			if err != nil || !reflect.DeepEqual(again, q) || again.String() != q.String() {
				t.Fatalf("%q\nprints as %q\nand again as %v (%v)", text, q.String(), again, err)
			}
			page, err := q.Run(t.Context(), src, 3, nil)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if q.aggregates() || q.GroupBy != nil {
				grouped, err := q.Run(t.Context(), columns{memory: src, t: t}, 3, nil)
				if err != nil || !reflect.DeepEqual(grouped, page) {
					t.Fatalf("%q\ngrouped: %v (%v)\nwant %v", text, grouped, err, page)
				}
			}
		}
	})
}

func checkError(t *testing.T, text string, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) || e.Message == "" {
		t.Fatalf("%q: error %#v", text, err)
	}
	if shown := e.Explain(); len(shown) > 2000 || text != "" && !strings.Contains(shown, "^") {
		t.Fatalf("%q: error shows as %q", text, shown)
	}
}

// FuzzValue: texts that are not JSON do no harm, as values and as sort keys.
func FuzzValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x\"]",{"b":null}]}`, `[`, `{"a"`, `{"a":}`, `["`, `"\`, `[]]`, `{1:2}`, `[1 2,,3]`, "-0", "1e999"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		ka, kb := string(sortKey(nil, a)), string(sortKey(nil, b))
		if ka != kb && strings.HasPrefix(kb, ka) {
			t.Errorf("the key of %q begins the key of %q", a, b)
		}
		v, w := ValueOf(a), ValueOf(b)
		if equals(v, w) == True && ka != kb {
			t.Errorf("%q and %q are equal, their keys are not", a, b)
		}
		arrayContains(v, w)
	})
}

// conditionSeeds are corners of conditions that the golden cases leave out.
var conditionSeeds = []string{
	"a!='x'and{ $b }<>\"y\"or not-(3)*4>=.5e-1%-2 ?? null",
	"((null and $body.a[0].b[1][2]) or undefined) = (null or not null) /* */ AND IS_ARRAY($TWIN.Tags.x)",
	"concat('a' || b, 'c' || ('d' || e)) || '' = SUBSTRING(x || $body.y, as_number(z) - 1, 1e999)",
	"1 = 1 = true <> false AND (a = b OR c = d OR (e = f AND g = h)) AND - - 3 < -1e999",
	"twin_change_includes(properties.Reported.a) OR twin_change_includes(tags.b.c)",
	"$ = '$' AND {$body} = {$twin.a} AND a' = 'it\\'s\\u00e6' AND ||| = '' AND 0x = 'x'",
}

// FuzzParseCondition: whatever the text, there is a condition whose canonical text
// is a fixed point, or an error that can be shown.
func FuzzParseCondition(f *testing.F) {
	for _, c := range conditionCases(f) {
		f.Add(c.C)
	}
	for _, text := range conditionSeeds {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text, message.TwinChangeEvents)
		if err != nil {
			checkError(t, text, err)
			return
		}
		if len(c.String()) <= MaxText && strings.Count(text, "(") < maxDepth/2 && strings.Count(text, "|") < maxDepth {
			reparse(t, c, message.TwinChangeEvents)
		}
	})
}

// FuzzCondition: a condition may meet any message; it holds or not, whatever was
// evaluated on the message before, and so does its canonical text.
func FuzzCondition(f *testing.F) {
	for _, c := range conditionCases(f) {
		f.Add(c.C, "utf-8", `{"temp":50,"a":[[1,{"b":"x"}]],"when":"2024-03-05T12:00:00Z"}`, "level", "storage")
	}
	for _, text := range conditionSeeds {
		f.Add(text, "utf-16", "{\x00}\x00", "a!", "1,000")
	}
	twin := fixture(f)[Devices][0]
	f.Fuzz(func(t *testing.T, text, encoding, body, key, value string) {
		c, err := ParseCondition(text, message.TwinChangeEvents)
		if err != nil {
			return
		}
		s := jsonSubject(message.TwinChangeEvents, encoding, body)
		s.Event.Properties = []message.Property{{Name: key, Value: value}, {Name: "bare", Null: true}}
		s.Twin = twin
		first := c.Evaluate(s)
		if again := c.Evaluate(s); again != first {
			t.Fatalf("%s: %v, then %v", c, first, again)
		}
		if same, err := ParseCondition(c.String(), message.TwinChangeEvents); err == nil {
			if got := same.Evaluate(&Subject{Event: s.Event, Twin: twin}); got != first {
				t.Fatalf("%s is %v, %s is %v", text, first, same, got)
			}
		}
	})
}
