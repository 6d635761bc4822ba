package wsnet

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// accepted is what Upgrade returned for one request.
type accepted struct {
	conn     net.Conn
	protocol string
	err      error
}

// serve runs a TLS server that upgrades every request.
func serve(t testing.TB, u Upgrader, protocols ...string) (*httptest.Server, <-chan accepted) {
	t.Helper()
	conns := make(chan accepted, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, protocol, err := u.Upgrade(w, r, protocols...)
		conns <- accepted{conn, protocol, err}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, conns
}

func clientConfig(s *httptest.Server) *tls.Config {
	return s.Client().Transport.(*http.Transport).TLSClientConfig
}

// dialed is a connection made with Dial and its other end.
func dialed(t testing.TB) (client, server net.Conn) {
	t.Helper()
	s, conns := serve(t, Upgrader{}, "mqtt")
	client, err := Dial(t.Context(), "wss"+strings.TrimPrefix(s.URL, "https")+"/$iothub/websocket", "mqtt", clientConfig(s))
	if err != nil {
		t.Fatal(err)
	}
	server = (<-conns).conn
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// peer is a client that writes and reads frames byte for byte.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// raw sends a request of the given lines, to which it adds Host, and returns the
// lines of the answer's head.
func raw(t testing.TB, s *httptest.Server, lines ...string) (*peer, []string) {
	t.Helper()
	config := clientConfig(s).Clone()
	config.NextProtos = nil // HTTP/1.1 only, as the SDKs
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := &peer{t, conn, bufio.NewReader(conn)}
	lines = append(lines, "Host: "+s.Listener.Addr().String())
	p.write([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n"))
	var head []string
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line = strings.TrimSuffix(line, "\r\n"); line == "" {
			return p, head
		}
		head = append(head, line)
	}
}

var handshake = []string{
	"GET /$iothub/websocket HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade",
	"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: bXF0dDMtMTc2NzIyNTYwMA==",
}

// upgraded is a raw peer after its handshake, and the server's end.
func upgraded(t testing.TB, u Upgrader) (*peer, net.Conn) {
	t.Helper()
	s, conns := serve(t, u, "mqtt")
	p, _ := raw(t, s, append(handshake, "Sec-WebSocket-Protocol: mqtt")...)
	a := <-conns
	if a.err != nil {
		t.Fatal(a.err)
	}
	t.Cleanup(func() { a.conn.Close() })
	return p, a.conn
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// frame is a client's frame, masked with zeroes, of fewer than 64 KB.
func frame(fin bool, op byte, payload string) []byte {
	if fin {
		op |= 0x80
	}
	b := []byte{op, 0x80 | byte(len(payload))}
	if len(payload) > 125 {
		b = binary.BigEndian.AppendUint16([]byte{op, 0x80 | 126}, uint16(len(payload)))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// read reads one frame of the server, which must be whole and not masked.
func (p *peer) read() (op byte, payload []byte) {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(time.Minute))
	get := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(p.r, b); err != nil {
			p.t.Fatalf("read frame: %v", err)
		}
		return b
	}
	head := get(2)
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		p.t.Fatalf("frame begins with % x: fragmented, compressed or masked", head)
	}
	n := int(head[1])
	switch n {
	case 126:
		n = int(binary.BigEndian.Uint16(get(2)))
	case 127:
		n = int(binary.BigEndian.Uint64(get(8)))
	}
	return head[0] & 15, get(n)
}

func (p *peer) expect(op byte, payload string) {
	p.t.Helper()
	if gotOp, got := p.read(); gotOp != op || string(got) != payload {
		p.t.Fatalf("frame %d % x; want %d % x", gotOp, got, op, payload)
	}
}
