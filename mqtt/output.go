package mqtt

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// Bounds of what a connection may have under way. The reading goroutine stops
// reading at the first two; the device feels that as TCP's back pressure.
const (
	// maxCalls is how much of the hub's work a device may have outstanding: a
	// reported patch counts 1, a read of the twin twinCall.
	maxCalls = 64
	// twinCall is large because so may be the answer.
	twinCall = 16
	// highWater is how many bytes may wait to be written before no more requests
	// are read.
	highWater = 256 << 10
	// overflow is how many bytes may wait before notifications, which come
	// without a request, end the connection.
	overflow = 1 << 20
	// keptOutput is the capacity up to which buffers are used again.
	keptOutput = 64 << 10
)

// buffers lends output buffers to connections that have something to write.
var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 1<<10)} }}

type buffer struct{ b []byte }

func (b *buffer) free() {
	if cap(b.b) <= keptOutput {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}

// output is what is on its way to the client, and the end of the connection.
//
//	append ──▶ buffer ──▶ writer ──▶ socket
//
// There is at most one writer at a time, and it writes without the lock: the
// reading goroutine, between two reads, or a flusher. While the reading
// goroutine is at work on its input (held), no flusher starts, because it
// will write itself in a moment.
type output struct {
	net     net.Conn
	timeout time.Duration // of a write

	mu      sync.Mutex
	changed sync.Cond // something below has changed that somebody may wait for
	next    *buffer   // what is to be written next, or nil
	sending int       // bytes that are being written
	written uint64    // bytes that the socket has taken
	writing bool      // there is a writer
	held    bool
	broken  bool  // a write has failed
	calls   int   // of the hub, outstanding
	ended   error // why the connection has ended, or nil
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// end ends the connection for reason. The first reason counts. It returns at
// once: reads and writes under way fail, and the reading goroutine closes the
// socket.
func (o *output) end(reason error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLocked(reason)
}

func (o *output) endLocked(reason error) {
	if o.ended == nil {
		o.ended = reason
		o.net.SetDeadline(past)
		o.changed.Broadcast()
	}
}

// reason is why the connection has ended, or nil.
func (o *output) reason() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// append lets f append packets, and sees to it that they are written.
func (o *output) append(f func(dst []byte) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.appendLocked(f)
}

func (o *output) appendLocked(f func(dst []byte) []byte) {
	if o.ended != nil {
		return
	}
	if o.next == nil {
		o.next = buffers.Get().(*buffer)
	}
	o.next.b = f(o.next.b)
	if !o.writing && !o.held {
		o.writing = true
		go o.write()
	}
}

// waiting is how many bytes are not yet with the socket.
func (o *output) waiting() int {
	n := o.sending
	if o.next != nil {
		n += len(o.next.b)
	}
	return n
}

// hold is called by the reading goroutine when it begins to work on its input.
func (o *output) hold() {
	o.mu.Lock()
	o.held = true
	o.mu.Unlock()
}

// flush ends hold and writes, unless a flusher already does.
func (o *output) flush() {
	o.mu.Lock()
	o.held = false
	mine := o.next != nil && !o.writing
	if mine {
		o.writing = true
	}
	o.mu.Unlock()
	if mine {
		o.write()
	}
}

// write writes until nothing is left. Whoever calls it has set writing.
func (o *output) write() {
	o.mu.Lock()
	for o.next != nil && o.ended == nil {
		b := o.next
		o.next, o.sending = nil, len(b.b)
		// Under the lock, so as not to undo the deadline that end has set.
		o.net.SetWriteDeadline(time.Now().Add(o.timeout))
		o.mu.Unlock()
		_, err := o.net.Write(b.b)
		b.free()
		o.mu.Lock()
		if err == nil {
			o.written += uint64(o.sending)
		}
		o.sending = 0
		o.broken = err != nil
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			o.endLocked(fault.New(fault.DeviceConnectionClosedRemotely, "the device has not read for %s", o.timeout))
		case err != nil:
			o.endLocked(err)
		}
		o.changed.Broadcast()
	}
	o.writing = false
	o.changed.Broadcast()
	o.mu.Unlock()
}

// begin counts a call of the hub. While too much is outstanding, or waits to be
// written, it waits; it gives the reason if the connection has ended. Only the
// reading goroutine calls it, held.
func (o *output) begin(calls int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.ended == nil && (o.calls+calls > maxCalls || o.waiting() > highWater) {
		o.waitLocked()
	}
	o.calls += calls
	return o.ended
}

// waitLocked waits, on behalf of the reading goroutine, until something has
// changed.
func (o *output) waitLocked() {
	// What is waited for may be a write, and nobody else would write.
	held := o.held
	o.held = false
	if o.next != nil && !o.writing {
		o.writing = true
		go o.write()
	}
	o.changed.Wait()
	o.held = held
}

// done ends a call that begin counted, and lets f append its answer.
func (o *output) done(calls int, f func(dst []byte) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.doneLocked(calls, f)
}

func (o *output) doneLocked(calls int, f func(dst []byte) []byte) {
	o.appendLocked(f)
	full := o.calls > maxCalls-twinCall
	o.calls -= calls
	if full {
		o.changed.Broadcast()
	}
}

// close waits for the flusher, frees the buffer and closes the socket. The
// connection has ended. If something is left that the client has not taken, the
// socket is closed beneath TLS, whose own Close may wait five seconds to say
// goodbye to a client that does not read.
func (o *output) close() {
	o.mu.Lock()
	for o.writing {
		o.changed.Wait()
	}
	left := o.broken
	if o.next != nil {
		left = true
		o.next.free()
		o.next = nil
	}
	o.mu.Unlock()
	if t, ok := o.net.(*tls.Conn); ok && left {
		t.NetConn().Close()
		return
	}
	o.net.Close()
}
