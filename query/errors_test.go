package query

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/fault"
)

var update = flag.Bool("update", false, "rewrite testdata/errors.txt")

// TestErrors reads testdata/errors.txt: a query, a line of dashes, what Explain
// says of it, an empty line. <tab> stands for a tab.
func TestErrors(t *testing.T) {
	const file = "testdata/errors.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		text, want, _ := strings.Cut(block, "\n----\n")
		text = strings.ReplaceAll(text, "<tab>", "\t")
		want = strings.ReplaceAll(want, "<tab>", "\t")
		_, err := Parse(text)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("block %d: %s\nis not refused", i, text)
			continue
		}
		got := e.Explain()
		if got != want && !*update {
			t.Errorf("%s\ngot\n%s\nwant\n%s", text, got, want)
		}
		fmt.Fprintf(&out, "%s\n\n", strings.ReplaceAll(text+"\n----\n"+got, "\t", "<tab>"))
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimSpace(out.String())+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, err := Parse("SELECT *\nFROM devices WHERE tags.ø == 1")
	const want = `line 2, column 27: expected an operator, GROUP BY or the end of the query, found "=="; equality is written =`
	if got := err.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := fault.Of(err).Error(); got != "BadRequest "+want {
		t.Errorf("fault %s", got)
	}
}

// TestRefused: texts that must be refused at once and without harm.
func TestRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a megabyte":        "SELECT * FROM devices WHERE " + strings.Repeat("a", 1<<20),
		"one too long":      "SELECT * FROM devices WHERE " + strings.Repeat("a", MaxText-27),
		"parentheses":       "SELECT * WHERE " + strings.Repeat("(", 8000),
		"closed":            "SELECT * WHERE " + strings.Repeat("(", 4000) + "1" + strings.Repeat(")", 4000),
		"nots":              "SELECT * WHERE " + strings.Repeat("NOT ", 2000) + "a",
		"calls":             "SELECT * WHERE " + strings.Repeat("IS_NULL(", 900) + "a" + strings.Repeat(")", 900),
		"minuses":           "SELECT * WHERE " + strings.Repeat("-(", 2000) + "a" + strings.Repeat(")", 2000),
		"arrays":            "SELECT * WHERE a IN " + strings.Repeat("[ ", 3000) + strings.Repeat("]", 3000),
		"open brackets":     "SELECT * WHERE a IN " + strings.Repeat("[", 8000),
		"open comment":      "SELECT * /*" + strings.Repeat("x", 8000),
		"not UTF-8":         "SELECT * FROM devices WHERE a = '\xff'",
		"huge number":       "SELECT * FROM devices WHERE a = 1e999",
		"huge hexadecimal":  "SELECT * FROM devices WHERE a = 0xFFFFFFFFFFFFFFFFF",
		"hexadecimal alone": "SELECT * FROM devices WHERE a = 0x",
		"huge TOP":          "SELECT TOP 99999999999999999999 * FROM devices",
		"TOP of hex":        "SELECT TOP 0x10 * FROM devices",
		"nothing":           "",
		"blanks":            " \t\n ",
	} {
		q, err := Parse(text)
		var e *Error
		if !errors.As(err, &e) || q != nil {
			t.Errorf("%s: %v, %v; want an *Error", name, q, err)
			continue
		}
		if e.Offset > len(text) || len(e.Error()) > 400 || len(e.Explain()) > 1000 {
			t.Errorf("%s: at %d: %s", name, e.Offset, e.Explain())
		}
	}
}

// TestRefusedParentheses: depth is refused for its own sake, not for length.
func TestRefusedParentheses(t *testing.T) {
	text := strings.Repeat("(", 10_000) + "1" + strings.Repeat(")", 10_000)
	_, err := parse("SELECT * WHERE "+text, len(text)*2, (*parser).query)
	if err == nil || !strings.Contains(err.Error(), "nested more than 200 deep") {
		t.Errorf("error %v", err)
	}
}

