package query

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTruthTables has the tables of A5, each operand once as a constant and
// once as a comparison.
func TestTruthTables(t *testing.T) {
	d := newDoc(t, `{"deviceId":"d","one":1,"text":"x"}`)
	operands := map[string][]string{
		"T": {"true", "one = 1", "(one < 2)", "NOT false"},
		"F": {"false", "one = 2", "text = 1", "NOT true"},
		"U": {"undefined", "gone = 1", "text", "1", "null", "text < 1", "(one + 1)"},
	}
	truths := map[string]Truth{"T": True, "F": False, "U": Unknown}
	const tables = `
		AND TTT TFF TUU FTF FFF FUF UTU UFF UUU
		OR  TTT TFT TUT FTT FFF FUU UTT UFU UUU`
	var op string
	for _, entry := range strings.Fields(tables) {
		if entry == "AND" || entry == "OR" {
			op = entry
			continue
		}
		for _, l := range operands[entry[:1]] {
			for _, r := range operands[entry[1:2]] {
				text := l + " " + op + " " + r
				if got := condition(t, text, d); got != truths[entry[2:]] {
					t.Errorf("%s is %v, want %v", text, got, truths[entry[2:]])
				}
			}
		}
	}
	for _, entry := range []string{"TF", "FT", "UU"} {
		for _, x := range operands[entry[:1]] {
			if got := condition(t, "NOT "+x, d); got != truths[entry[1:]] {
				t.Errorf("NOT %s is %v, want %v", x, got, truths[entry[1:]])
			}
		}
	}
}

