package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A hubProcess is a hub as a person starts it.
type hubProcess struct {
	t    *testing.T
	args []string
	env  string // the file that dev --env writes
	cmd  *exec.Cmd
	out  *bytes.Buffer
	done chan error
}

var binary string // the hub under test, built once

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hubtwin-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "hubtwin")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/hubtwin").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the hub: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// tutorial is the folder of the tutorial's apps, and of the SDKs.
const tutorial = "../examples/tutorial"

func needSDKs(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(tutorial, "node_modules", "azure-iothub")); err != nil {
		t.Fatalf("the SDKs are not installed; run `make test`, or `npm ci` in examples/tutorial: %v", err)
	}
}

// listenAddress finds a loopback address whose ports 443 and 8883 are free.
func listenAddress(t *testing.T) string {
	t.Helper()
	var last error
	for n := 1; n < 20; n++ {
		address := fmt.Sprintf("127.0.0.%d", n)
		last = free(address, "443", "8883")
		if last == nil {
			return address
		}
	}
	t.Fatalf("the SDKs need port 443 on a loopback address: %v\n"+
		"As root: sysctl net.ipv4.ip_unprivileged_port_start=443", last)
	return ""
}

func free(address string, ports ...string) error {
	for _, p := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(address, p))
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// newHub readies a hub with a data folder of its own. Start starts it.
func newHub(t *testing.T, args ...string) *hubProcess {
	t.Helper()
	dir := t.TempDir()
	h := &hubProcess{t: t, env: filepath.Join(dir, "hub.env")}
	h.args = append([]string{"dev", "--data", filepath.Join(dir, "data"), "--env", h.env, "--listen", listenAddress(t)}, args...)
	return h
}

// start starts the hub and waits until it is ready.
func (h *hubProcess) start() {
	h.t.Helper()
	os.Remove(h.env)
	h.cmd = exec.Command(binary, h.args...)
	h.out = new(bytes.Buffer)
	h.cmd.Stdout, h.cmd.Stderr = h.out, h.out
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.done = make(chan error, 1)
	go func() { h.done <- h.cmd.Wait() }()
	h.t.Cleanup(func() { h.cmd.Process.Kill() })
	deadline := time.After(2 * time.Minute)
	for {
		if _, err := os.Stat(h.env); err == nil {
			return
		}
		select {
		case err := <-h.done:
			h.t.Fatalf("the hub ended: %v\n%s", err, h.out)
		case <-deadline:
			h.cmd.Process.Kill()
			<-h.done
			h.t.Fatalf("the hub was not ready within two minutes\n%s", h.out)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill ends the hub as a power cut would.
func (h *hubProcess) kill() {
	h.t.Helper()
	h.cmd.Process.Kill()
	<-h.done
}

// stop ends the hub as Ctrl-C does, and wants a clean exit.
func (h *hubProcess) stop() {
	h.t.Helper()
	h.cmd.Process.Signal(syscall.SIGINT)
	if err := <-h.done; err != nil {
		h.t.Errorf("the hub did not end well: %v\n%s", err, h.out)
	}
}

// vars are the variables of the hub's environment file.
func (h *hubProcess) vars() map[string]string {
	h.t.Helper()
	text, err := os.ReadFile(h.env)
	if err != nil {
		h.t.Fatal(err)
	}
	vars := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); ok {
			vars[name] = strings.Trim(value, `'"`)
		}
	}
	return vars
}

// shell runs a command in the folder of the tutorial with the hub's environment
// and returns what it printed.
func (h *hubProcess) shell(command string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "source "+h.env+"; "+command)
	cmd.Dir = tutorial
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s\nthe hub says:\n%s", command, err, out, h.out)
	}
	return string(out)
}
