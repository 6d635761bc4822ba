package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// process is a server under measurement.
type process struct{ cmd *exec.Cmd }

func (p *process) start(ctx context.Context, binary string, args ...string) error {
	p.cmd = exec.CommandContext(ctx, binary, args...)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", binary, err)
	}
	return nil
}

func (p *process) stop() {
	p.cmd.Process.Signal(os.Interrupt)
	p.cmd.Wait()
}

func build(ctx context.Context, binary string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/hubtwin").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the hub: %w\n%s", err, out)
	}
	return nil
}

func find(names ...string) (path string, err error) {
	for _, n := range names {
		if path, err = exec.LookPath(n); err == nil {
			return path, nil
		}
	}
	return "", err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// poll asks for something until it is there.
func poll(ctx context.Context, what string, there func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !there() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
	return nil
}

func waitForPort(ctx context.Context, address string) error {
	return poll(ctx, address, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// waitForEnv reads the file that a hub writes once it is ready.
func waitForEnv(ctx context.Context, file string) (map[string]string, error) {
	err := poll(ctx, file, func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	vars := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if ok {
			vars[name] = strings.Trim(value, `'"`)
		}
	}
	return vars, nil
}

// stopped is a load's sign to stop, given already.
func stopped() *atomic.Bool {
	b := new(atomic.Bool)
	b.Store(true)
	return b
}
