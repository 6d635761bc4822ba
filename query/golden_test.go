package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/fault"
)

// goldenCase is a line of testdata/golden.jsonl, section A11 of the sheet.
type goldenCase struct {
	ID    string
	Q     string
	IDs   []string
	Rows  []map[string]any
	Error int
}

func goldenCases(t testing.TB) (cases []goldenCase) {
	t.Helper()
	for _, line := range lines(t, "testdata/golden.jsonl") {
		var c goldenCase
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		cases = append(cases, c)
	}
	return cases
}

func TestGolden(t *testing.T) {
	src := fixture(t)
	cases := goldenCases(t)
	if len(cases) != 170 {
		t.Fatalf("%d cases, want 170", len(cases))
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			q, err := Parse(c.Q)
			if c.Error != 0 {
				wantFault(t, err, c.Error)
				return
			}
			if err != nil {
				t.Fatalf("%s\n%v", c.Q, err)
			}
			checkGolden(t, src, q, c)
			again := mustParse(t, q.String())
			if !reflect.DeepEqual(q, again) || q.String() != again.String() {
				t.Errorf("%s\nprints as %s\nand again as %s", c.Q, q, again)
			}
		})
	}
}

func wantFault(t *testing.T, err error, status int) {
	t.Helper()
	var e *Error
	f := fault.Of(err)
	switch {
	case !errors.As(err, &e):
		t.Fatalf("error %v, want an *Error", err)
	case f.Code != fault.ArgumentInvalid, f.Code.Status() != status:
		t.Errorf("fault %d, want ArgumentInvalid", f.Code)
	case !strings.HasPrefix(f.Message, "BadRequest line 1, column "):
		t.Errorf("message %q", f.Message)
	}
}

