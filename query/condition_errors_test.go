package query

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/message"
)

// TestConditionErrors reads testdata/condition-errors.txt: a condition, a line of
// dashes, what Explain says of it, an empty line.
func TestConditionErrors(t *testing.T) {
	const file = "testdata/condition-errors.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		text, want, _ := strings.Cut(block, "\n----\n")
		_, err := ParseCondition(text, message.DeviceMessages)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("block %d: %s\nis not refused", i, text)
			continue
		}
		got := e.Explain()
		if got != want && !*update {
			t.Errorf("%s\ngot\n%s\nwant\n%s", text, got, want)
		}
		fmt.Fprintf(&out, "%s\n----\n%s\n\n", text, got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimSpace(out.String())+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConditionBounds: texts at and beyond the limits.
func TestConditionBounds(t *testing.T) {
	pad := func(n int) string { return "true" + strings.Repeat(" ", n-4) }
	for _, c := range []struct {
		name, text string
		good       bool
	}{
		{"longest", pad(MaxText), true},
		{"characters count", "'" + strings.Repeat("ø", MaxText-2) + "'", true},
		{"too long", pad(MaxText + 1), false},
		{"far too long", strings.Repeat("(", 10<<20), false},
		{"parentheses", strings.Repeat("(", maxDepth-1) + "true" + strings.Repeat(")", maxDepth-1), true},
		{"too deep", strings.Repeat("(", maxDepth) + "true" + strings.Repeat(")", maxDepth), false},
		{"too many NOT", strings.Repeat("NOT ", maxDepth) + "true", false},
		{"too many signs", strings.Repeat("- ", maxDepth) + "3 = 3", false},
		{"too many calls", strings.Repeat("abs(", maxDepth) + "3" + strings.Repeat(")", maxDepth) + " = 3", false},
		{"open parentheses", strings.Repeat("(", MaxText), false},
		{"a long chain", "1 = 1" + strings.Repeat(" + 1", MaxText/4-2), true},
		{"a long conjunction", "true" + strings.Repeat(" AND true", MaxText/9-1), true},
		{"a long path", "$body" + strings.Repeat(".a", MaxText/2-8) + " = 1", true},
	} {
		condition, err := ParseCondition(c.text, message.DeviceMessages)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			condition.Evaluate(jsonSubject(message.DeviceMessages, "utf-8", `{"a":{"a":{"a":1}}}`))
		}
	}
}
