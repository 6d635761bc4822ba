package mqttclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// Bounds of what is read, in bytes.
const (
	// MaxPacket is the largest remaining length of a packet that is taken: the
	// greatest payload and topic of the hub, with room to spare.
	MaxPacket = 512 << 10
	// smallBuffer is what an idle connection has for its input.
	smallBuffer = 1 << 10
)

// defaultTimeout is how long Dial may take.
const defaultTimeout = 60 * time.Second

// Options say whom to call, and as whom.
type Options struct {
	// Address is host and port of the server.
	Address string
	// TLS is nil for a connection without TLS. Without a ServerName it is the
	// host of Address.
	TLS *tls.Config
	// Dial, if not nil, takes the place of Address and TLS: it opens what MQTT is
	// spoken through.
	Dial func(ctx context.Context) (net.Conn, error)
	// Connect is the packet to begin with.
	Connect packet.Connect
	// Timeout is for all of Dial; 0 is 60 s.
	Timeout time.Duration
}

// RefusedError is a CONNACK that does not accept.
type RefusedError struct{ Code packet.ConnackCode }

// Error names the code as MQTT does.
func (e *RefusedError) Error() string {
	why := map[packet.ConnackCode]string{
		packet.RefusedLevel:          "protocol version",
		packet.RefusedIdentifier:     "client id",
		packet.RefusedUnavailable:    "server unavailable",
		packet.RefusedBadCredentials: "bad user name or password",
		packet.RefusedNotAuthorized:  "not authorized",
	}[e.Code]
	return fmt.Sprintf("the server refused the connection with CONNACK %d (%s)", e.Code, why)
}

// Conn is a connection that the server has accepted. It is for one goroutine,
// except that others may call SetReadDeadline and Close.
type Conn struct {
	// SessionPresent tells whether the server has kept subscriptions.
	SessionPresent bool

	net  net.Conn
	out  []byte // not yet written
	in   []byte // its capacity is the buffer
	from int    // what was handed out already ends here
	id   uint16 // of the last packet that has one
}

// Dial opens a connection and returns when the server has accepted it. A refusal
// is a [*RefusedError].
func Dial(ctx context.Context, o Options) (*Conn, error) {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	nc, err := dial(ctx, o)
	if err != nil {
		return nil, err
	}
	c := &Conn{net: nc}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	err = c.connect(&o.Connect)
	if !stop() {
		err = ctx.Err() // which has cut off, or is about to, whatever connect says
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func dial(ctx context.Context, o Options) (net.Conn, error) {
	switch {
	case o.Dial != nil:
		return o.Dial(ctx)
	case o.TLS == nil:
		return new(net.Dialer).DialContext(ctx, "tcp", o.Address)
	}
	return (&tls.Dialer{Config: o.TLS}).DialContext(ctx, "tcp", o.Address)
}

func (c *Conn) connect(p *packet.Connect) (err error) {
	if c.out, err = packet.AppendConnect(c.out, p); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	h, body, err := c.Next()
	if errors.Is(err, io.EOF) {
		return errors.New("the server closed the connection without a CONNACK")
	}
	if err != nil {
		return err
	}
	if h.Type() != packet.TypeConnack {
		return fmt.Errorf("the server sent %s in place of CONNACK", h.Type())
	}
	present, code, err := packet.DecodeConnack(body)
	if err == nil && code != packet.Accepted {
		err = &RefusedError{code}
	}
	c.SessionPresent = present
	return err
}

// Next waits for the next packet. Its body is good until the call after this. An
// error of a read that came too late (os.ErrDeadlineExceeded) loses nothing: Next
// may be called again.
func (c *Conn) Next() (packet.Header, []byte, error) {
	for {
		h, body, n, err := packet.Next(c.in[c.from:], MaxPacket)
		if err == nil {
			c.from += n
			return h, body, nil
		}
		if !errors.Is(err, packet.ErrIncomplete) {
			return 0, nil, err
		}
		if err := c.read(n); err != nil {
			return 0, nil, err
		}
	}
}

// Ready tells whether Next would return without waiting.
func (c *Conn) Ready() bool {
	_, _, _, err := packet.Next(c.in[c.from:], MaxPacket)
	return !errors.Is(err, packet.ErrIncomplete)
}

// read reads some bytes, into a buffer that has room for need of them from the
// first that is not handed out.
func (c *Conn) read(need int) error {
	waits := c.in[c.from:]
	switch size := max(need, smallBuffer); {
	case size > cap(c.in), len(waits) == 0 && cap(c.in) > 64*smallBuffer:
		c.in = append(make([]byte, 0, size), waits...)
	default:
		c.in = c.in[:copy(c.in[:cap(c.in)], waits)]
	}
	c.from = 0
	n, err := c.net.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil // an error will come back
	}
	return err
}

// Reserve makes the input's buffer at least size bytes, for a connection with
// much to read.
func (c *Conn) Reserve(size int) {
	if size > cap(c.in) {
		c.in = append(make([]byte, 0, size), c.in[c.from:]...)
		c.from = 0
	}
}

// Subscribe asks for filters at QoS 1, in one packet, and gives its id. It is
// sent by Flush.
func (c *Conn) Subscribe(filters ...string) (id uint16, err error) {
	subs := make([]packet.Subscription, len(filters))
	for i, f := range filters {
		subs[i] = packet.Subscription{Filter: []byte(f), QoS: 1}
	}
	id = c.nextID()
	c.out, err = packet.AppendSubscribe(c.out, id, subs...)
	return id, err
}

// Publish sends a message, and gives its id if the QoS is 1. The parts of the
// topic are joined. It is sent by Flush.
func (c *Conn) Publish(qos byte, payload []byte, topic ...string) (id uint16, err error) {
	if qos > 0 {
		id = c.nextID()
	}
	c.out, err = packet.AppendPublish(c.out, packet.PublishHeader(qos, false, false), id, payload, topic...)
	return id, err
}

// Puback acknowledges a message of the server. It is sent by Flush.
func (c *Conn) Puback(id uint16) { c.out = packet.AppendPuback(c.out, id) }

// Ping asks the server for a sign of life. It is sent by Flush.
func (c *Conn) Ping() { c.out = packet.AppendPingreq(c.out) }

// nextID gives ids in turn. More than 65,535 can't be under way.
func (c *Conn) nextID() uint16 {
	if c.id++; c.id == 0 {
		c.id = 1
	}
	return c.id
}

// Flush writes what has gathered.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.net.Write(c.out)
	c.out = c.out[:0]
	if cap(c.out) > 64*smallBuffer {
		c.out = nil
	}
	return err
}

// Write writes packets that the caller has made, at once.
func (c *Conn) Write(packets []byte) (int, error) { return c.net.Write(packets) }

// SetReadDeadline ends the wait of Next at t; the zero time means never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.net.SetReadDeadline(t) }

// SetWriteDeadline bounds the writes to come. A write that was late leaves the
// connection unusable.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.net.SetWriteDeadline(t) }

// Disconnect takes leave of the server, and closes.
func (c *Conn) Disconnect() error {
	c.out = packet.AppendDisconnect(c.out)
	return errors.Join(c.Flush(), c.Close())
}

// Close closes the socket without a word: to the server that is a device that
// was cut off.
func (c *Conn) Close() error {
	if t, ok := c.net.(*tls.Conn); ok {
		return t.NetConn().Close() // without the goodbye of TLS, which may wait
	}
	return c.net.Close()
}