func checkGolden(t *testing.T, src memory, q *Query, c goldenCase) {
	t.Helper()
	page, err := q.Run(t.Context(), src, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if page.Next != nil {
		t.Errorf("%s\nhas a second page", c.Q)
	}
	if c.IDs != nil {
		got := []string{}
		for _, row := range page.Rows {
			got = append(got, newDoc(t, string(row)).name)
		}
		if !slices.Equal(got, c.IDs) {
			t.Errorf("%s\ngot  %v\nwant %v", c.Q, got, c.IDs)
		}
		return
	}
	got, want := sortedRows(t, page.Rows, q), []string{}
	for _, row := range c.Rows {
		text, _ := json.Marshal(row)
		want = append(want, string(text))
	}
	if q.GroupBy != nil {
		slices.Sort(want)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot  %v\nwant %v", c.Q, got, want)
	}
}

// sortedRows writes rows in one form, so that texts compare by value. Rows of
// groups compare as a set.
func sortedRows(t *testing.T, rows [][]byte, q *Query) []string {
	t.Helper()
	list := []string{}
	for _, row := range rows {
		var v map[string]any
		if err := json.Unmarshal(row, &v); err != nil {
			t.Fatalf("row %s: %v", row, err)
		}
		text, _ := json.Marshal(v)
		list = append(list, string(text))
	}
	if q.GroupBy != nil {
		slices.Sort(list)
	}
	return list
}

func TestItemType(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT *":                         "Twin",
		"SELECT * FROM devices":            "Twin",
		"SELECT deviceId FROM devices":     "Raw",
		"SELECT COUNT() AS n FROM devices": "Raw",
		"SELECT * FROM devices.modules":    "Twin",
		"SELECT * FROM devices.jobs":       "DeviceJob",
	} {
		if got := mustParse(t, text).ItemType(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// pages runs text to its end and gives the sizes of its pages.
func pages(t *testing.T, src Source, text string, size int) (sizes []int, rows []string) {
	t.Helper()
	q := mustParse(t, text)
	var at *Cursor
	for {
		page, err := q.Run(t.Context(), src, size, at)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Rows))
		for _, row := range page.Rows {
			rows = append(rows, string(row))
		}
		if at = page.Next; at == nil {
			return sizes, rows
		}
	}
}

// TestPaging has the cases P1 to P8 of A11, and some of our own.
func TestPaging(t *testing.T) {
	src := fixture(t)
	for _, c := range []struct {
		id, text string
		size     int
		want     []int
	}{
		{"P1", "SELECT * FROM devices", 0, []int{9}},
		{"P2", "SELECT * FROM devices", 4, []int{4, 4, 1}},
		{"P3", "SELECT * FROM devices", 9, []int{9}},
		{"P4", "SELECT * FROM devices", 1000, []int{9}},
		{"P5 negative", "SELECT * FROM devices", -1, []int{9}},
		{"P5 large", "SELECT * FROM devices", 5000, []int{9}},
		{"P6", "SELECT TOP 6 * FROM devices", 4, []int{4, 2}},
		{"P8", "SELECT status, COUNT() AS n FROM devices GROUP BY status", 2, []int{2}},
		{"top ends a page", "SELECT TOP 4 * FROM devices", 4, []int{4}},
		{"top beyond the rows", "SELECT TOP 60 * FROM devices", 4, []int{4, 4, 1}},
		{"groups", "SELECT tags.site, COUNT() AS n FROM devices GROUP BY tags.site", 2, []int{2, 2, 1}},
		{"top of groups", "SELECT TOP 3 tags.site, COUNT() AS n FROM devices GROUP BY tags.site", 2, []int{2, 1}},
		{"no group", "SELECT status FROM devices WHERE false GROUP BY status", 2, []int{0}},
		{"one row", "SELECT COUNT() AS n FROM devices", 1, []int{1}},
		{"no row", "SELECT * FROM devices WHERE false", 1, []int{0}},
		{"filtered", "SELECT * FROM devices WHERE deviceId IN ['leaf-03', 'edge-gw-01']", 1, []int{1, 1}},
	} {
		sizes, rows := pages(t, src, c.text, c.size)
		if !slices.Equal(sizes, c.want) {
			t.Errorf("%s: pages of %v rows, want %v", c.id, sizes, c.want)
		}
		_, all := pages(t, src, c.text, MaxPage)
		if !slices.Equal(rows, all) {
			t.Errorf("%s: pages together differ from one page", c.id)
		}
	}
}

func TestDefaultPage(t *testing.T) {
	src := memory{}
	for i := range 250 {
		src.add(Devices, newDoc(t, `{"deviceId":"d`+strconv.Itoa(i)+`"}`))
	}
	for size, want := range map[int][]int{
		0: {100, 100, 50}, 1001: {100, 100, 50}, 1000: {250}, 249: {249, 1},
	} {
		if sizes, _ := pages(t, src, "SELECT *", size); !slices.Equal(sizes, want) {
			t.Errorf("size %d: %v, want %v", size, sizes, want)
		}
	}
}

// TestForeignCursor is P7: a cursor of another query, or a broken one.
func TestForeignCursor(t *testing.T) {
	src := fixture(t)
	page, err := mustParse(t, "SELECT * FROM devices").Run(t.Context(), src, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := mustParse(t, "SELECT * FROM devices WHERE true")
	if _, err := other.Run(t.Context(), src, 4, page.Next); !fault.Is(err, fault.ArgumentInvalid) {
		t.Errorf("another query's cursor: %v, want ArgumentInvalid", err)
	}
	same := mustParse(t, "select   *   from DEVICES")
	if _, err := same.Run(t.Context(), src, 4, page.Next); err != nil {
		t.Errorf("the same query in other words: %v", err)
	}
	broken := Cursor{Query: same.fingerprint(), Rows: -1}
	if _, err := same.Run(t.Context(), src, 4, &broken); !fault.Is(err, fault.ArgumentInvalid) {
		t.Errorf("broken cursor: %v, want ArgumentInvalid", err)
	}
}

// TestLargePage: a page of large documents ends early, and the rest follows.
func TestLargePage(t *testing.T) {
	src := memory{}
	big := strings.Repeat("x", maxPageBytes/4)
	for i := range 6 {
		src.add(Devices, newDoc(t, `{"deviceId":"d`+strconv.Itoa(i)+`","tags":{"x":"`+big+`"}}`))
	}
	for text, want := range map[string][]int{
		"SELECT * FROM devices":      {4, 2},
		"SELECT tags.x FROM devices": {4, 2},
		"SELECT deviceId, tags.x, COUNT() AS n FROM devices GROUP BY deviceId, tags.x": {4, 2},
	} {
		if sizes, _ := pages(t, src, text, 100); !slices.Equal(sizes, want) {
			t.Errorf("%s: pages of %v rows, want %v", text, sizes, want)
		}
	}
}

func TestProjectionKeepsNumberText(t *testing.T) {
	src := memory{}
	src.add(Devices, newDoc(t, `{"deviceId":"d","tags":{"a":1.50,"b":10000000000000000000000,"c":1e3}}`))
	_, rows := pages(t, src, "SELECT tags.a, tags.b, tags.c FROM devices", 1)
	if want := `{"a":1.50,"b":10000000000000000000000,"c":1e3}`; rows[0] != want {
		t.Errorf("got %s, want %s", rows[0], want)
	}
}

func TestAggregateNumbers(t *testing.T) {
	src := memory{}
	src.add(Devices, newDoc(t, `{"deviceId":"a","tags":{"big":4503599627370495,"half":0.5,"far":1e308,"tiny":1e-9}}`),
		newDoc(t, `{"deviceId":"b","tags":{"big":4503599627370496,"half":"x","far":1e308}}`))
	for text, want := range map[string]string{
		"SELECT SUM(tags.big) AS s, MIN(tags.big) AS lo, MAX(tags.big) AS hi FROM devices": `{"s":9007199254740991,"lo":4503599627370495,"hi":4503599627370496}`,
		"SELECT AVG(tags.half), COUNT(tags.half), COUNT() FROM devices":                    `{"$1":0.5,"$2":2,"$3":2}`,
		"SELECT SUM(tags.far) AS s, AVG(tags.far) AS a, MAX(tags.far) AS m FROM devices":   `{"m":1e+308}`,
		"SELECT AVG(tags.tiny) AS a, COUNT(tags.tiny) AS n FROM devices":                   `{"a":1e-09,"n":1}`,
		"SELECT COUNT() AS n, SUM(tags.half) FROM devices":                                 `{"n":2,"$2":0.5}`,
		"SELECT COUNT() AS n, MIN(tags.half) AS n FROM devices":                            `{"n":0.5}`,
	} {
		if _, rows := pages(t, src, text, 1); len(rows) != 1 || rows[0] != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, rows, want)
		}
	}
}

