// Package wsnet makes a WebSocket look like a net.Conn, so that the MQTT and
// AMQP front ends serve it as they serve TCP.
//
// It is not a WebSocket library (gorilla/websocket is) and knows nothing of the
// protocol inside. The bytes of consecutive binary messages are one stream: a
// packet may span messages and a message may hold several packets.
//
// Begin with Upgrader.Upgrade on the server's side and Dial on the client's;
// Conn says how the connection behaves.
package wsnet

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// bufferSize is what an idle connection keeps for reading, and what a write
	// borrows from writeBuffers while it lasts, in bytes. Most packets are smaller;
	// larger ones pass through in pieces.
	bufferSize = 512

	// closeWait is how long a close frame may take to reach the kernel, before the
	// connection is cut without one.
	closeWait = 500 * time.Millisecond
)

// writeBuffers lends write buffers of bufferSize, because idle connections would
// otherwise keep one each.
var writeBuffers sync.Pool

// errText is a peer's text message: only binary ones carry packets
// [MQTT-6.0.0-1].
var errText = errors.New("WebSocket peer sent a text message where only binary ones are allowed")

// Conn is a WebSocket as a net.Conn. Its methods may be called from several
// goroutines at once.
//
// Read returns the bytes of binary messages and io.EOF after a normal close
// (codes 1000, 1001 and none); a connection that ends without a close frame is
// io.ErrUnexpectedEOF. Pings are answered, and close frames too, while somebody
// reads. Write sends one binary message, on the server's side in one frame.
//
// A deadline that passes during Read or Write ends that direction for good, as
// a frame may be half read or half written: unlike a TCP connection, it can't be
// used again after os.ErrDeadlineExceeded.
type Conn struct {
	ws     *websocket.Conn
	closed atomic.Bool

	readMu  sync.Mutex
	message io.Reader // rest of the message being read, or nil
	readErr error     // the first failure; later Reads repeat it

	writeMu       sync.Mutex
	writeDeadline atomic.Pointer[time.Time]
}

func newConn(ws *websocket.Conn, maxMessage int64) *Conn {
	ws.SetReadLimit(maxMessage)
	return &Conn{ws: ws}
}

// Read reads from the stream of binary messages.
func (c *Conn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if c.readErr != nil {
		return 0, c.readErr
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := c.readMessage(p)
		if err != nil {
			c.readErr = translate(err)
		}
		if n > 0 || c.readErr != nil {
			return n, c.readErr
		}
	}
}

// readMessage reads from the current message, or the next one. At a message's
// end, or for an empty message, it returns no bytes and no error.
func (c *Conn) readMessage(p []byte) (int, error) {
	if c.message == nil {
		kind, r, err := c.ws.NextReader()
		if err != nil {
			return 0, err
		}
		if kind != websocket.BinaryMessage {
			c.sendClose(websocket.CloseUnsupportedData)
			return 0, errText
		}
		c.message = r
	}
	n, err := c.message.Read(p)
	if err == io.EOF {
		c.message, err = nil, nil
	}
	return n, err
}

// Write sends p as one binary message. It sends nothing for an empty p.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if err := c.ws.SetWriteDeadline(c.loadWriteDeadline()); err != nil {
		return 0, translate(err)
	}
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, translate(err)
	}
	return len(p), nil
}

// Close sends a close frame, for which it waits half a second at most, and
// closes the connection. It sends none when a Write is under way: the peer may
// have stopped reading, and Close must not wait for it.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	if !c.writeMu.TryLock() {
		return c.cut()
	}
	defer c.writeMu.Unlock()
	if err := c.sendClose(websocket.CloseNormalClosure); err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return c.cut()
	}
	return c.ws.Close()
}

// cut closes the socket beneath TLS, whose own Close may wait five seconds to say
// goodbye to a peer that does not read.
func (c *Conn) cut() error {
	if t, ok := c.ws.NetConn().(*tls.Conn); ok {
		return t.NetConn().Close()
	}
	return c.ws.Close()
}

func (c *Conn) sendClose(code int) error {
	return c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(closeWait))
}

// ConnectionState is that of the TLS connection below; without TLS it is zero.
func (c *Conn) ConnectionState() tls.ConnectionState {
	if t, ok := c.ws.NetConn().(*tls.Conn); ok {
		return t.ConnectionState()
	}
	return tls.ConnectionState{}
}

// LocalAddr is the socket's local address.
func (c *Conn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr is the socket's remote address.
func (c *Conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// SetDeadline sets the deadlines of Read and Write.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the deadline of Read, of one under way too.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of Write, of one under way too. A Write that
// begins at the same moment may still go by the former deadline; Close ends it.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.writeDeadline.Store(&t)
	// The library reads its own copy only when a write begins.
	return c.ws.NetConn().SetWriteDeadline(t)
}

func (c *Conn) loadWriteDeadline() time.Time {
	if t := c.writeDeadline.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// translate turns an error of the library into what users of a net.Conn look
// for.
func translate(err error) error {
	var (
		end     *websocket.CloseError
		timeout net.Error
	)
	switch {
	case errors.Is(err, websocket.ErrCloseSent):
		return net.ErrClosed
	case errors.As(err, &end):
		return endOf(end)
	case errors.As(err, &timeout) && timeout.Timeout():
		return os.ErrDeadlineExceeded
	}
	return err
}

func endOf(end *websocket.CloseError) error {
	switch end.Code {
	case websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived:
		return io.EOF
	case websocket.CloseAbnormalClosure: // made up by the library, never sent
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("WebSocket peer closed with code %d", end.Code)
}