func condition(t testing.TB, text string, d Document) Truth {
	t.Helper()
	q, err := ParseTarget(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return Matches(q.Where, d)
}

// TestConditions has cases that the sheet's fixture does not reach.
func TestConditions(t *testing.T) {
	d := newDoc(t, `{"deviceId":"d","tags":{"n":9007199254740991,"m":9007199254740990,"s":"Zo\u00eb","c":"Zoë",
		"half":0.5,"zero":0,"minus":-0,"null":null,"arr":[1,"a",[2],{"x":1,"y":[3]}],"obj":{"a":1},"huge":1e400,
		"emoji":"\ud83d\ude00","pua":"\uff5e","from":"f"}}`)
	for text, want := range map[string]Truth{
		"tags.n = 9007199254740991":                         True,
		"tags.n = tags.m":                                   False,
		"tags.n - tags.m = 1":                               True,
		"tags.s = tags.c":                                   True,
		"tags.s IN ['Zo\\u00eb']":                           True,
		"tags.zero = tags.minus":                            True,
		"tags.zero = -0":                                    True,
		"tags.half = 5e-1":                                  True,
		"1 / tags.zero = 1":                                 Unknown,
		"1 % tags.zero = 1":                                 Unknown,
		"-7 % 4 = -3":                                       True,
		"2 - 3 - 4 = -5":                                    True,
		"24 / 4 / 2 = 3":                                    True,
		"1e308 * 10 > 1":                                    Unknown,
		"-tags.half < 0":                                    True,
		"-tags.s < 0":                                       Unknown,
		"tags.huge > 1e308":                                 True,
		"tags.null = null":                                  True,
		"tags.null = undefined":                             Unknown,
		"tags.null != 1":                                    True,
		"tags.null < 1":                                     Unknown,
		"tags.obj != null":                                  Unknown,
		"tags.obj IN [1]":                                   Unknown,
		"tags.gone IN []":                                   Unknown,
		"tags.gone NIN []":                                  Unknown,
		"tags.n NIN []":                                     True,
		"tags.half IN [undefined, [0.5]]":                   False,
		"tags.half IN [ [1], 0.50]":                         True,
		"tags.null IN [null]":                               True,
		"true IN [true]":                                    True,
		"IS_DEFINED(tags.null) = true":                      True,
		"IS_NULL(tags.gone)":                                False,
		"IS_PRIMITIVE(tags.null)":                           True,
		"IS_PRIMITIVE(tags.arr)":                            False,
		"IS_PRIMITIVE(tags.gone)":                           False,
		"IS_ARRAY(['a'])":                                   True,
		"IS_OBJECT(tags.obj)":                               True,
		"IS_BOOL((1 = 1))":                                  True,
		"IS_NUMBER(tags.half + 1)":                          True,
		"IS_NUMBER(tags.half / 0)":                          False,
		"ARRAY_CONTAINS(tags.arr, 1.0)":                     True,
		"ARRAY_CONTAINS(tags.arr, 'b')":                     False,
		"ARRAY_CONTAINS(tags.arr, [2])":                     True,
		"ARRAY_CONTAINS(tags.arr, tags.obj)":                False,
		"ARRAY_CONTAINS(tags.arr, tags.gone)":               Unknown,
		"ARRAY_CONTAINS(tags.obj, 1)":                       Unknown,
		"ARRAY_CONTAINS(['Zoë', 1], tags.s)":                True,
		"ARRAY_CONTAINS(tags.arr, '1')":                     False,
		"STARTSWITH(tags.s, 'Zo') AND ENDSWITH(tags.s,'ë')": True,
		"ENDSWITH('abc', 'b')":                              False,
		"STARTSWITH('abc', 'b')":                            False,
		"STARTSWITH('abc', '')":                             True,
		"tags.pua < tags.emoji":                             True, // code points, not UTF-16
		"tags.emoji = '\\ud83d\\ude00'":                     True,
		"'\\ud83dx' = '\ufffdx'":                            True,
		"'\\ud83d\\u0041' = '\ufffdA'":                      True,
		"'it''s' = \"it's\"":                                True,
		"'say \"\"' = \"say \"\"\"\"\"":                     True,
		"devices.tags.from = 'f'":                           True,
		"TAGS.half = 0.5":                                   True,
		"tags.Half = 0.5":                                   Unknown,
		"id = 'd'":                                          True,
		"tags.half\u00a0=\u20030.5":                         True,
		"3-1 = 2":                                           True,
		"tags.obj.a.b = 1":                                  Unknown,
		"NOT (tags.half = 1) = true":                        True,
	} {
		if got := condition(t, text, d); got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}

// TestCanonical: what a query becomes, in the words of the canonical text.
func TestCanonical(t *testing.T) {
	for text, want := range map[string]string{
		"select deviceid, DEVICES.Tags.Site from Devices":                                       "SELECT deviceId, tags.Site FROM devices",
		"SELECT * WHERE a = 'x\ny\\u0001'":                                                      "SELECT * FROM devices WHERE a = 'x\\u000ay\\u0001'",
		"SELECT ID":                                                                             "SELECT deviceId FROM devices",
		"SELECT DeviceId AS id":                                                                 "SELECT deviceId AS id FROM devices",
		"SELECT tags.a AS a, COUNT() AS $1 GROUP BY tags.a":                                     "SELECT tags.a, COUNT() FROM devices GROUP BY tags.a",
		"SELECT * WHERE PROPERTIES.Reported.Temp > 0x10":                                        "SELECT * FROM devices WHERE properties.reported.Temp > 16",
		"SELECT * WHERE Capabilities.IOTEDGE = TRUE":                                            "SELECT * FROM devices WHERE capabilities.iotEdge = true",
		"SELECT * WHERE x509thumbprint.PRIMARYTHUMBPRINT=null":                                  "SELECT * FROM devices WHERE x509Thumbprint.primaryThumbprint = null",
		"SELECT * FROM devices.jobs WHERE Devices.Jobs.Outcome.DEVICEMETHODRESPONSE.Status=200": "SELECT * FROM devices.jobs WHERE outcome.deviceMethodResponse.status = 200",
		"SELECT * FROM devices.modules WHERE devices.modules.tags.a and devices.MODULEID":       "SELECT * FROM devices.modules WHERE tags.a AND moduleId",
		"SELECT * FROM devices WHERE devices.modules.tags.a":                                    "SELECT * FROM devices WHERE modules.tags.a",
		"SELECT * WHERE devices.devices.tags.a":                                                 "SELECT * FROM devices WHERE devices.devices.tags.a",
		"SELECT * WHERE devices":                                                                "SELECT * FROM devices WHERE devices",
		"SELECT * WHERE devices.from = tags.[[5g]]":                                             "SELECT * FROM devices WHERE [[from]] = tags.5g",
		"SELECT * WHERE tags.[[a b]] = \"it's \\\"\"":                                           "SELECT * FROM devices WHERE tags.[[a b]] = 'it\\'s \"'",
		"SELECT * WHERE ((a)) and ((b and (c or d)))":                                           "SELECT * FROM devices WHERE a AND b AND (c OR d)",
		"SELECT * WHERE not (not a) or not (a = 1)":                                             "SELECT * FROM devices WHERE NOT NOT a OR NOT a = 1",
		"SELECT * WHERE (not a) = true":                                                         "SELECT * FROM devices WHERE (NOT a) = true",
		"SELECT * WHERE a-b - -(-(5)) * (c + d) - (e - f)<>1":                                   "SELECT * FROM devices WHERE a-b - 5 * (c + d) - (e - f) != 1",
		"SELECT * WHERE -(-a) = -(a+b)":                                                         "SELECT * FROM devices WHERE -(-a) = -(a + b)",
		"SELECT * WHERE a in [ [1,[ ]], -2 , 'x', null,undefined ]":                             "SELECT * FROM devices WHERE a IN [ [1, []], -2, 'x', null, undefined]",
		"SELECT TOP(3)*/**/WHERE is_defined (tags)":                                             "SELECT TOP 3 * FROM devices WHERE IS_DEFINED(tags)",
	} {
		q, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := q.String(); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// TestTree: the tree of one query in full, which an index relies on.
func TestTree(t *testing.T) {
	q := mustParse(t, `SELECT TOP 5 DeviceId, COUNT(tags.a) AS n FROM devices
		WHERE tags.a = -1.5 AND (NOT tags.b NIN ['x'] OR STARTSWITH(deviceId, 'e')) AND 1 < tags.c GROUP BY deviceid`)
	number := func(n float64) Expr { return &Literal{Value{Kind: Number, Number: n}} }
	str := func(s string) Expr { return &Literal{Value{Kind: String, Text: s}} }
	want := &Query{
		Top: 5,
		Items: []Item{
			{Path: Path{"deviceId"}, Name: "deviceId"},
			{Aggregate: Count, Path: Path{"tags", "a"}, Name: "n"},
		},
		Where: &And{[]Expr{
			&Compare{Equal, Path{"tags", "a"}, number(-1.5)},
			&Or{[]Expr{
				&Not{&In{Path{"tags", "b"}, true, &List{Elems: []Expr{str("x")}, json: `["x"]`}}},
				&Call{StartsWith, []Expr{Path{"deviceId"}, str("e")}},
			}},
			&Compare{Less, number(1), Path{"tags", "c"}},
		}},
		GroupBy: []Path{{"deviceId"}},
	}
	if diff := cmp.Diff(want, q, cmp.AllowUnexported(List{})); diff != "" {
		t.Error(diff)
	}
}

// TestValueOf: nothing that is not JSON gets through, or does harm.
func TestValueOf(t *testing.T) {
	for text, want := range map[string]Kind{
		"": Undefined, "null": Null, "true": Bool, "-1e5": Number, `"a"`: String, `"\n"`: String,
		"[]": Array, "{}": Object, `"`: Undefined, `"a`: Undefined, `"\x"`: Undefined, "-": Undefined,
		"1x": Undefined, "nan": Null, " 1": Undefined, "]": Undefined,
	} {
		if got := ValueOf(text).Kind; got != want {
			t.Errorf("%q has kind %d, want %d", text, got, want)
		}
	}
}

// TestSortKeyOrder: keys sort as the sheet's groups compare.
func TestSortKeyOrder(t *testing.T) {
	ascending := []string{
		"", "null", "false", "true", "-1e300", "-2", "-1.5", "-1e-300", "0", "1e-300", "1", "1.5", "10", "1e300",
		`""`, `"\u0000"`, `"\u0000a"`, `"\u0001"`, `"a"`, `"a\u0000"`, `"aa"`, `"b"`, `"ÿ"`, `"\ud83d\ude00"`,
		"[]", "[null]", "[1]", "[1,2]", "[2]", "[[]]", "{}", `{"a":1}`, `{"a":1,"b":0}`, `{"a":2}`, `{"b":0}`,
	}
	var keys []string
	for _, text := range ascending {
		keys = append(keys, string(sortKey(nil, text)))
	}
	for i := range keys[1:] {
		if keys[i] >= keys[i+1] {
			t.Errorf("%s does not sort before %s", ascending[i], ascending[i+1])
		}
	}
	for a, b := range map[string]string{
		"1": "1.0", "-0": "0", `{"a":1,"b":[2]}`: ` {"b" : [2.0] , "a":1e0}`[1:], `"\u0061"`: `"a"`, "[ ]": "[]",
	} {
		if !slices.Equal(sortKey(nil, a), sortKey(nil, b)) {
			t.Errorf("%s and %s differ", a, b)
		}
	}
}

// TestSortKeyDeep: below maxKeyDepth a value is compared by its text, so that
// a hostile depth costs no more than its length.
func TestSortKeyDeep(t *testing.T) {
	nested := func(depth int, inner string) string {
		return strings.Repeat("[", depth) + inner + strings.Repeat("]", depth)
	}
	for _, c := range []struct {
		depth int
		equal bool
	}{{maxKeyDepth - 1, true}, {maxKeyDepth + 1, false}, {100_000, false}} {
		a, b := sortKey(nil, nested(c.depth, "1")), sortKey(nil, nested(c.depth, "1.0"))
		if slices.Equal(a, b) != c.equal || len(a) > 2*c.depth+100 {
			t.Errorf("depth %d: equal %v, want %v; %d bytes", c.depth, !c.equal, c.equal, len(a))
		}
	}
}
