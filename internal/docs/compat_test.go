package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// page is what docs/compat.md says, as far as it can be checked.
type page struct {
	text   string
	labels []string            // of sources
	bases  []string            // "live" and so on
	golden map[string][]string // first letters of case ids to files
	rows   []row
}

type row struct{ id, behaviour, source, basis, evidence string }

var (
	rowID    = regexp.MustCompile(`\b(?:AUTH|REG|TWIN|QRY|MQTT|REST|EVT|DUR|MSG|C2D|CND|TEL|LOG|MOD|MTH|X509|JOB|BLK|RTE|ENR|FLT|FIL)-\d\d\b`)
	caseID   = regexp.MustCompile(`^([A-Z])(\d+)$`)
	quoted   = regexp.MustCompile("`([^`]+)`")
	namesOne = regexp.MustCompile(`^[a-z0-9/]+\.Test\w+(/.+)?$|^\w+\.test\.js: [^…]`)
)

func parsePage(text string) (*page, error) {
	p := &page{text: text, golden: map[string][]string{}}
	for _, cells := range table(text, "Label") {
		p.labels = append(p.labels, strings.Split(cells[0], ", ")...)
	}
	for _, cells := range table(text, "Basis") {
		p.bases = append(p.bases, cells[0])
	}
	for _, cells := range table(text, "Ids") {
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			if strings.Contains(m[1], "/") {
				p.golden[cells[0][:1]] = append(p.golden[cells[0][:1]], m[1])
			}
		}
	}
	for _, c := range table(text, "Id") {
		if len(c) != 5 {
			return nil, fmt.Errorf("row %q has %d cells, want 5", c[0], len(c))
		}
		p.rows = append(p.rows, row{c[0], c[1], c[2], c[3], c[4]})
	}
	return p, nil
}

// faults lists what is wrong with the page. known are the ids of all golden
// cases.
func (p *page) faults(w *tree, known []string) (list []string) {
	fault := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	used := map[string]bool{}
	last := map[string]string{} // group to the newest id
	for _, r := range p.rows {
		group, number, ok := strings.Cut(r.id, "-")
		switch {
		case !ok || !rowID.MatchString(r.id):
			fault("%q is no id of a row", r.id)
		case number <= last[group]:
			fault("%s stands after %s-%s", r.id, group, last[group])
		}
		last[group] = max(last[group], number)
		for _, s := range strings.Split(r.source, ", ") {
			if !slices.Contains(p.labels, s) {
				fault("%s: source %q has no label", r.id, s)
			}
		}
		if !slices.Contains(p.bases, r.basis) {
			fault("%s: basis %q is not explained", r.id, r.basis)
		}
		if r.behaviour == "" || r.evidence == "" {
			fault("%s lacks its behaviour or its evidence", r.id)
		}
		list = append(list, r.evidenceFaults(known, used)...)
	}
	for _, m := range quoted.FindAllStringSubmatch(p.text, -1) {
		if namesOne.MatchString(m[1]) && !w.hasTest(m[1]) {
			fault("there is no test %s", m[1])
		}
	}
	for _, id := range known {
		if !used[id] {
			fault("no row has the case %s", id)
		}
	}
	for id, files := range w.cited {
		if !slices.ContainsFunc(p.rows, func(r row) bool { return r.id == id }) {
			fault("%s cites %s, which is no row", strings.Join(files, ", "), id)
		}
	}
	for _, id := range rowID.FindAllString(p.text, -1) {
		if !slices.ContainsFunc(p.rows, func(r row) bool { return r.id == id }) {
			fault("the page cites %s, which is no row", id)
		}
	}
	return list
}

// evidenceFaults checks a list of tests in quotes, case ids, and ranges of them.
func (r row) evidenceFaults(known []string, used map[string]bool) (list []string) {
	for _, m := range quoted.FindAllStringSubmatch(r.evidence, -1) {
		if !namesOne.MatchString(m[1]) {
			list = append(list, fmt.Sprintf("%s: %q does not name a test", r.id, m[1]))
		}
	}
	for _, item := range strings.Split(quoted.ReplaceAllString(r.evidence, ""), ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		ids, err := expand(item)
		if err != nil {
			list = append(list, fmt.Sprintf("%s: %v", r.id, err))
		}
		for _, id := range ids {
			used[id] = true
			if !slices.Contains(known, id) {
				list = append(list, fmt.Sprintf("%s: there is no case %s", r.id, id))
			}
		}
	}
	return list
}

