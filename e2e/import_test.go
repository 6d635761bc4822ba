package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const importPage = "../docs/import.md"

// TestImport makes the file of docs/import.md, gives each command of the page, and
// wants the outputs that it shows.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	h := &hubProcess{t: t, env: filepath.Join(dir, "hub.env")}
	h.args = []string{"dev", "--data", filepath.Join(dir, "data"), "--env", h.env, "--listen", "127.0.0.1",
		"--https-port", "0", "--mqtt-port", "0", "--admin-port", "0", "--device", "pump-0"}
	h.start()
	lines := fenced(t, importPage, "jsonl")
	if len(lines) != 1 {
		t.Fatalf("%d blocks of lines on the page", len(lines))
	}
	if err := os.WriteFile(filepath.Join(dir, "fleet.jsonl"), []byte(lines[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	steps := consoleSteps(t, importPage)
	if len(steps) != 8 {
		t.Fatalf("%d commands on the page", len(steps))
	}
	for _, step := range steps {
		cmd := exec.Command("bash", "-c", fmt.Sprintf("source %s; cd %s; PATH=%s:$PATH; %s", h.env, dir, filepath.Dir(binary), step.command))
		// Failures are on the page too.
		got, err := cmd.CombinedOutput()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			t.Fatal(err)
		}
		if diff := cmp.Diff(inOrder(step.output), inOrder(string(got))); diff != "" {
			t.Errorf("%s (-page +run):\n%s", step.command, diff)
		}
	}
	h.stop()
}

// inOrder is an output with what comes from standard error first, since the two
// streams may meet in any order.
func inOrder(output string) string {
	var errs, rest []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "line ") || strings.HasPrefix(line, "hubtwin: ") {
			errs = append(errs, line)
		} else {
			rest = append(rest, line)
		}
	}
	return strings.Join(append(errs, rest...), "")
}
