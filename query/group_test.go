package query

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/fault"
)

// columns is a Grouper: it gathers groups by the doors that an index uses, and
// hands out no document.
type columns struct {
	memory
	t   testing.TB
	err error
}

func (c columns) Documents(context.Context, *Query, string) iter.Seq2[Document, error] {
	c.t.Error("a grouper was asked for documents")
	return func(func(Document, error) bool) {}
}

func (c columns) Group(_ context.Context, q *Query, gs *Groups) error {
	rows := map[*Group]map[int]int{} // not yet added, by item
	values := make([]string, len(q.GroupBy))
	for _, d := range c.memory[q.From] {
		if Matches(q.Where, d) != True {
			continue
		}
		for i, p := range q.GroupBy {
			values[i], _ = d.Lookup(p)
		}
		g, err := gs.Group(values)
		if err != nil {
			return err
		}
		clear(values) // they are the caller's again
		if rows[g] == nil {
			rows[g] = map[int]int{}
		}
		for i, item := range q.Items {
			if item.Aggregate == NoAggregate {
				continue
			}
			json, ok := d.Lookup(item.Path)
			switch v := ValueOf(json); {
			case item.Path == nil || ok && v.Kind != Number:
				rows[g][i]++
			case ok:
				g.AddNumber(i, v.Number)
			}
		}
	}
	for g, items := range rows {
		for i, n := range items {
			g.AddRows(i, n)
		}
	}
	return c.err
}

// TestGrouper: the groups of a Grouper are those of the documents, to the bit.
func TestGrouper(t *testing.T) {
	src := fixture(t)
	for i, x := range []string{`0.1`, `1e16`, `1.0`, `1`, `-1e16`, `"1"`, `0.2`, `null`, `1e0`, `[1]`, `[1.0]`, `0.3`, `1e999`} {
		src.add(Devices, newDoc(t, fmt.Sprintf(`{"deviceId":"x%02d","tags":{"x":%s,"even":%v}}`, i, x, i%2 == 0)))
	}
	texts := []string{
		"SELECT tags.x, COUNT() AS n FROM devices GROUP BY tags.x",
		"SELECT tags.even, SUM(tags.x) AS s, AVG(tags.x) AS a, MIN(tags.x) AS lo, MAX(tags.x) AS hi, COUNT(tags.x) AS n FROM devices GROUP BY tags.even",
		"SELECT tags.even, SUM(tags.x) AS s FROM devices WHERE tags.x < 1e20 GROUP BY tags.even, status",
		"SELECT COUNT() AS n, SUM(tags.x) AS s, COUNT(tags.even) AS e FROM devices WHERE false",
	}
	for _, c := range goldenCases(t) {
		if q, err := Parse(c.Q); err == nil && (q.aggregates() || q.GroupBy != nil) {
			texts = append(texts, c.Q)
		}
	}
	for _, text := range texts {
		_, want := pages(t, src, text, 2)
		_, got := pages(t, columns{memory: src, t: t}, text, 2)
		if !slices.Equal(got, want) {
			t.Errorf("%s\ngot\n%s\nwant\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if len(texts) < 15 {
		t.Errorf("only %d queries", len(texts))
	}
}

// TestGrouperIsNotAsked: rows of documents come from Documents.
func TestGrouperIsNotAsked(t *testing.T) {
	q := mustParse(t, "SELECT deviceId FROM devices")
	page, err := q.Run(t.Context(), onlyDocuments{fixture(t), t}, 0, nil)
	if err != nil || len(page.Rows) != 9 {
		t.Errorf("%d rows, %v", len(page.Rows), err)
	}
}

// onlyDocuments is a Grouper that must not be asked for groups.
type onlyDocuments struct {
	memory
	t *testing.T
}

func (o onlyDocuments) Group(context.Context, *Query, *Groups) error {
	o.t.Error("asked for groups")
	return nil
}

// TestGrouperFails: its error ends the query, and keeps its kind.
func TestGrouperFails(t *testing.T) {
	disk := errors.New("the disk is gone")
	q := mustParse(t, "SELECT COUNT() AS n FROM devices")
	for _, want := range []error{disk, context.Canceled, fault.New(fault.ArgumentInvalid, "too many")} {
		page, err := q.Run(t.Context(), columns{memory: fixture(t), t: t, err: want}, 0, nil)
		if !errors.Is(err, want) || page.Rows != nil {
			t.Errorf("%v with %d rows, want %v", err, len(page.Rows), want)
		}
	}
}

// TestGroupRefuses: the bound of groups holds at the index's door too.
func TestGroupRefuses(t *testing.T) {
	gs := NewGroups(mustParse(t, "SELECT COUNT() AS n FROM devices GROUP BY tags.x"))
	for i := range maxGroups {
		if _, err := gs.Group([]string{fmt.Sprint(i)}); err != nil {
			t.Fatalf("group %d: %v", i, err)
		}
	}
	if _, err := gs.Group([]string{"-1"}); !fault.Is(err, fault.ArgumentInvalid) {
		t.Errorf("one more: %v, want ArgumentInvalid", err)
	}
	if _, err := gs.Group([]string{"7.0"}); err != nil {
		t.Errorf("a group that is there: %v", err)
	}
}

// TestGroupKeepsCopies: the texts of a group outlive the caller's.
func TestGroupKeepsCopies(t *testing.T) {
	q := mustParse(t, "SELECT tags.x, COUNT() AS n FROM devices GROUP BY tags.x")
	gs := NewGroups(q)
	values := []string{`"a"`}
	g, err := gs.Group(values)
	if err != nil {
		t.Fatal(err)
	}
	values[0] = `"b"`
	g.AddRows(1, 2)
	if got := string(g.row(q, q.members())); got != `{"x":"a","n":2}` {
		t.Errorf("row %s", got)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"SELECT *", ""},
		{"SELECT * WHERE (tags.a = 'it''s') and not ((TAGS.b in [1,2]) or deviceid=\"d\")", `tags.a = 'it\'s' AND NOT (tags.b IN [1, 2] OR deviceId = 'd')`},
		{"SELECT * WHERE a or (b)", "a OR b"},
	} {
		q := mustParse(t, c.text)
		if got := Text(q.Where); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
	or := mustParse(t, "SELECT * WHERE (a or b) and c").Where.(*And).Terms[0]
	if got := Text(or); got != "a OR b" {
		t.Errorf("a term: %s", got)
	}
}
