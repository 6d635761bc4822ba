package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostName is that of a connection string: the page says localhost, a test has an
// address of its own.
var hostName = regexp.MustCompile(`HostName=[^;\n]+`)

// TestCertificates does what docs/certificates.md says, in an empty folder, and wants
// the outputs that it shows.
func TestCertificates(t *testing.T) {
	needSDKs(t)
	h := newHub(t)
	h.start()
	modules, err := filepath.Abs(filepath.Join(tutorial, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const app = "send-with-certificate.js"
	text, err := os.ReadFile(filepath.Join(tutorial, app))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, app), text, 0o600); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(hostName.FindString(h.vars()["IOTHUB_CONNECTION_STRING"]), "HostName=")
	const page = "../docs/certificates.md"
	steps := consoleSteps(t, page)
	if len(steps) < 20 {
		t.Errorf("the page has %d commands only", len(steps))
	}
	for _, step := range steps {
		// What a command that fails says is on the page as well.
		command := strings.ReplaceAll(step.command, "https://localhost", "https://"+host)
		got := h.shell("cd " + dir + "; export NODE_PATH=" + modules + " PATH=" + filepath.Dir(binary) + ":$PATH; { " + command + "; } 2>&1; true")
		if diff := cmp.Diff(hostName.ReplaceAllString(step.output, "…"), hostName.ReplaceAllString(got, "…")); diff != "" {
			t.Errorf("%s (-page +run):\n%s", step.command, diff)
		}
	}
	h.stop()
}
