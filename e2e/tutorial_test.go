package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTutorial does what docs/tutorial.md says, command by command, and wants
// the outputs that it shows.
func TestTutorial(t *testing.T) {
	needSDKs(t)
	h := newHub(t)
	running := false
	for _, step := range consoleSteps(t, "../docs/tutorial.md") {
		switch c := step.command; {
		case strings.HasPrefix(c, "go run ./cmd/hubtwin dev"):
			h.start()
			running = true
		case strings.HasPrefix(c, "pkill -9"):
			h.kill()
			h.start() // "Start it again as in step 1"
		case strings.HasPrefix(c, "node "):
			if diff := cmp.Diff(step.output, h.shell(c)); diff != "" {
				t.Errorf("%s (-page +run):\n%s", c, diff)
			}
		case c == "source hub.env", c == "cd examples/tutorial", c == "npm ci --silent":
			// The test's own set-up has done these.
		default:
			t.Errorf("the page has a command that this test does not know: %s", c)
		}
	}
	if !running {
		t.Fatal("the page starts no hub")
	}
	h.stop()
}

// TestPagesShowTheirApps holds the excerpts of the pages against the apps.
func TestPagesShowTheirApps(t *testing.T) {
	for _, page := range []string{"../docs/tutorial.md", methodsPage} {
		testExcerpts(t, page)
	}
}

func testExcerpts(t *testing.T, page string) {
	t.Helper()
	excerpts := 0
	for _, block := range fenced(t, page, "js") {
		name, code, _ := strings.Cut(strings.TrimPrefix(block, "// "), "\n")
		app, err := os.ReadFile(filepath.Join(tutorial, name))
		if err != nil {
			t.Error(err)
			continue
		}
		excerpts++
		indented := "  " + strings.ReplaceAll(strings.TrimSpace(code), "\n", "\n  ")
		indented = strings.ReplaceAll(indented, "\n  \n", "\n\n")
		if !strings.Contains(string(app), indented) {
			t.Errorf("%s does not contain\n%s", name, indented)
		}
	}
	if excerpts != 2 {
		t.Errorf("%s: %d excerpts, want 2", page, excerpts)
	}
}

type step struct{ command, output string }

// consoleSteps are the commands of a page's console blocks with the outputs
// below them.
func consoleSteps(t *testing.T, page string) (steps []step) {
	t.Helper()
	for _, block := range fenced(t, page, "console") {
		for line := range strings.Lines(block) {
			if c, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, step{command: strings.TrimSpace(c)})
			} else if len(steps) > 0 {
				steps[len(steps)-1].output += line
			}
		}
	}
	return steps
}

// fenced gives the contents of a page's fenced blocks of one language.
func fenced(t *testing.T, page, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rest := string(text)
	for {
		_, after, ok := strings.Cut(rest, "\n```"+language+"\n")
		if !ok {
			return blocks
		}
		block, after, ok := strings.Cut(after, "```\n")
		if !ok {
			t.Fatalf("%s: a block of %s does not end", page, language)
		}
		blocks, rest = append(blocks, block), "\n"+after
	}
}
