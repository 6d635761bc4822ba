package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// guides are the pages whose commands are run, one after the other, on a hub with
// these devices.
var guides = map[string][]string{
	"telemetry": {"pump-1", "pump-2"},
	"simulate":  {"pump-1"},
	"faults":    {"pump-1"},
}

// passing is what differs from run to run in the outputs of guides.
var passing = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z|\b\d\d:\d\d:\d\d\.\d{3}\b|GenerationId":"\d+"|"position":"[0-9.]+","partition":\d`)

// TestGuides gives each command of the guides, and wants the outputs that they
// show, but for times and the like.
func TestGuides(t *testing.T) {
	for name, devices := range guides {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h := &hubProcess{t: t, env: filepath.Join(dir, "hub.env")}
			h.args = []string{"dev", "--data", filepath.Join(dir, "data"), "--env", h.env, "--listen", "127.0.0.1",
				"--https-port", "0", "--mqtt-port", "0", "--admin-port", "0"}
			if name == "faults" {
				h.args = append(h.args, "--faults")
			}
			for _, d := range devices {
				h.args = append(h.args, "--device", d)
			}
			h.start()
			steps := consoleSteps(t, fmt.Sprintf("../docs/%s.md", name))
			if len(steps) == 0 {
				t.Error("there are no commands on the page")
			}
			for _, step := range steps {
				got := h.shell("exec 2>&1; PATH=" + filepath.Dir(binary) + ":$PATH; " + step.command)
				if diff := cmp.Diff(passing.ReplaceAllString(step.output, "…"), passing.ReplaceAllString(got, "…")); diff != "" {
					t.Errorf("%s (-page +run):\n%s", step.command, diff)
				}
			}
			h.stop()
		})
	}
}
