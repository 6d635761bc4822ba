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
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed then
}

func (p *process) start(ctx context.Context, binary string, args ...string) error {
	return p.run(exec.CommandContext(ctx, binary, args...), os.Stderr)
}

// run starts c, whose messages go to log. When its context ends it is asked to
// end, not killed, so that what it has on disk stays good for the next
// measurement.
func (p *process) run(c *exec.Cmd, log *os.File) error {
	p.cmd = c
	c.Stderr = log
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = time.Minute
	if err := c.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.Path, err)
	}
	p.ended = make(chan struct{})
	go func() {
		c.Wait()
		close(p.ended)
	}()
	return nil
}

func (p *process) stop() {
	p.cmd.Process.Signal(os.Interrupt)
	<-p.ended
}

// memory reads what the process has in memory, in bytes: all of it, and the part
// that is no file.
func (p *process) memory() (resident, anonymous int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var into *int64
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "VmRSS":
			into = &resident
		case "RssAnon":
			into = &anonymous
		default:
			continue
		}
		if _, err := fmt.Sscan(strings.Fields(line)[1], into); err != nil {
			return 0, 0, err
		}
		*into <<= 10 // kB
	}
	return resident, anonymous, nil
}

// busy is how much processor time the process has taken.
func (p *process) busy() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in brackets, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(strings.Join(fields[11:13], " "), &user, &system); err != nil {
		return 0, err
	}
	const tick = time.Second / 100 // of Linux, on all machines that it is measured on
	return time.Duration(user+system) * tick, nil
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

// patience is how long a server may take to be there. A hub reads all twins
// before.
const patience = 5 * time.Minute

// await asks for something of the process until it is there.
func (p *process) await(ctx context.Context, what string, there func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !there() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.ended:
			return fmt.Errorf("wait for %s: %s has ended", what, p.cmd.Path)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
	return nil
}

func (p *process) awaitPort(ctx context.Context, address string) error {
	return p.await(ctx, address, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// awaitEnv reads the file that a hub writes once it is ready.
func (p *process) awaitEnv(ctx context.Context, file string) (map[string]string, error) {
	err := p.await(ctx, file, func() bool {
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
