package simulate

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A time falls into the bucket that stands for it, to 6 %.
func TestBuckets(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < 20*time.Hour; d += max(time.Microsecond, d/50) {
		n := bucket(d)
		if n < last {
			t.Fatalf("%s is in bucket %d, below %d", d, n, last)
		}
		last = n
		if got := middle(n); (got - d).Abs() > max(time.Microsecond, d/16) {
			t.Fatalf("%s is counted as %s", d, got)
		}
	}
	if n := bucket(1 << 62); n != len(histogram{}.buckets)-1 {
		t.Errorf("the longest time is in bucket %d", n)
	}
}

func TestLatency(t *testing.T) {
	var h histogram
	if l := h.latency(); l != (Latency{}) {
		t.Errorf("of nothing: %+v", l)
	}
	for n := range 1000 {
		h.add(time.Duration(n+1) * time.Millisecond)
	}
	l := h.latency()
	if l.Count != 1000 || l.Max != Duration(time.Second) {
		t.Errorf("got %+v", l)
	}
	for _, q := range []struct {
		got  Duration
		want time.Duration
	}{{l.P50, 500 * time.Millisecond}, {l.P95, 950 * time.Millisecond}, {l.P99, 990 * time.Millisecond}} {
		if d := (time.Duration(q.got) - q.want).Abs(); d > q.want/16 {
			t.Errorf("%s, not %s", time.Duration(q.got), q.want)
		}
	}
}

// Errors have bounds: what a hub may say is not bounded.
func TestErrorKinds(t *testing.T) {
	var e errorCounts
	for n := range 100 {
		e.add(fmt.Sprint(n))
	}
	if len(e.kinds) != maxErrors+1 || e.kinds["others"] != 100-maxErrors || e.count() != 100 {
		t.Errorf("%d kinds, %d others, %d in all", len(e.kinds), e.kinds["others"], e.count())
	}
}

func TestScenario(t *testing.T) {
	s, err := Read([]byte(`{"devices": 500, "report": "1m30s", "create": true}`))
	want := Usual()
	want.Devices, want.Report, want.Create = 500, Duration(90*time.Second), true
	if err != nil || s != want {
		t.Errorf("got %+v, %v", s, err)
	}
	for text, says := range map[string]string{
		`{"device": 5}`:                "unknown field",
		`{"devices": 5} {}`:            "behind the scenario's end",
		`{"report": "often"}`:          "invalid duration",
		`[]`:                           "cannot unmarshal",
		`{"devices": 0}`:               "devices: 0",
		`{"devices": 100001}`:          "devices: 100001",
		`{"prefix": "a/b"}`:            "prefix",
		`{"ramp": -1}`:                 "ramp",
		`{"methods": 1e9}`:             "methods",
		`{"telemetry": "1us"}`:         "telemetry: 1µs",
		`{"drop": "-1s"}`:              "drop",
		`{"messages": -1}`:             "messages",
		`{"devices":-1,"messages":-1}`: "messages: -1",
	} {
		s, err := Read([]byte(text))
		if err == nil {
			err = s.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// Values stay within their bounds, and change.
func TestSensors(t *testing.T) {
	s := newSensors(1, 7, ofReports)
	seen := map[string]bool{}
	for range 10_000 {
		text := string(s.append(nil))
		seen[text[strings.Index(text, "temp"):]] = true
		if s.temperature.value < -20 || s.temperature.value > 60 || s.humidity.value < 0 || s.humidity.value > 100 {
			t.Fatalf("got %s", text)
		}
	}
	if len(seen) < 1000 {
		t.Errorf("%d values only", len(seen))
	}
}
