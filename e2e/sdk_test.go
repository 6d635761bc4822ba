package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNodeSDKs runs the tests of sdk/ against one hub.
func TestNodeSDKs(t *testing.T) {
	h := newHub(t, "--device", "device1", "--device", "device2", "--device", "device3")
	h.start()
	files, err := filepath.Glob("sdk/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no SDK tests: %v", err)
	}
	h.nodeTests(nil, files...)
	h.stop()
}

// nodeTests runs test files with Node's own runner. They find the SDKs, the hub,
// and what env has on top.
func (h *hubProcess) nodeTests(env []string, files ...string) {
	h.t.Helper()
	needSDKs(h.t)
	var modules []string
	for _, dir := range []string{tutorial, "sdk"} {
		path, err := filepath.Abs(filepath.Join(dir, "node_modules"))
		if err != nil {
			h.t.Fatal(err)
		}
		modules = append(modules, path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{"--test", "--test-reporter=spec"}, files...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+strings.Join(modules, string(filepath.ListSeparator)))
	for name, value := range h.vars() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v\n%s\nthe hub says:\n%s", err, out, h.out)
	}
	h.t.Logf("%s", out)
}
