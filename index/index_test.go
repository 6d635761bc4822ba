package index_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// update is the creation of a device with tags.
func update(t testing.TB, at store.Position, id string, tags any) index.Update {
	body, err := json.Marshal(map[string]any{"tags": tags, "properties": map[string]any{"desired": map[string]any{}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := twin.ParseReplacement(body, twin.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	tw, _, err := twin.New(started).Replace(r, started)
	if err != nil {
		t.Fatal(err)
	}
	return index.Update{
		ID: device.ID{Device: id}, Position: at, Twin: tw.AppendBinary(nil),
		Identity: &device.Identity{ID: device.ID{Device: id}, Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS}},
	}
}

// ready is an index without rows.
func ready(t testing.TB, c index.Config) *index.Index {
	x := index.New(c)
	if err := x.Load(t.Context(), 0, func(func(index.Row, error) bool) {}); err != nil {
		t.Fatal(err)
	}
	return x
}

func parse(t testing.TB, text string) *query.Query {
	q, err := query.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func plan(t testing.TB, x *index.Index, text string) index.Plan {
	s := x.Snapshot()
	defer s.Close()
	p, err := s.Explain(t.Context(), parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func decodedOf(t testing.TB, x *index.Index, text string, rows int) int {
	p := plan(t, x, text)
	if p.Rows != rows {
		t.Errorf("%s gives %d rows, want %d", text, p.Rows, rows)
	}
	return p.Decoded
}

// What decides a predicate depends on how many values its path has.
func TestExplain(t *testing.T) {
	x := ready(t, index.Config{})
	for i := range 500 {
		x.Apply(store.Position(i+1), []index.Update{update(t, store.Position(i+1), fmt.Sprintf("d%03d", i), map[string]any{
			"few": i % 5, "many": fmt.Sprint("v", i), "number": float64(i) / 4, "list": []int{i % 3},
		})})
	}
	for _, test := range []struct {
		where string
		steps string
	}{
		{"tags.few = 3", "tags.few = 3 postings 100"},
		{"tags.many = 'v17'", "tags.many = 'v17' columns+documents 1"},
		{"tags.number < 10 AND tags.few = 1", "tags.few = 1 postings 100; tags.number < 10 columns 8"},
		{"ARRAY_CONTAINS(tags.list, 2) AND deviceId >= 'd490'", "deviceId >= 'd490' keys 10; ARRAY_CONTAINS(tags.list, 2) postings+documents 3"},
		{"tags.none = 1", "tags.none = 1 nothing 0"},
		{"tags.few = 9 AND tags.number > 0", "tags.few = 9 postings 0; tags.number > 0 nothing 0"},
		{"tags.few = tags.few", "tags.few = tags.few postings 500"},
		{"properties.desired.$metadata.$lastUpdated > '2025'", "properties.desired.$metadata.$lastUpdated > '2025' columns 500"},
		{"properties.desired.$metadata.a.$lastUpdated > '2025'", "properties.desired.$metadata.a.$lastUpdated > '2025' documents 0"},
	} {
		p := plan(t, x, "SELECT * FROM devices WHERE "+test.where)
		var got []string
		for _, s := range p.Steps {
			got = append(got, fmt.Sprintf("%s %s %d", s.Predicate, s.On, s.Rows))
		}
		if strings.Join(got, "; ") != test.steps || p.Documents != 500 || p.Position != 500 {
			t.Errorf("%s\ngot  %s of %d at %d\nwant %s", test.where, strings.Join(got, "; "), p.Documents, p.Position, test.steps)
		}
	}
}

// However many paths users invent, those that came first keep their columns and
// the others are still found.
func TestManyPaths(t *testing.T) {
	const each, devices = 100, 100
	x := ready(t, index.Config{MaxPaths: 500})
	for i := range devices {
		tags := map[string]any{"common": i}
		for k := range each {
			tags[fmt.Sprintf("p%d", i*each+k)] = k
		}
		x.Apply(store.Position(i+1), []index.Update{update(t, store.Position(i+1), fmt.Sprintf("d%02d", i), tags)})
	}
	s := x.Stats()
	if s.Paths != 500 || s.PathsRefused != 4*500 {
		t.Errorf("%+v", s)
	}
	if err := x.Check(); err != nil {
		t.Error(err)
	}
	if n := decodedOf(t, x, "SELECT * FROM devices WHERE tags.common = 7", 1); n != 0 {
		t.Errorf("%d documents were asked about a path with columns", n)
	}
	for _, path := range []int{0, 1234, each*devices - 1} { // with columns, refused, not even remembered
		decodedOf(t, x, fmt.Sprintf("SELECT * FROM devices WHERE tags.p%d = %d", path, path%each), 1)
		decodedOf(t, x, fmt.Sprintf("SELECT * FROM devices WHERE NOT IS_DEFINED(tags.p%d)", path), devices-1)
	}
}

// The bound of memory holds, whatever takes it: the paths that cost most for
// each row lose their columns, and queries go on.
func TestMaxBytes(t *testing.T) {
	const most, devices = 300_000, 3000
	x := ready(t, index.Config{MaxBytes: most})
	long := strings.Repeat("x", 4000)
	for i := range devices {
		at := store.Position(i + 1)
		x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%04d", i), map[string]any{
			"color": []string{"red", "green", "blue"}[i%3], "serial": fmt.Sprint("s", i), "long": fmt.Sprint(long, i),
			fmt.Sprint("stray", i): i, "nested": map[string]any{fmt.Sprint("n", i%700): map[string]any{"x": i}},
		})})
	}
	if err := x.Check(); err != nil {
		t.Error(err)
	}
	s := x.Stats()
	if s.ColumnBytes > most || s.PathsRefused == 0 {
		t.Errorf("%+v", s)
	}
	if n := decodedOf(t, x, "SELECT * FROM devices WHERE tags.color = 'red'", devices/3); n != 0 {
		t.Errorf("%d documents were asked about the path that postings serve best", n)
	}
	decodedOf(t, x, "SELECT * FROM devices WHERE tags.serial = 's2999'", 1)
	decodedOf(t, x, "SELECT * FROM devices WHERE tags.stray17 = 17 OR tags.stray2999 = 2999", 2)
	decodedOf(t, x, "SELECT * FROM devices WHERE ENDSWITH(tags.long, 'x77')", 1)
	decodedOf(t, x, "SELECT * FROM devices WHERE tags.nested.n5.x > 700", 4)
}

// A path with a million values costs 12 bytes for each row, and long texts no
// more than short ones.
func TestDistinctValues(t *testing.T) {
	const rows = 20_000
	x := index.New(index.Config{})
	err := x.Load(t.Context(), 1, func(yield func(index.Row, error) bool) {
		for i := range rows {
			u := update(t, 1, fmt.Sprintf("d%05d", i), map[string]any{"serial": fmt.Sprintf("%s%d", strings.Repeat("long", i%2*1000), i)})
			if !yield(index.Row{ID: u.ID, Read: func() (index.Update, error) { return u, nil }}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s := x.Stats()
	if each := s.ColumnBytes / rows; each > 100 { // of the hub's own paths, too
		t.Errorf("columns take %d bytes for each row", each)
	}
	if n := decodedOf(t, x, "SELECT * FROM devices WHERE tags.serial = '12346'", 1); n > 2 {
		t.Errorf("%d documents were asked", n)
	}
}

// A query waits for what was committed before it, and no longer.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := ready(t, index.Config{})
		if err := x.Wait(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error)
		go func() { waited <- x.Wait(t.Context(), 2) }()
		synctest.Wait()
		x.Apply(1, []index.Update{update(t, 1, "a", map[string]any{})})
		synctest.Wait()
		select {
		case err := <-waited:
			t.Fatalf("waited for position 2 and got %v at 1", err)
		default:
		}
		x.Apply(2, nil)
		if err := <-waited; err != nil {
			t.Fatal(err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := x.Wait(ctx, 3); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, index.ErrLoading) {
			t.Errorf("got %v", err)
		}
		lost := errors.New("lost")
		go func() { waited <- x.Wait(t.Context(), 3) }()
		synctest.Wait()
		x.Fail(lost)
		if err := <-waited; err != lost || x.Stats().Ready {
			t.Errorf("got %v", err)
		}
		if err := x.Wait(t.Context(), 0); err != lost {
			t.Errorf("got %v", err)
		}
	})
}

// While it is being built, an index says so.
func TestLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := index.New(index.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := x.Wait(ctx, 0); !errors.Is(err, index.ErrLoading) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if x.Stats().Ready {
			t.Error("it is ready")
		}
	})
}

// What cannot be read ends Load, and no worker is left.
func TestLoadFails(t *testing.T) {
	bad := errors.New("bad")
	good := update(t, 1, "d", map[string]any{})
	rows := func(n int, last index.Row, err error) iter.Seq2[index.Row, error] {
		return func(yield func(index.Row, error) bool) {
			for i := range n {
				if !yield(index.Row{ID: device.ID{Device: fmt.Sprintf("d%05d", i)}, Read: func() (index.Update, error) { return good, nil }}, nil) {
					return
				}
			}
			yield(last, err)
		}
	}
	broken := index.Row{ID: device.ID{Device: "e"}, Read: func() (index.Update, error) { return index.Update{}, bad }}
	damaged := index.Row{ID: device.ID{Device: "e"}, Read: func() (index.Update, error) {
		return index.Update{Identity: good.Identity, Twin: []byte("?")}, nil
	}}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx  context.Context
		rows iter.Seq2[index.Row, error]
		want error
	}{
		{t.Context(), rows(5000, index.Row{}, bad), bad},
		{t.Context(), rows(5000, broken, nil), bad},
		{t.Context(), rows(10, damaged, nil), twin.ErrStoredForm},
		{cancelled, rows(10, rowOf(good), nil), context.Canceled},
	} {
		if err := index.New(index.Config{}).Load(test.ctx, 1, test.rows); !errors.Is(err, test.want) {
			t.Errorf("got %v, want %v", err, test.want)
		}
	}
}

func rowOf(u index.Update) index.Row {
	return index.Row{ID: u.ID, Read: func() (index.Update, error) { return u, nil }}
}

// A stored form that cannot be read makes the index fail, not lie.
func TestDamagedUpdate(t *testing.T) {
	x := ready(t, index.Config{})
	u := update(t, 1, "d", map[string]any{})
	u.Twin = []byte("?")
	for range 2 {
		if err := x.Apply(1, []index.Update{u}); !errors.Is(err, twin.ErrStoredForm) {
			t.Errorf("got %v", err)
		}
	}
	if err := x.Wait(t.Context(), 1); !errors.Is(err, twin.ErrStoredForm) {
		t.Errorf("got %v", err)
	}
	// A query that was about to begin.
	s := x.Snapshot()
	defer s.Close()
	for _, where := range []string{"statusUpdateTime > '2020'", "STARTSWITH(lastActivityTime, '2')", "tags.a != 1 OR NOT lastActivityTime = '2'"} {
		if _, err := parse(t, "SELECT * FROM devices WHERE "+where).Run(t.Context(), s, 0, nil); err == nil {
			t.Errorf("%s gives rows that nobody can read", where)
		}
	}
}

// A query ends with its caller, and with its budget.
func TestBudget(t *testing.T) {
	x := ready(t, index.Config{})
	for i := range 2000 {
		x.Apply(store.Position(i+1), []index.Update{update(t, store.Position(i+1), fmt.Sprintf("d%04d", i), map[string]any{"list": []int{1}})})
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{
		"SELECT * FROM devices WHERE ARRAY_CONTAINS(tags.list, 2)",
		"SELECT COUNT() AS n FROM devices WHERE ARRAY_CONTAINS(tags.list, 2)",
		"SELECT tags.list, COUNT() AS n FROM devices GROUP BY tags.list",
	} {
		for _, test := range []struct {
			ctx    context.Context
			budget index.Budget
			want   error
		}{
			{t.Context(), index.Budget{Polite: true, Documents: 10_000, Until: time.Now().Add(time.Hour)}, nil},
			{t.Context(), index.Budget{Documents: 1000}, index.ErrBudget},
			{t.Context(), index.Budget{Until: time.Now().Add(-time.Second)}, index.ErrBudget},
			{cancelled, index.Budget{}, context.Canceled},
		} {
			s := x.Snapshot()
			s.Budget = test.budget
			if _, err := parse(t, text).Run(test.ctx, s, 0, nil); !errors.Is(err, test.want) {
				t.Errorf("%s, %+v: got %v", text, test.budget, err)
			}
			s.Close()
			s.Close()
		}
	}
}
