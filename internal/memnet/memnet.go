// Package memnet is a network in memory for tests: a listener, and connections
// with a bounded buffer in each direction, deadlines and half-close, like those
// of TCP.
//
// It is not net.Pipe, whose writes wait for a reader: a peer that has stopped
// reading is noticed there at the first byte, while sockets take some more. All
// waiting is on condition variables and timers, so it works in the bubbles of
// testing/synctest, where time passes at once.
//
// Begin at [Pipe], or at [Listen] and [Listener.Dial].
package memnet

import (
	"net"
	"sync"
)

// BufferSize is what each direction of a connection holds, in bytes.
const BufferSize = 16 << 10

// Listener hands out the server's ends of connections.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

// Listen opens a listener.
func Listen() *Listener {
	l := &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

// Dial connects to the listener. It waits until the connection is accepted, and
// fails with net.ErrClosed if the listener is closed.
func (l *Listener) Dial() (net.Conn, error) {
	client, server := Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial. Connections stay open.
func (l *Listener) Close() error {
	l.close()
	return nil
}

// Addr is a name; there is no other address.
func (l *Listener) Addr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "memnet" }
func (addr) String() string  { return "memnet" }
