package query

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzParse: whatever the text, Parse gives a query whose canonical text is a
// fixed point and which can be run, or an error that can be shown.
func FuzzParse(f *testing.F) {
	for _, c := range goldenCases(f) {
		f.Add(c.Q)
	}
	f.Add("SELECT TOP (3) *, a.[[b c]]\tAS x-y FROM devices.modules WHERE NOT -a.b * 0x1F >= 'it''s' OR x NIN [ [1], 'a\\u00eb', undefined]")
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
			if _, err := q.Run(t.Context(), src, 3, nil); err != nil {
				t.Fatalf("%q: %v", text, err)
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
