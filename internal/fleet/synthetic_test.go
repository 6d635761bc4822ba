package fleet

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/twin"
)

var update = flag.Bool("update", false, "rewrite testdata/synthetic.jsonl")

// Measurements of different days compare only if the fleet stays what it is.
func TestSyntheticTwins(t *testing.T) {
	const name = "testdata/synthetic.jsonl"
	var got strings.Builder
	for _, n := range []int{0, 1, 2, 43, 999_999, 12_345_678} {
		s := NewSynthetic(1, n)
		fmt.Fprintf(&got, `{"deviceId":%q,"tags":%s,"desired":%s,"reported":%s}`+"\n", s.ID, s.Tags, s.Desired, s.Reported)
	}
	if *update {
		if err := os.WriteFile(name, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); d != "" {
		t.Error(d)
	}
}

func TestSyntheticSeeds(t *testing.T) {
	a, b := NewSynthetic(1, 7), NewSynthetic(2, 7)
	if a.ID != b.ID || string(a.Reported) == string(b.Reported) {
		t.Errorf("seeds 1 and 2 give %s %s and %s %s", a.ID, a.Reported, b.ID, b.Reported)
	}
}

// Serials are a permutation of 32-bit numbers, which neighbours cannot show.
func TestSyntheticSerials(t *testing.T) {
	a, b := NewSynthetic(1, 5).Tags, NewSynthetic(1, 5+1<<31).Tags
	if got := string(a[:len(`{"serial":"SN-12345678"`)]); strings.HasPrefix(string(b), got) {
		t.Errorf("two twins have %s", got)
	}
}

// synthetic is what the tests look at in a synthetic twin.
type synthetic struct {
	Tags struct {
		Serial   string
		Location struct{ Plant, Region string }
		Contract *string
		Ring     string
		Slot     any
	}
	Desired struct {
		Firmware struct{ Version string }
	}
	Reported struct {
		Firmware     struct{ Version string }
		Connectivity struct{ Type string }
		Temperature  float64
		Battery      *int
		LastError    *struct{ Code int }
	}
}

// TestSyntheticShares holds what the comment of Synthetic promises against many
// twins. They follow from the seed, so the counts are always the same.
func TestSyntheticShares(t *testing.T) {
	const twins = 50_000
	counts := map[string]int{}
	serials := map[string]bool{}
	last := ""
	for n := range twins {
		s := NewSynthetic(1, n)
		if s.ID <= last {
			t.Fatalf("%s comes after %s", s.ID, last)
		}
		last = s.ID
		var d synthetic
		for _, section := range []struct {
			text []byte
			into any
		}{{s.Tags, &d.Tags}, {s.Desired, &d.Desired}, {s.Reported, &d.Reported}} {
			if err := json.Unmarshal(section.text, section.into); err != nil {
				t.Fatalf("%s: %v: %s", s.ID, err, section.text)
			}
			counts["bytes"] += len(section.text)
			counts["leaves"] += leaves(t, section.text)
		}
		serials[d.Tags.Serial] = true
		for what, holds := range map[string]bool{
			"plant":      d.Tags.Location.Plant == "Redmond43",
			"two":        d.Tags.Location.Plant == "Redmond43" && d.Reported.Connectivity.Type == "cellular",
			"cellular":   d.Reported.Connectivity.Type == "cellular",
			"stable":     d.Tags.Ring == "stable",
			"contract":   d.Tags.Contract != nil,
			"hot":        d.Reported.Temperature > 85,
			"battery":    d.Reported.Battery != nil,
			"lastError":  d.Reported.LastError != nil,
			"up to date": d.Desired.Firmware.Version == d.Reported.Firmware.Version,
			"region":     d.Tags.Location.Region == "us-west",
		} {
			if holds {
				counts[what]++
			}
		}
		counts[fmt.Sprintf("slot %T", d.Tags.Slot)]++
	}
	if len(serials) != twins {
		t.Errorf("%d serials for %d twins", len(serials), twins)
	}
	for what, share := range map[string][2]float64{ // least and most, for each twin
		"bytes":        {900, 1100},
		"leaves":       {34, 36},
		"plant":        {.0070, .0082},
		"two":          {.0022, .0031},
		"cellular":     {.32, .34},
		"stable":       {.79, .81},
		"contract":     {.39, .41},
		"hot":          {.0004, .0012},
		"battery":      {.74, .76},
		"lastError":    {.11, .13},
		"up to date":   {.85, .88},
		"slot float64": {.39, .41},
		"slot string":  {.29, .31},
		"slot bool":    {.09, .11},
		"slot <nil>":   {.19, .21},
	} {
		if got := float64(counts[what]) / twins; got < share[0] || got > share[1] {
			t.Errorf("%s: %.4f, not within %v", what, got, share)
		}
	}
}

// leaves counts values that are no objects; an array is one.
func leaves(t *testing.T, text []byte) (n int) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for _, v := range members {
		if v[0] == '{' {
			n += leaves(t, v)
		} else {
			n++
		}
	}
	return n
}

// The hub must take every section as it is.
func TestSyntheticIsATwin(t *testing.T) {
	for n := range 100 {
		s := NewSynthetic(3, n)
		body := fmt.Appendf(nil, `{"tags":%s,"properties":{"desired":%s}}`, s.Tags, s.Desired)
		if _, err := twin.ParseReplacement(body, twin.Rules{}); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if _, err := twin.ParseReported(s.Reported, twin.Rules{}); err != nil {
			t.Errorf("%s: %v", s.Reported, err)
		}
	}
}

func BenchmarkSynthetic(b *testing.B) {
	for n := 0; b.Loop(); n++ {
		NewSynthetic(1, n)
	}
}
