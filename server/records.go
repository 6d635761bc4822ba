package server

import (
	"crypto/tls"
	"net"
	"sync"
)

// A recordConn holds back full TLS records, of which crypto/tls writes each by
// itself, so that a large answer takes few system calls. A record that is not
// full ends what is held back, and so does the end of an answer: see
// httpServer.note. The end of an answer need not be a short record.
type recordConn struct {
	net.Conn

	mu   sync.Mutex
	held []byte // nil if nothing is held back
	pass bool   // hold nothing back: somebody else has taken the connection over
}

const (
	fullRecord = 16 << 10 // bytes of the largest record, at least
	maxHeld    = 64 << 10
)

var heldBuffers = sync.Pool{New: func() any { return new([maxHeld + 2*fullRecord]byte) }}

func (c *recordConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(b) >= fullRecord && len(b) < 2*fullRecord && !c.pass:
		if c.held == nil {
			c.held = heldBuffers.Get().(*[maxHeld + 2*fullRecord]byte)[:0]
		}
		c.held = append(c.held, b...)
		if len(c.held) < maxHeld {
			return len(b), nil
		}
		return len(b), c.flush()
	case c.held == nil:
		return c.Conn.Write(b)
	case len(c.held)+len(b) <= cap(c.held):
		c.held = append(c.held, b...)
		return len(b), c.flush()
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// flush writes what is held back. The caller holds mu.
func (c *recordConn) flush() error {
	if c.held == nil {
		return nil
	}
	_, err := c.Conn.Write(c.held)
	heldBuffers.Put((*[maxHeld + 2*fullRecord]byte)(c.held[:cap(c.held)]))
	c.held = nil
	return err
}

// end writes what is held back.
func (c *recordConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush() // who writes next meets the error again
}

// handOver ends holding back for good.
func (c *recordConn) handOver() {
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pass = true
}

// recordListener wraps what it accepts.
type recordListener struct{ net.Listener }

func (l recordListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &recordConn{Conn: c}, nil
}

// recordsOf is the recordConn below a TLS connection, if there is one.
func recordsOf(c net.Conn) (*recordConn, bool) {
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil, false
	}
	r, ok := t.NetConn().(*recordConn)
	return r, ok
}
