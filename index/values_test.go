package index_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// beginnings are what strings of one column have in common, now and then.
var beginnings = []string{"", "plant-7/", "plant-7/line", "plant-8", strings.Repeat("long ", 60)}

// drawText draws a string near to others: a few letters behind a beginning, the
// lowest character among them, or a cut.
func drawText(t *rapid.T, begin string) string {
	s := begin + rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', 0, 'é', '😀', '"', '\\'}), 0, 9, -1).Draw(t, "end")
	if rapid.IntRange(0, 15).Draw(t, "cut") == 0 {
		s = strings.ToValidUTF8(s[:rapid.IntRange(0, len(s)).Draw(t, "length")], "")
	}
	return s
}

// drawValue draws the JSON text of a value: mostly strings that begin with begin.
func drawValue(t *rapid.T, begin string) string {
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom([]string{"true", "false", "[1]", "[]", `{"in":1}`, "{}"}).Draw(t, "other")
	case 1, 2:
		return rapid.SampledFrom([]string{"0", "-0", "1", "1.0", "-1", "2.5", "1e400", "-1e400", "7e-3"}).Draw(t, "number")
	default:
		text := quoteJSON(drawText(t, begin))
		if rapid.IntRange(0, 5).Draw(t, "escape") == 0 {
			text = strings.ReplaceAll(text, "a", `\u0061`)
		}
		return text
	}
}

func quoteJSON(s string) string {
	text, _ := json.Marshal(s) // a string always has a JSON form
	return string(text)
}

// valueRows are rows with two paths, and the index that holds them.
type valueRows struct {
	x    *index.Index
	docs map[string]*document.Document
	at   store.Position
}

// fataler is a test, or a check of rapid's.
type fataler interface {
	Fatal(...any)
	Fatalf(string, ...any)
	Context() context.Context
}

func (r *valueRows) set(t fataler, id, tags string) {
	key := device.ID{Device: id}
	d := r.docs[id]
	u := index.Update{ID: key}
	if d == nil {
		d = &document.Document{ID: key, Twin: twin.New(started)}
		u.Identity = &device.Identity{ID: key, Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS}}
		d.Head.SetIdentity(u.Identity)
	}
	p, err := twin.ParseReplacement([]byte(`{"tags":`+tags+`,"properties":{"desired":{}}}`), twin.Rules{})
	if err != nil {
		t.Fatalf("%s: %v", tags, err)
	}
	tw, _, err := d.Twin.Replace(p, started)
	if err != nil {
		t.Fatal(err)
	}
	next := *d
	next.Twin = tw
	r.docs[id] = &next
	r.at++
	u.Position, u.Twin = r.at, tw.AppendBinary(nil)
	if err := r.x.Apply(r.at, []index.Update{u}); err != nil {
		t.Fatal(err)
	}
}

// conditions draws conditions on a and b, which are what rows have.
func conditions(t *rapid.T, begin string) (list []string) {
	text := func() string { return quoteQuery(drawText(t, begin)) }
	number := func() string {
		return rapid.SampledFrom([]string{"0", "1", "-1", "2.5", "2", "1e300", "-1e300", "0.007"}).Draw(t, "constant")
	}
	for _, op := range []string{"=", "!=", "<", "<=", ">", ">="} {
		list = append(list,
			"tags.a "+op+" "+text(), "tags.a "+op+" "+number(), number()+" "+op+" tags.a",
			"tags.a "+op+" tags.b", "tags.b "+op+" tags.a", "tags.a "+op+" true", "tags.a "+op+" null",
			"tags.a "+op+" x509Thumbprint.primaryThumbprint")
	}
	list = append(list,
		"STARTSWITH(tags.a, "+text()+")", "ENDSWITH(tags.a, "+text()+")", "STARTSWITH(tags.a, "+quoteQuery(begin)+")",
		"STARTSWITH("+text()+", tags.a)", "STARTSWITH(tags.a, tags.b)",
		fmt.Sprintf("tags.a IN [%s, %s, %s, true, [1]]", text(), text(), number()),
		fmt.Sprintf("tags.a NIN [%s, %s, %s]", text(), number(), number()),
		"tags.a + 1 = "+number(), "IS_DEFINED(tags.a)", "IS_STRING(tags.a)", "IS_PRIMITIVE(tags.b)", "ARRAY_CONTAINS(tags.a, 1)",
	)
	return list
}