// expand gives the ids from "T007" or "T007…T009".
func expand(item string) (ids []string, err error) {
	from, to, isRange := strings.Cut(item, "…")
	if !isRange {
		to = from
	}
	a, b := caseID.FindStringSubmatch(from), caseID.FindStringSubmatch(to)
	if a == nil || b == nil || a[1] != b[1] || len(a[2]) != len(b[2]) {
		return nil, fmt.Errorf("%q is neither a test in quotes nor an id", item)
	}
	first, _ := strconv.Atoi(a[2])
	last, _ := strconv.Atoi(b[2])
	if last < first || last-first > 999 {
		return nil, fmt.Errorf("%q is no range", item)
	}
	for n := first; n <= last; n++ {
		ids = append(ids, fmt.Sprintf("%s%0*d", a[1], len(a[2]), n))
	}
	return ids, nil
}

// TestCompat holds docs/compat.md against the tree.
func TestCompat(t *testing.T) {
	p, err := parsePage(read(t, "docs/compat.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.rows) < 100 || len(p.golden) != 7 {
		t.Fatalf("%d rows and %d kinds of cases: the page has lost its form", len(p.rows), len(p.golden))
	}
	var known []string
	for letter, files := range p.golden {
		before := len(known)
		for _, name := range files {
			for _, id := range golden(t, name) {
				if strings.HasPrefix(id, letter) {
					known = append(known, id)
				}
			}
		}
		if len(known) == before {
			t.Errorf("%s… has no cases in %q", letter, files)
		}
	}
	for _, f := range p.faults(readTree(t), known) {
		t.Error(f)
	}
}

// samplePage is a page without a fault.
const samplePage = `
| Basis | Meaning |
|---|---|
| doc | documented |

| Ids | File |
|---|---|
| T1 to T3 | ` + "`a/b.jsonl`" + ` |

| Label | Source |
|---|---|
| twins, mqtt | pages |

| Id | Behaviour | Source | Basis | Evidence |
|---|---|---|---|---|
| TWIN-01 | one | twins, mqtt | doc | ` + "`a/b.TestOne`, `a/b.TestOne/case one`, `x.test.js: *: it works, well`" + ` |
| TWIN-03 | three | mqtt | doc | T1…T2, T3 |
`

// TestCompatFaults shows each kind of fault on a small page.
func TestCompatFaults(t *testing.T) {
	w := &tree{
		tests: map[string]bool{"a/b.TestOne": true},
		cases: map[string]map[string]bool{"store/storetest": {"case one": true}},
		js:    map[string]bool{"x.test.js: *: it works, well": true},
		cited: map[string][]string{"TWIN-01": {"a.go"}},
	}
	known := []string{"T1", "T2", "T3"}
	check := func(text string, want ...string) {
		t.Helper()
		p, err := parsePage(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.faults(w, known); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check(samplePage)
	for _, c := range []struct{ old, new, want string }{
		{"TWIN-03", "TWIN-01", "TWIN-01 stands after TWIN-01"},
		{"TWIN-03", "OTHER-3", `"OTHER-3" is no id of a row`},
		{"| mqtt |", "| book |", `TWIN-03: source "book" has no label`},
		{"| mqtt | doc", "| mqtt | hope", `TWIN-03: basis "hope" is not explained`},
		{"| three |", "|  |", "TWIN-03 lacks its behaviour or its evidence"},
		{"b.TestOne`,", "b.TestTwo`,", "there is no test a/b.TestTwo"},
		{"/case one", "/case two", "there is no test a/b.TestOne/case two"},
		{"works, well", "fails", "there is no test x.test.js: *: it fails"},
		{"`a/b.TestOne`,", "`a/b`,", `TWIN-01: "a/b" does not name a test`},
		{"T1…T2", "T1", "no row has the case T2"},
		{"T2, T3", "T4", "TWIN-03: there is no case T4"},
		{"T1…T2, T3", "T1…T3, soon", `TWIN-03: "soon" is neither a test in quotes nor an id`},
		{"| three |", "| see REG-09 |", "the page cites REG-09, which is no row"},
		{"| TWIN-01 |", "| TWIN-02 |", "a.go cites TWIN-01, which is no row"},
	} {
		text := strings.Replace(samplePage, c.old, c.new, 1)
		if text == samplePage {
			t.Fatalf("the sample has no %q", c.old)
		}
		check(text, c.want)
	}
}
