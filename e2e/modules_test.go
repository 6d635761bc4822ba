package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestModules does what docs/modules.md says, and wants the outputs that it shows.
// The page's module runs in the background from its command on.
func TestModules(t *testing.T) {
	needSDKs(t)
	t.Setenv("PATH", filepath.Dir(binary)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	h := newHub(t)
	h.start()
	var module *background
	var moduleSays string
	for _, step := range consoleSteps(t, "../docs/modules.md") {
		if strings.HasPrefix(step.command, "node run-valve.js") {
			module, moduleSays = h.background(step.command), step.output
			module.waitFor("the valve is there\n")
			continue
		}
		if strings.HasPrefix(step.command, "hubtwin method") {
			module.waitFor("the valve is there\nopen: true\n") // so queries find it
		}
		got := h.shell("{ " + step.command + "; } 2>&1")
		if diff := cmp.Diff(step.output, got); diff != "" {
			t.Errorf("%s (-page +run):\n%s", step.command, diff)
		}
	}
	if module == nil {
		t.Fatal("the page starts no module")
	}
	module.waitFor(moduleSays)
	h.stop()
}
