package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/query"
)

// The hub must take every question, and every count of one.
func TestQuestions(t *testing.T) {
	all := questions(samples{serial: "SN-1234ABCD", prefix: "SN-123", active: "2026-01-01T00:00:00Z", reported: "2026-01-01T00:00:00Z"})
	names := map[string]bool{}
	for _, q := range all {
		if names[q.Name] {
			t.Errorf("%s is there twice", q.Name)
		}
		names[q.Name] = true
		if (q.Lite == "") != (q.counts().sqlite() == "") || (q.Lite == "") != (q.sqlite() == "") {
			t.Errorf("%s: SQLite is asked %q and %q", q.Name, q.sqlite(), q.counts().sqlite())
		}
		texts := []string{q.Hub}
		if q.Page > 0 {
			texts = append(texts, q.counts().Hub)
			if !strings.HasPrefix(q.counts().SQL, "SELECT count(*) AS n FROM (SELECT") || strings.Contains(q.counts().postgres(), "LIMIT") {
				t.Errorf("%s: count by %s", q.Name, q.counts().postgres())
			}
		} else if strings.Contains(q.postgres(), "LIMIT") {
			t.Errorf("%s: %s", q.Name, q.postgres())
		}
		for _, text := range texts {
			if _, err := query.Parse(text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	if len(all) < 14 {
		t.Errorf("%d questions only", len(all))
	}
}

func TestSameRows(t *testing.T) {
	for _, test := range []struct {
		name   string
		ours   string // a JSON array
		theirs []map[string]any
		same   bool
	}{
		{"in another order", `[{"n":3},{"n":2},{"n":4}]`, []map[string]any{{"n": int64(4)}, {"n": int64(2)}, {"n": int64(3)}}, true},
		{"another count", `[{"s":"a","n":1}]`, []map[string]any{{"s": "a", "n": int64(2)}}, false},
		{"another group", `[{"s":"a","n":1}]`, []map[string]any{{"s": "b", "n": int64(1)}}, false},
		{"a group too many", `[{"n":1}]`, []map[string]any{{"n": int64(1)}, {"n": int64(1)}}, false},
		{"missing is null", `[{"n":1}]`, []map[string]any{{"s": nil, "n": int64(1)}}, true},
		{"missing is no text", `[{"n":1}]`, []map[string]any{{"s": "", "n": int64(1)}}, false},
		{"a number is no text", `[{"s":1}]`, []map[string]any{{"s": "1"}}, false},
		{"the last digits of a mean", `[{"m":45.00000000000001}]`, []map[string]any{{"m": 45.0}}, true},
		{"more than the last digits", `[{"m":45.0001}]`, []map[string]any{{"m": 45.0}}, false},
	} {
		var ours []json.RawMessage
		if err := json.Unmarshal([]byte(test.ours), &ours); err != nil {
			t.Fatal(err)
		}
		if err := sameRows(ours, test.theirs); (err == nil) != test.same {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i))
	}
	for _, test := range []struct {
		sorted []time.Duration
		q      float64
		want   time.Duration
	}{{nil, .5, 0}, {hundred[:1], .99, 0}, {hundred, .5, 50}, {hundred, .99, 99}, {hundred, 1, 99}} {
		if got := quantile(test.sorted, test.q); got != test.want {
			t.Errorf("%v of %d values is %d, not %d", test.q, len(test.sorted), got, test.want)
		}
	}
}

func TestTimes(t *testing.T) {
	if got := (times{}).median(); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
	if got := (times{9 * time.Millisecond, 1234567, 1 * time.Microsecond}).median(); got != 1234.6 {
		t.Errorf("median %v", got)
	}
}

func TestFigures(t *testing.T) {
	for us, want := range map[float64]string{0: "", 0.4: "0.4 µs", 12.3: "12.3 µs", 999: "999 µs", 1234: "1.23 ms", 2.5e6: "2.5 s"} {
		if got := micros(us); got != want {
			t.Errorf("%v µs: %q, not %q", us, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %q, not %q", n, got, want)
		}
	}
}

// A folder is used again only for the fleet that was loaded into it to the end.
func TestFleetNote(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hub")
	f := specify(1, 1000)
	if there, err := f.holds(dir); there || err != nil {
		t.Errorf("a folder that is not there: %v, %v", there, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "store"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.holds(dir); err == nil {
		t.Error("a load that was broken off counts")
	}
	if err := f.finish(dir); err != nil {
		t.Fatal(err)
	}
	if there, err := f.holds(dir); !there || err != nil {
		t.Errorf("after the load: %v, %v", there, err)
	}
	for _, other := range []fleetSpec{specify(2, 1000), specify(1, 2000), {f.Seed, f.Twins, "00"}} {
		if _, err := other.holds(dir); err == nil {
			t.Errorf("%+v counts as %+v", f, other)
		}
	}
}
