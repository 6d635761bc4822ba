package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/client"
)

const methodsPage = "../docs/methods.md"

// TestMethods does what docs/methods.md says, and wants the outputs that it shows.
// The page's device runs in the background from its command on.
func TestMethods(t *testing.T) {
	needSDKs(t)
	h := newHub(t)
	h.start()
	var device *background
	var deviceSays string
	for _, step := range consoleSteps(t, methodsPage) {
		if step.command == "node answer-commands.js" {
			device, deviceSays = h.background(step.command), step.output
			device.waitFor("waiting for commands\n")
			continue
		}
		// What the page shows is what a terminal does: both outputs in one.
		got := h.shell("PATH=" + filepath.Dir(binary) + ":$PATH; { " + step.command + "; } 2>&1")
		if diff := cmp.Diff(step.output, got); diff != "" {
			t.Errorf("%s (-page +run):\n%s", step.command, diff)
		}
	}
	if device == nil {
		t.Fatal("the page starts no device")
	}
	requests := fenced(t, methodsPage, "http")
	for _, block := range requests {
		invokeBlock(t, restClient(t, h), block)
	}
	if len(requests) == 0 {
		t.Error("the page has no request")
	}
	device.waitFor(deviceSays)
	h.stop()
}

// invokeBlock makes the call that a block of the page shows.
func invokeBlock(t *testing.T, c *client.Client, block string) {
	t.Helper()
	head, body, _ := strings.Cut(block, "\n\n")
	var m struct {
		MethodName               string
		Payload                  json.RawMessage
		ResponseTimeoutInSeconds int
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil || !strings.HasPrefix(head, "POST /twins/device1/methods?") {
		t.Fatalf("%s: %v", block, err)
	}
	a, err := c.InvokeMethod(context.Background(), "device1", "", client.Method{
		Name: m.MethodName, Payload: m.Payload, ResponseTimeout: time.Duration(m.ResponseTimeoutInSeconds) * time.Second,
	})
	if err != nil || a.Status != 200 {
		t.Errorf("%s: %s %v", block, a.Document, err)
	}
}

// background is a command that goes on while others run.
type background struct {
	h    *hubProcess
	file string // what it prints
}

// background starts a command as shell does. It ends with the test.
func (h *hubProcess) background(command string) *background {
	h.t.Helper()
	b := &background{h, filepath.Join(h.t.TempDir(), "output")}
	out, err := os.Create(b.file)
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", "source "+h.env+"; exec "+command)
	cmd.Dir, cmd.Stdout, cmd.Stderr = tutorial, out, out
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		out.Close()
	})
	return b
}

// waitFor waits until the command has printed text, and nothing else.
func (b *background) waitFor(text string) {
	b.h.t.Helper()
	waitUntil(b.h.t, "the device to say "+text, func() bool {
		got, err := os.ReadFile(b.file)
		return err == nil && string(got) == text
	})
}
