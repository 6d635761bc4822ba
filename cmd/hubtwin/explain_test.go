package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/client"
)

// TestPlan compares what people see of plans with testdata/plan.
func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name string
		plan client.Plan
	}{
		{"fleet", client.Plan{
			Documents: 1_000_000, Rows: 2474, Microseconds: 312,
			Steps: []client.PlanStep{
				{Predicate: "tags.location.plant = 'Redmond43'", On: "postings", Rows: 12345},
				{Predicate: "properties.reported.connectivity.type = 'cellular'", On: "postings", Rows: 2474},
			},
		}},
		{"everything", client.Plan{Documents: 1, Rows: 1, Microseconds: 4}},
		{"odd", client.Plan{
			Documents: 1234567, Rows: 1, Decoded: 1, Microseconds: 1_500_000,
			Steps: []client.PlanStep{
				{Predicate: "tags.note = 'two\nlines\u009b'", On: "columns+documents", Rows: 1},
				{Predicate: "tags.a = '" + strings.Repeat("x", 80) + "'", On: "nothing", Rows: 0},
			},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got strings.Builder
			if err := printPlan(&got, c.plan); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata/plan", c.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1_000_000: "1,000,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
