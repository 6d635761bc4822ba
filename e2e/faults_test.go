package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestNodeRetries lets the official Node SDKs meet injected faults, on a hub that
// allows them.
func TestNodeRetries(t *testing.T) {
	needSDKs(t)
	h := newHub(t, "--faults", "--device", "device1")
	h.start()
	modules, err := filepath.Abs(filepath.Join(tutorial, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=spec", "sdk/faults/retries.test.js")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules, "HUBTWIN="+binary)
	for name, value := range h.vars() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nthe hub says:\n%s", err, out, h.out)
	}
	t.Logf("%s", out)
	h.stop()
}