var inQuotes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\u0000`)

func quoteQuery(s string) string { return "'" + inQuotes.Replace(s) + "'" }

// Values of every kind, in dictionaries and in cells, compare as the straight
// evaluator has it: strings also where only the ends differ, while what they
// have in common gets shorter.
func TestValuesAgainstStraight(t *testing.T) {
	for _, values := range []int{3, 128} {
		t.Run(fmt.Sprint(values, " values"), func(t *testing.T) {
			index.SetBounds(t, 64, values)
			rapid.Check(t, func(t *rapid.T) {
				r := &valueRows{x: index.New(index.Config{}), docs: map[string]*document.Document{}}
				if err := r.x.Load(t.Context(), 0, func(func(index.Row, error) bool) {}); err != nil {
					t.Fatal(err)
				}
				begin := rapid.SampledFrom(beginnings).Draw(t, "begin")
				for range rapid.IntRange(5, 60).Draw(t, "changes") {
					tags := ""
					for _, name := range []string{"a", "b"} {
						if rapid.IntRange(0, 6).Draw(t, "has") > 0 {
							tags += `,"` + name + `":` + drawValue(t, begin)
						}
					}
					r.set(t, fmt.Sprintf("d%02d", rapid.IntRange(0, 40).Draw(t, "id")), "{"+strings.TrimPrefix(tags, ",")+"}")
				}
				s := r.x.Snapshot()
				defer s.Close()
				for _, where := range conditions(t, begin) {
					r.check(t, s, where)
					r.check(t, s, "NOT ("+where+")")
				}
			})
		})
	}
}

func (r *valueRows) check(t fataler, s *index.Snapshot, where string) {
	q, err := query.Parse("SELECT * FROM devices WHERE " + where)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for d, err := range s.Documents(t.Context(), q, "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSuffix(d.Key(), "\x00"))
	}
	for id, d := range r.docs {
		if query.Matches(q.Where, d) == query.True {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%s\ngot  %s\nwant %s", where, got, want)
	}
}

// Documents are asked only where nothing else rules them out, whichever term
// comes first.
func TestFewDocumentsAsked(t *testing.T) {
	x := ready(t, index.Config{})
	for i := range 500 {
		at := store.Position(i + 1)
		x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%03d", i), map[string]any{"list": []int{i % 3}, "number": i})})
	}
	for _, test := range []struct {
		where string
		most  int
	}{
		{"ARRAY_CONTAINS(tags.list, 1) AND tags.number < 10", 10},
		{"tags.number < 10 AND ARRAY_CONTAINS(tags.list, 1)", 10},
		{"ARRAY_CONTAINS(tags.list, 1) OR tags.number >= 10", 10},
		{"tags.number >= 10 OR ARRAY_CONTAINS(tags.list, 1)", 10},
		{"NOT (ARRAY_CONTAINS(tags.list, 1) AND tags.number < 10)", 10},
		{"NOT (ARRAY_CONTAINS(tags.list, 1) OR tags.number >= 10)", 10},
	} {
		s := x.Snapshot()
		if _, err := s.Count(t.Context(), parse(t, "SELECT * FROM devices WHERE "+test.where)); err != nil || s.Decoded > test.most {
			t.Errorf("%s: %d documents, at most %d need be asked; %v", test.where, s.Decoded, test.most, err)
		}
		s.Close()
	}
}

// A dictionary does not hold long texts: cells have room for their beginnings.
func TestLongTextsSpread(t *testing.T) {
	x := ready(t, index.Config{})
	for i := range 100 {
		at := store.Position(i + 1)
		x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%02d", i), map[string]any{"a": strings.Repeat("x", 4000) + fmt.Sprint(i)})})
	}
	if n := x.Stats().ColumnBytes; n > 50_000 {
		t.Errorf("%d bytes for 100 rows", n)
	}
}

// An object of many members may come back in any order.
func TestManyMembersInAnyOrder(t *testing.T) {
	const members = 400
	r := &valueRows{x: ready(t, index.Config{}), docs: map[string]*document.Document{}}
	object := func(value func(i int) any, order func(i int) int) string {
		var parts []string
		for i := range members {
			if n := order(i); value(n) != nil {
				parts = append(parts, fmt.Sprintf(`"k%d":%v`, n, value(n)))
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	states := []func(i int) any{
		func(i int) any { return i },
		func(i int) any { return i },
		func(i int) any {
			if i%3 == 0 {
				return nil
			}
			return i % 7
		},
		func(i int) any {
			if i%5 == 0 {
				return nil
			}
			return i % 7
		},
	}
	for at, value := range states {
		step := []int{1, members - 1, 7, 3}[at] // each has no divisor in common with members
		r.set(t, "d", object(value, func(i int) int { return i * step % members }))
		s := r.x.Snapshot()
		for i := range members {
			r.check(t, s, fmt.Sprintf("tags.k%d = %v", i, i))
			r.check(t, s, fmt.Sprintf("tags.k%d = %v", i, i%7))
			r.check(t, s, fmt.Sprintf("NOT IS_DEFINED(tags.k%d)", i))
		}
		s.Close()
	}
}

// Ids compare as strings, also with what no id has.
func TestKeysAndStrangeStrings(t *testing.T) {
	x := ready(t, index.Config{})
	for at, module := range []string{"a", "m", "z"} {
		u := update(t, store.Position(at+1), "d", map[string]any{})
		u.ID.Module, u.Identity.ID.Module = module, module
		x.Apply(u.Position, []index.Update{u})
	}
	for where, rows := range map[string]int{
		`deviceId < 'd\u0000m'`: 3, `deviceId > 'd\u0000m'`: 0, `deviceId = 'd\u0000m'`: 0, `deviceId != 'd\u0000m'`: 3,
		`deviceId <= 'd\u0001'`: 3, `deviceId IN ['d\u0000m', 'd\u0001']`: 0, `STARTSWITH(deviceId, 'd\u0000')`: 0, `STARTSWITH(deviceId, '')`: 3,
		`deviceId >= ''`: 3, `deviceId < ''`: 0, `deviceId = 'd'`: 3, `deviceId > 'c'`: 3,
	} {
		if n := plan(t, x, "SELECT * FROM devices.modules WHERE "+where).Rows; n != rows {
			t.Errorf("%s gives %d rows, want %d", where, n, rows)
		}
	}
}

// Times compare as their texts, where these begin alike too.
func TestTimes(t *testing.T) {
	x := ready(t, index.Config{})
	x.Apply(1, []index.Update{update(t, 1, "d", map[string]any{})}) // at 2026-01-01T00:00:00.0000000Z
	for literal, order := range map[string]int{
		"": 1, "2026": 1, "2026-01-01T00:00:00": 1, "2026-01-01T00:00:00.0000000Z": 0, "2026-01-01T00:00:00.0000000Z0": -1,
		"2026-01-01T00:00:00.0000001Z": -1, "2025-12-31T23:59:59.9999999Z": 1, "2027": -1, "x": -1, "9999-12-31T23:59:59.9999999Z": -1,
	} {
		for op, holds := range map[string]bool{
			"=": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0,
		} {
			want := 0
			if holds {
				want = 1
			}
			where := "properties.desired.$metadata.$lastUpdated " + op + " '" + literal + "'"
			if n := plan(t, x, "SELECT * FROM devices WHERE "+where).Rows; n != want {
				t.Errorf("%s gives %d rows", where, n)
			}
		}
	}
}

// A prefix is sought in the characters of a path, not in what is computed of
// them.
func TestPrefixOfExpression(t *testing.T) {
	x := ready(t, index.Config{})
	for i := range 300 {
		at := store.Position(i + 1)
		x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%03d", i), map[string]any{"few": "abc", "many": fmt.Sprint("abc", i)})})
	}
	for where, rows := range map[string]int{
		"STARTSWITH(tags.few, 'a')":               300,
		"STARTSWITH(tags.many, 'abc1')":           111,
		"STARTSWITH(-tags.few, 'a')":              0,
		"STARTSWITH(-tags.many, 'a')":             0,
		"STARTSWITH(tags.many + 1, 'a')":          0,
		"STARTSWITH(IS_DEFINED(tags.many), 'a')":  0,
		"NOT STARTSWITH(IS_STRING(tags.few), '')": 0,
	} {
		if n := plan(t, x, "SELECT * FROM devices WHERE "+where).Rows; n != rows {
			t.Errorf("%s gives %d rows, want %d", where, n, rows)
		}
	}
}
