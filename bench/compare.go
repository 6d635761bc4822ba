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
	// Rows is how many came, Matches how many there are, where that is more.
	Rows    int `json:"rows"`
	Matches int `json:"matches"`
	Bytes   int `json:"bytes"` // of the hub's answer
	Rounds  int `json:"rounds"`
	// Medians, in microseconds. Inside is the hub's own time, 0 if it does not
	// tell; Hub and Postgres are seen from the client.
	Inside   float64 `json:"insideMicroseconds,omitempty"`
	Hub      float64 `json:"hubMicroseconds"`
	Postgres float64 `json:"postgresMicroseconds,omitempty"`
	SQLite   float64 `json:"sqliteMicroseconds,omitempty"`
}

// limit ends the measurement of a slow question early, for each program.
const limit = 20 * time.Second

// compare asks both, checks that they agree, and measures. Without a db only
// the hub is asked.
func compare(ctx context.Context, hub *asker, db *postgres, q question, rounds int) (compared, error) {
	c := compared{Name: q.Name}
	if err := c.check(ctx, hub, db, q); err != nil {
		return c, fmt.Errorf("%s: %w", q.Name, err)
	}
	var inside, ours, theirs times
	for r := 0; r < rounds; r++ {
		ans, err := hub.page(ctx, q.Hub, q.Page, "")
		if err != nil {
			return c, err
		}
		ours.add(ans.took)
		c.Bytes = len(ans.body)
		if db != nil {
			took, err := db.ask(ctx, q.sql())
			if err != nil {
				return c, err
			}
			theirs.add(took)
		}
		switch took, ok, err := hub.explain(ctx, q.Hub); {
		case err != nil:
			return c, err
		case ok:
			inside.add(took)
		}
		c.Rounds++
		if r >= 2 && max(ours.sum(), theirs.sum()) > limit {
			break
		}
	}
	c.Inside, c.Hub, c.Postgres = inside.median(), ours.median(), theirs.median()
	return c, nil
}

// check reads the rows of both and holds them against each other. It warms both
// up, too.
func (c *compared) check(ctx context.Context, hub *asker, db *postgres, q question) error {
	ours, err := hub.rows(ctx, q)
	if err != nil {
		return err
	}
	c.Rows, c.Matches = len(ours), len(ours)
	if err := agree(ctx, ours, db, q); err != nil {
		return err
	}
	if q.Page > 0 {
		q = q.counts()
		if ours, err = hub.rows(ctx, q); err != nil {
			return err
		}
		if err := agree(ctx, ours, db, q); err != nil {
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

// agree compares the hub's rows with those of PostgreSQL, if there is one. Of a
// page only their number is compared: each may choose which twins it shows.
func agree(ctx context.Context, ours []json.RawMessage, db *postgres, q question) error {
	if db == nil {
		return nil
	}
	theirs, err := db.rows(ctx, q.sql())
	if err != nil {
		return err
	}
	if len(ours) != len(theirs) {
		return fmt.Errorf("the hub gives %d rows, PostgreSQL %d", len(ours), len(theirs))
	}
	if q.Page > 0 {
		return nil
	}
	return sameRows(ours, theirs)
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
		return fmt.Errorf("the hub gives %s, PostgreSQL %s", a, b)
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

// printCompared writes the comparison for people.
func printCompared(w io.Writer, all []compared) {
	t := newTable(w, "query", "rows", "of", "hub inside", "hub, HTTPS", "PostgreSQL", "ratio", "SQLite")
	for _, c := range all {
		ratio := ""
		if c.Postgres > 0 {
			ratio = fmt.Sprintf("%.3g", c.Postgres/c.Hub)
		}
		t.row(c.Name, thousands(c.Rows), thousands(c.Matches), micros(c.Inside), micros(c.Hub), micros(c.Postgres), ratio, micros(c.SQLite))
	}
	t.flush()
}
