package docs

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCommands asks the program about each command line that a page shows: with
// --help behind it, the program checks the words before it and does nothing.
func TestCommands(t *testing.T) {
	program := filepath.Join(t.TempDir(), "hubtwin")
	build := exec.Command("go", "build", "-o", program, "./cmd/hubtwin")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	asked := 0
	for _, name := range files(t, ".md") {
		for _, line := range commandLines(read(t, name)) {
			words, ok := shellWords(line)
			if !ok {
				t.Errorf("%s: %s: a quote is not closed", name, line)
				continue
			}
			asked++
			if out, err := exec.Command(program, append(words, "--help")...).CombinedOutput(); err != nil {
				t.Errorf("%s: hubtwin %s: %v\n%s", name, line, err, out)
			}
		}
	}
	if asked < 8 {
		t.Errorf("found %d command lines only", asked)
	}
	if exec.Command(program, "query", "SELECT *", "--colour", "--help").Run() == nil {
		t.Error("a flag that is not there passes: this test proves nothing")
	}
}

// commandLines are the words behind hubtwin in blocks and in quotes.
func commandLines(page string) (list []string) {
	text, blocks := split(page)
	var lines []string
	for _, b := range blocks {
		lines = append(lines, strings.Split(b, "\n")...)
	}
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		lines = append(lines, m[1])
	}
	for _, l := range lines {
		l = strings.TrimPrefix(strings.TrimSpace(l), "$ ")
		for _, start := range []string{"hubtwin ", "go run ./cmd/hubtwin "} {
			if words, ok := strings.CutPrefix(l, start); ok {
				list = append(list, words)
			}
		}
	}
	return list
}

// shellWords splits a line as a shell does, as far as pages need it: quotes, and
// the end of a command.
func shellWords(line string) (words []string, closed bool) {
	var word strings.Builder
	begun, quote := false, rune(0)
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, begun = c, true
		case c == ' ':
			end()
		case strings.ContainsRune("|&;>", c):
			end()
			return words, true
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	end()
	return words, quote == 0
}

func TestShellWords(t *testing.T) {
	for line, want := range map[string][]string{
		`query "SELECT * WHERE a = 'b c'" -o json | jq .`: {"query", "SELECT * WHERE a = 'b c'", "-o", "json"},
		`twin update d --tags '{"a":1}'  --x ''`:          {"twin", "update", "d", "--tags", `{"a":1}`, "--x", ""},
	} {
		if got, closed := shellWords(line); !closed || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", line, got, closed)
		}
	}
	if _, closed := shellWords(`query "SELECT`); closed {
		t.Error("an open quote counts as closed")
	}
}
