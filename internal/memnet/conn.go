package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn is one end of a connection.
type Conn struct {
	in, out *stream
}

// Pipe makes a connection and gives its two ends.
func Pipe() (a, b *Conn) {
	ab, ba := newStream(), newStream()
	return &Conn{in: ba, out: ab}, &Conn{in: ab, out: ba}
}

// stream is one direction: bytes written and not yet read.
type stream struct {
	mu      sync.Mutex
	changed sync.Cond
	data    []byte
	ended   bool // the writer is done: EOF after data
	broken  bool // the reader is gone: writes fail
	read    deadline
	write   deadline
}

// deadline wakes whoever waits when it has passed.
type deadline struct {
	passed bool
	timer  *time.Timer
	set    int // counts calls, so that a timer of an earlier one does nothing
}

func newStream() *stream {
	s := new(stream)
	s.changed.L = &s.mu
	return s
}

// Read reads what has been written, or waits. After the peer's Close or
// CloseWrite, and after the last byte, it is io.EOF.
func (c *Conn) Read(p []byte) (int, error) {
	s := c.in
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.broken:
			return 0, net.ErrClosed
		case s.read.passed:
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0:
			n := copy(p, s.data)
			s.data = append(s.data[:0], s.data[n:]...)
			s.changed.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

// Write waits while the peer's buffer is full.
func (c *Conn) Write(p []byte) (n int, err error) {
	s := c.out
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.ended:
			return n, net.ErrClosed
		case s.broken:
			return n, syscall.EPIPE
		case s.write.passed:
			return n, os.ErrDeadlineExceeded
		}
		k := min(len(p), BufferSize-len(s.data))
		s.data = append(s.data, p[:k]...)
		n, p = n+k, p[k:]
		if k > 0 {
			s.changed.Broadcast()
		}
		if len(p) == 0 {
			return n, nil
		}
		s.changed.Wait()
	}
}

// CloseWrite tells the peer that nothing more comes. Reading goes on.
func (c *Conn) CloseWrite() error {
	c.out.change(func(s *stream) { s.ended = true })
	return nil
}

// Close ends both directions. The peer still reads what was written before.
func (c *Conn) Close() error {
	c.out.change(func(s *stream) {
		s.ended = true
		s.write.stop()
	})
	c.in.change(func(s *stream) {
		s.broken, s.data = true, nil
		s.read.stop()
	})
	return nil
}

// SetDeadline sets the deadlines of Read and Write.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of Read, of one under way too. The zero time
// is none.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.in.change(func(s *stream) { s.read.arm(s, t) })
	return nil
}

// SetWriteDeadline sets the deadline of Write, of one under way too.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.out.change(func(s *stream) { s.write.arm(s, t) })
	return nil
}

// LocalAddr is a name.
func (c *Conn) LocalAddr() net.Addr { return addr{} }

// RemoteAddr is a name.
func (c *Conn) RemoteAddr() net.Addr { return addr{} }

func (s *stream) change(f func(*stream)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
	s.changed.Broadcast()
}

func (d *deadline) arm(s *stream, t time.Time) {
	d.stop()
	d.passed = !t.IsZero() && !t.After(time.Now())
	if t.IsZero() || d.passed {
		return
	}
	mine := d.set
	d.timer = time.AfterFunc(time.Until(t), func() {
		s.change(func(*stream) { d.passed = d.passed || d.set == mine })
	})
}

func (d *deadline) stop() {
	d.set++
	if d.timer != nil {
		d.timer.Stop()
	}
}
