package docs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestLimits: the page about queries has the limits that the code has.
func TestLimits(t *testing.T) {
	page := read(t, "docs/queries.md")
	for _, c := range []struct {
		file, name string
		unit       int64
		says       string
	}{
		{"query/parser.go", "MaxText", 1, "| text of a query | %s characters |"},
		{"query/parser.go", "maxDepth", 1, "| nesting of its condition | %s deep |"},
		{"query/run.go", "MaxPage", 1, "| rows of a page | %s; "},
		{"query/run.go", "DefaultPage", 1, "; %s if nothing is asked for |"},
		{"query/run.go", "maxPageBytes", 1 << 20, "| bytes of a page | %s MiB |"},
		{"query/group.go", "maxGroups", 1, "| groups of a query | %s, "},
		{"query/group.go", "maxGroupBytes", 1 << 20, ", and %s MiB of them |"},
		{"hub/queries.go", "QueryTime", 1, "| time for a page | %s s |"},
		{"hub/queries.go", "QueryTime", 1, "wait for it, up to %s s,"},
		{"hub/queries.go", "QueryDocuments", 1, "| twins that a page may look at, beyond what columns decide | %s |"},
		{"index/index.go", "MaxPaths", 1, "| paths with columns | %s of devices, "},
		{"index/index.go", "MaxBytes", 1 << 30, "| memory of all columns | %s GiB |"},
	} {
		n, err := setting(read(t, c.file), c.name)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if want := fmt.Sprintf(c.says, withCommas(n/c.unit)); !strings.Contains(page, want) {
			t.Errorf("docs/queries.md does not say %q", want)
		}
	}
}

// setting finds what a source text sets a name to: a number, one that is shifted,
// or seconds.
func setting(code, name string) (int64, error) {
	m := regexp.MustCompile(`\b` + name + ` += ([0-9_]+)(?: << ([0-9]+)| \* time\.Second)?\n`).FindStringSubmatch(code)
	if m == nil {
		return 0, fmt.Errorf("there is no %s = number", name)
	}
	n, err := strconv.ParseInt(m[1], 0, 64)
	if err != nil || m[2] == "" {
		return n, err
	}
	shift, err := strconv.Atoi(m[2])
	return n << shift, err
}

// withCommas writes 1234567 as 1,234,567.
func withCommas(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%s,%03d", withCommas(n/1000), n%1000)
}

func TestSetting(t *testing.T) {
	const code = "\tA = 8192\n\tmaxA     = 8 << 20\n\tB = 100_000\n\tT = 30 * time.Second\n"
	for name, want := range map[string]string{"A": "8,192", "maxA": "8,388,608", "B": "100,000", "T": "30"} {
		if n, err := setting(code, name); err != nil || withCommas(n) != want {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if _, err := setting(code, "C"); err == nil {
		t.Error("what is not there has a value")
	}
}