// allocated is about how many bytes f allocates: the least of three runs,
// because other goroutines allocate too.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// TestTooLongCostsNothing: of a text that is too long only the length is looked
// at, whatever it says.
func TestTooLongCostsNothing(t *testing.T) {
	for name, text := range map[string]string{
		"a megabyte":         "SELECT * FROM devices WHERE tags.a = '" + strings.Repeat("x", 1<<20) + "'",
		"10,000 parentheses": "SELECT * WHERE " + strings.Repeat("(", 10_000) + "a" + strings.Repeat(")", 10_000),
		"100,000 in a list":  "SELECT * WHERE a IN [1" + strings.Repeat(",1", 100_000) + "]",
		"10,000 ANDs":        "SELECT * WHERE a = 1" + strings.Repeat(" AND a = 1", 10_000),
		"10,000 ORs":         "SELECT * WHERE a" + strings.Repeat(" OR a", 10_000),
		"10,000 NOTs":        "SELECT * WHERE " + strings.Repeat("NOT ", 10_000) + "a",
		"10,000 items":       "SELECT a" + strings.Repeat(",a", 10_000),
		"10,000 groups":      "SELECT COUNT() GROUP BY a" + strings.Repeat(",a", 10_000),
		"10,000 keys":        "SELECT * WHERE a" + strings.Repeat(".a", 10_000),
		"10,000 terms":       "SELECT * WHERE a" + strings.Repeat("+1", 10_000),
		"10,000 digits":      "SELECT * WHERE a = 1" + strings.Repeat("0", 10_000),
		"no text at all":     strings.Repeat("\xff", 1<<20),
	} {
		var err error
		n := allocated(func() { _, err = Parse(text) })
		if !fault.Is(err, fault.ArgumentInvalid) || !strings.Contains(err.Error(), "longer than 8192") {
			t.Errorf("%s: %v, want that it is too long", name, err)
		}
		if n > 1<<10 {
			t.Errorf("%s: refusing %d bytes allocates %d", name, len(text), n)
		}
		if q, err := ParseTarget(text); !fault.Is(err, fault.ArgumentInvalid) {
			t.Errorf("%s as a condition: %v, %v", name, q, err)
		}
	}
}

// TestParseMemory: what a text of legal length costs is in proportion to it,
// whether it is a query or not.
func TestParseMemory(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		denied bool
	}{
		"parentheses":   {"SELECT * WHERE " + strings.Repeat("(", 8000), true},
		"NOTs":          {"SELECT * WHERE " + strings.Repeat("NOT ", 2000) + "a", true},
		"brackets":      {"SELECT * WHERE a IN " + strings.Repeat("[ ", 4000), true},
		"huge number":   {"SELECT * WHERE a = 1" + strings.Repeat("0", 8000), true},
		"arguments":     {"SELECT * WHERE STARTSWITH(a" + strings.Repeat(",a", 4000) + ")", true},
		"ORs":           {"SELECT * WHERE a" + strings.Repeat(" OR a", 1600), false},
		"ANDs":          {"SELECT * WHERE a=1" + strings.Repeat(" AND a=1", 1000), false},
		"list":          {"SELECT * WHERE a IN [1" + strings.Repeat(",1", 4000) + "]", false},
		"nested lists":  {"SELECT * WHERE a IN " + strings.Repeat("[ ", 190) + "'" + strings.Repeat("\x01", 7400) + "'" + strings.Repeat("]", 190), false},
		"digits":        {"SELECT * WHERE a = 0." + strings.Repeat("1", 8000), false},
		"quotes":        {"SELECT * WHERE a = '" + strings.Repeat("''", 4000) + "'", false},
		"items":         {"SELECT a" + strings.Repeat(",a", 4000), false},
		"groups":        {"SELECT a GROUP BY a" + strings.Repeat(",a", 4000), false},
		"keys":          {"SELECT * WHERE a" + strings.Repeat(".a", 4000), false},
		"sum":           {"SELECT * WHERE a" + strings.Repeat("+1", 4000), false},
		"wide text":     {"SELECT * WHERE a = '" + strings.Repeat("😀", 8100) + "'", false},
		"small queries": {"SELECT *", false},
	} {
		var err error
		n := allocated(func() { _, err = Parse(c.text) })
		if c.denied != (err != nil) || c.denied && !fault.Is(err, fault.ArgumentInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if most := uint64(150*len(c.text) + 4<<10); n > most {
			t.Errorf("%s: %d bytes allocate %d, more than %d", name, len(c.text), n, most)
		}
	}
}

// TestAccepted: texts at the limits.
func TestAccepted(t *testing.T) {
	d := newDoc(t, `{"deviceId":"d","a":7}`)
	for name, c := range map[string]struct {
		text string
		want Truth
	}{
		"longest":       {"SELECT * WHERE a = 7" + strings.Repeat(" ", MaxText-20), True},
		"in characters": {"SELECT * WHERE 'ø' = '" + strings.Repeat("ø", MaxText-23) + "'", False},
		"deep":          {"SELECT * WHERE " + strings.Repeat("(", maxDepth-1) + "a = 7" + strings.Repeat(")", maxDepth-1), True},
		"long list":     {"SELECT * WHERE a IN [" + strings.Repeat("1,", 4000) + "7]", True},
		"long sum":      {"SELECT * WHERE a" + strings.Repeat(" +1", 2700) + " = 2707", True},
		"long OR":       {"SELECT * WHERE a=1" + strings.Repeat(" or a=1", 1100) + " or a=7", True},
		"long path":     {"SELECT * WHERE a" + strings.Repeat(".a", 4000), Unknown},
	} {
		if n := utf8.RuneCountInString(c.text); n > MaxText {
			t.Fatalf("%s: the test is too long: %d", name, n)
		}
		q := mustParse(t, c.text)
		if got := Matches(q.Where, d); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
