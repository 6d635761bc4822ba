package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// compared is what became of one question.
type compared struct {
	Name string `json:"name"`
	// Rows is how many came. Matches is how many twins there are, of which they
	// are a page or the count; for groups it is how many groups.
	Rows    int `json:"rows"`
	Matches int `json:"matches"`
	Bytes   int `json:"bytes"` // of the hub's answer
	Rounds  int `json:"rounds"`
	// Medians, in microseconds. Finding is what the hub says it takes to find all
	// rows, without reading, grouping or writing them; 0 if it does not tell. Hub
	// and Rivals, by their names, are seen from the client.
	Finding float64            `json:"findingMicroseconds,omitempty"`
	Hub     float64            `json:"hubMicroseconds"`
	Rivals  map[string]float64 `json:"rivalsMicroseconds"`
}

// database is a program that the hub is compared with.
type database interface {
	// ask measures a statement, from its sending until all rows are here.
	ask(ctx context.Context, sql string) (time.Duration, error)
	// rows reads the answer to a statement, by the names of its columns.
	rows(ctx context.Context, sql string) ([]map[string]any, error)
	stop()
}

// rival is a database that holds the fleet. It is not asked what its SQL has no
// text for.
type rival struct {
	name string
	database
	sql func(question) string
}

// limit ends the measurement of a slow question early, for each program.
const limit = 20 * time.Second

// compare asks the hub and its rivals, checks that they agree, and measures.
func compare(ctx context.Context, hub *asker, rivals []rival, q question, rounds int) (compared, error) {
	rivals = slices.DeleteFunc(slices.Clone(rivals), func(r rival) bool { return r.sql(q) == "" })
	c := compared{Name: q.Name, Rivals: map[string]float64{}}
	if err := c.check(ctx, hub, rivals, q); err != nil {
		return c, fmt.Errorf("%s: %w", q.Name, err)
	}
	var finding, ours times
	theirs := make([]times, len(rivals))
	for longest := time.Duration(0); c.Rounds < rounds && (c.Rounds < 3 || longest < limit); c.Rounds++ {
		ans, err := hub.page(ctx, q.Hub, q.Page, "")
		if err != nil {
			return c, err
		}
		ours.add(ans.took)
		c.Bytes, longest = len(ans.body), ours.sum()
		for i, r := range rivals {
			took, err := r.ask(ctx, r.sql(q))
			if err != nil {
				return c, fmt.Errorf("%s: %s: %w", r.name, q.Name, err)
			}
			theirs[i].add(took)
			longest = max(longest, theirs[i].sum())
		}
		switch took, ok, err := hub.explain(ctx, q.Hub); {
		case err != nil:
			return c, err
		case ok:
			finding.add(took)
		}
	}
	c.Finding, c.Hub = finding.median(), ours.median()
	for i, r := range rivals {
		c.Rivals[r.name] = theirs[i].median()
	}
	return c, nil
}

// check reads the rows of all and holds them against each other. It warms them
// up, too.
func (c *compared) check(ctx context.Context, hub *asker, rivals []rival, q question) error {
	ours, err := hub.rows(ctx, q)
	if err != nil {
		return err
	}
	c.Rows, c.Matches = len(ours), len(ours)
	if err := agree(ctx, ours, rivals, q); err != nil {
		return err
	}
	if q.Page > 0 {
		q = q.counts()
		if ours, err = hub.rows(ctx, q); err != nil {
			return err
		}
		if err := agree(ctx, ours, rivals, q); err != nil {
			return err
		}
	}
	if len(ours) == 1 {
		var count struct{ N int }
		err = json.Unmarshal(ours[0], &count)
		c.Matches = count.N
	}
	return err
}

// agree compares the hub's rows with those of its rivals. Of a page only their
// number is compared: each may choose which twins it shows.
func agree(ctx context.Context, ours []json.RawMessage, rivals []rival, q question) error {
	for _, r := range rivals {
		theirs, err := r.rows(ctx, r.sql(q))
		switch {
		case err != nil:
		case len(ours) != len(theirs):
			err = fmt.Errorf("%d rows, where the hub gives %d", len(theirs), len(ours))
		case q.Page == 0:
			err = sameRows(ours, theirs)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// sameRows compares rows in any order.
func sameRows(ours []json.RawMessage, theirs []map[string]any) error {
	a := make([]string, len(ours))
	for i, row := range ours {
		members := map[string]any{}
		if err := json.Unmarshal(row, &members); err != nil {
			return err
		}
		a[i] = canonical(members)
	}
	b := make([]string, len(theirs))
	for i, row := range theirs {
		b[i] = canonical(row)
	}
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		return fmt.Errorf("%s, where the hub gives %s", b, a)
	}
	return nil
}

// canonical is one text for rows that say the same: numbers to nine digits,
// because sums in another order differ in the last ones, and no member for
// what is missing.
func canonical(row map[string]any) string {
	same := map[string]any{}
	for name, v := range row {
		switch v := v.(type) {
		case nil:
		case int64:
			same[name] = rounded(float64(v))
		case float64:
			same[name] = rounded(v)
		default:
			same[name] = v
		}
	}
	text, _ := json.Marshal(same) // sorts names; what came as JSON goes as JSON
	return string(text)
}

func rounded(f float64) json.RawMessage { return fmt.Appendf(nil, "%.9g", f) }

// times are measurements of one thing.
type times []time.Duration

func (t *times) add(d time.Duration) { *t = append(*t, d) }

func (t times) sum() (total time.Duration) {
	for _, d := range t {
		total += d
	}
	return total
}

// median is in microseconds; 0 without measurements.
func (t times) median() float64 {
	if len(t) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t))
	return math.Round(float64(sorted[len(sorted)/2])/100) / 10
}

// printCompared writes the comparison for people. A ratio is how many times as
// long the rival takes.
func printCompared(w io.Writer, all []compared, rivals []rival) {
	head := []string{"query", "rows", "of", "finding", "hub, HTTPS"}
	for _, r := range rivals {
		head = append(head, r.name, "ratio")
	}
	t := newTable(w, head...)
	for _, c := range all {
		cells := []string{c.Name, thousands(c.Rows), thousands(c.Matches), micros(c.Finding), micros(c.Hub)}
		for _, r := range rivals {
			ratio := ""
			if theirs := c.Rivals[r.name]; theirs > 0 {
				ratio = fmt.Sprintf("%.3g", theirs/c.Hub)
			}
			cells = append(cells, micros(c.Rivals[r.name]), ratio)
		}
		t.row(cells...)
	}
	t.flush()
}
