//go:build linux || darwin

package server

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// TestConnectionFlood opens one connection more than fit a process that may
// have few files. Before anyone is asked for a token, one of them is closed.
func TestConnectionFlood(t *testing.T) {
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	few := usual
	few.Cur = 400 // enough for both ends of the connections
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Skip("can't lower the limit:", err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &usual)

	https, devices := connectionLimits(few.Cur)
	for _, c := range []struct {
		name string
		of   func(*Server) Endpoint
		fit  int
	}{
		{"MQTT", func(s *Server) Endpoint { return s.MQTTPlain }, devices + devices/16},
		{"HTTPS", func(s *Server) Endpoint { return s.HTTPS }, https},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, stop := started(t, ephemeral(t))
			defer stop()
			closed := make(chan struct{}, c.fit+1)
			for range c.fit + 1 {
				conn, err := net.Dial("tcp", c.of(s).Addresses[0])
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go func() {
					conn.Read(make([]byte, 1)) // until it is closed
					closed <- struct{}{}
				}()
			}
			select {
			case <-closed:
			case <-time.After(headerTimeout / 2): // before they are late with what they should say
				t.Errorf("%d connections are open, want %d at most", c.fit+1, c.fit)
			}
		})
	}
}