// TestGroups: which values are one group, and the order of groups.
func TestGroups(t *testing.T) {
	src := memory{}
	for i, x := range []string{
		`"b"`, `2`, `{"a":1,"b":[1,2]}`, `"a"`, `1.0`, `{"b":[1.0,2],"a":1}`, `[2]`, `true`, `1`, `false`,
		`[1,2]`, `"\u0061"`, `-3`, `"1"`, `null`, `[1]`, `""`, `{"a":1,"b":[2,1]}`, `-0`, `0`,
	} {
		src.add(Devices, newDoc(t, `{"deviceId":"d`+strconv.Itoa(100+i)+`","tags":{"x":`+x+`}}`))
	}
	src.add(Devices, newDoc(t, `{"deviceId":"e"}`))
	_, rows := pages(t, src, "SELECT tags.x, COUNT() AS n FROM devices GROUP BY tags.x", 3)
	want := []string{
		`{"n":1}`, `{"x":null,"n":1}`, `{"x":false,"n":1}`, `{"x":true,"n":1}`,
		`{"x":-3,"n":1}`, `{"x":-0,"n":2}`, `{"x":1.0,"n":2}`, `{"x":2,"n":1}`,
		`{"x":"","n":1}`, `{"x":"1","n":1}`, `{"x":"a","n":2}`, `{"x":"b","n":1}`,
		`{"x":[1],"n":1}`, `{"x":[1,2],"n":1}`, `{"x":[2],"n":1}`,
		`{"x":{"a":1,"b":[1,2]},"n":2}`, `{"x":{"a":1,"b":[2,1]},"n":1}`,
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]string{
		"*":                                   "SELECT * FROM devices",
		"tags.a=1 and tags.b='x'":             "SELECT * FROM devices WHERE tags.a = 1 AND tags.b = 'x'",
		"DeviceId IN ['a']":                   "SELECT * FROM devices WHERE deviceId IN ['a']",
		"from devices.modules":                "SELECT * FROM devices.modules",
		"FROM devices.modules WHERE tags.a=1": "SELECT * FROM devices.modules WHERE tags.a = 1",
	} {
		q, err := ParseTarget(text)
		if err != nil || q.String() != want {
			t.Errorf("%s: %v %v, want %s", text, q, err, want)
		}
	}
	for _, text := range []string{"", "* AND true", "SELECT * FROM devices", "tags.a = 1 GROUP BY status", "tags.a ="} {
		if q, err := ParseTarget(text); !fault.Is(err, fault.ArgumentInvalid) {
			t.Errorf("%q: %v, want an error", text, q)
		}
	}
}

func TestRowsAreJSON(t *testing.T) {
	src := fixture(t)
	_, rows := pages(t, src, "SELECT deviceId AS a&b, tags.alias, tags.[[<q>]] FROM devices", 100)
	for _, row := range rows {
		if !json.Valid([]byte(row)) || bytes.Contains([]byte(row), []byte("<")) {
			t.Errorf("row %s", row)
		}
	}
}
