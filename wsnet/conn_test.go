package wsnet

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// bigWrite does not fit the socket buffers of a peer that does not read.
const bigWrite = 64 << 20

func TestReadAcrossFrames(t *testing.T) {
	p, server := upgraded(t, Upgrader{})
	var wire []byte
	for _, f := range [][]byte{
		frame(false, opBinary, "one "),
		frame(true, opPing, "are you there?"), // between the fragments of a message
		frame(false, opContinuation, ""),
		frame(true, opContinuation, "message, "),
		frame(true, opBinary, ""),
		frame(true, opPong, "nobody asked"),
		frame(true, opBinary, "another"),
	} {
		wire = append(wire, f...)
	}
	p.write(wire)
	got := make([]byte, len("one message, another"))
	if _, err := io.ReadFull(server, got); err != nil || string(got) != "one message, another" {
		t.Errorf("read %q, error %v", got, err)
	}
	p.expect(opPong, "are you there?")
}

// A Read smaller than a message leaves the rest for the next one.
func TestReadInPieces(t *testing.T) {
	p, server := upgraded(t, Upgrader{})
	p.write(frame(true, opBinary, "abcdef"))
	p.write(frame(true, opBinary, "g"))
	if n, err := server.Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: %d, %v", n, err)
	}
	var got bytes.Buffer
	for got.Len() < 7 {
		b := make([]byte, 4)
		n, err := server.Read(b)
		if err != nil || n == 0 {
			t.Fatalf("read %d bytes, error %v", n, err)
		}
		got.Write(b[:n])
	}
	if got.String() != "abcdefg" {
		t.Errorf("read %q", got.String())
	}
}

func TestWriteIsOneFrame(t *testing.T) {
	p, server := upgraded(t, Upgrader{})
	for _, size := range []int{1, 125, 126, bufferSize, bufferSize + 1, 5000, 65_535, 65_536, 300_000} {
		payload := bytes.Repeat([]byte{byte(size)}, size)
		done := make(chan error, 1)
		go func() {
			_, err := server.Write(payload)
			done <- err
		}()
		if op, got := p.read(); op != opBinary || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: frame %d of %d bytes", size, op, len(got))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n, err := server.Write(nil); n != 0 || err != nil {
		t.Errorf("empty write: %d, %v", n, err)
	}
	server.Close()
	p.expect(opClose, "\x03\xe8")
}

func TestHowConnectionsEnd(t *testing.T) {
	const limit = 1000
	for _, c := range []struct {
		name   string
		wire   []byte
		err    string
		answer string // payload of the close frame that answers
	}{
		{"normal", frame(true, opClose, "\x03\xe8bye"), "EOF", "\x03\xe8"},
		{"going away", frame(true, opClose, "\x03\xe9"), "EOF", "\x03\xe9"},
		{"no status", frame(true, opClose, ""), "EOF", ""},
		{"policy", frame(true, opClose, "\x03\xf0"), "closed with code 1008", "\x03\xf0"},
		{"text", frame(true, opText, "hi"), "text message", "\x03\xeb"},
		{"too big", frame(true, opBinary, strings.Repeat("x", limit+1)), "limit", "\x03\xf1"},
		{"too big in pieces", append(frame(false, opBinary, strings.Repeat("x", limit)), frame(true, opContinuation, "x")...), "limit", "\x03\xf1"},
		{"not masked", []byte{0x82, 0x01, 'x'}, "MASK", "\x03\xeabad MASK"},
		{"compressed", []byte{0xc2, 0x81, 0, 0, 0, 0, 'x'}, "RSV1", "\x03\xeaRSV1 set"},
		{"huge length", []byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "limit", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, server := upgraded(t, Upgrader{MaxMessage: limit})
			p.write(c.wire)
			_, err := io.Copy(io.Discard, errorOnEOF{server})
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one with %q", err, c.err)
			}
			// The error stays, and the library's panic at the 1000th read stays away.
			for range 2000 {
				if _, again := server.Read(make([]byte, 1)); !errors.Is(again, errors.Unwrap(err)) {
					t.Fatalf("then error %v", again)
				}
			}
			if c.answer != "-" {
				p.expect(opClose, c.answer)
				if _, err := server.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("write after the end: %v", err)
				}
			}
		})
	}
}

// errorOnEOF keeps io.Copy from hiding io.EOF.
type errorOnEOF struct{ r io.Reader }

func (e errorOnEOF) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil {
		err = fmt.Errorf("end: %w", err)
	}
	return n, err
}

func TestCutConnection(t *testing.T) {
	for _, begun := range []string{"", "\x82\x85\x00\x00\x00\x00he"} {
		p, server := upgraded(t, Upgrader{})
		p.write([]byte(begun))
		p.conn.Close()
		if _, err := io.Copy(io.Discard, server); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %q: error %v", begun, err)
		}
	}
}

func TestClose(t *testing.T) {
	client, server := dialed(t)
	reading := make(chan error, 1)
	go func() {
		_, err := server.Read(make([]byte, 1))
		reading <- err
	}()
	var closers sync.WaitGroup
	for range 4 {
		closers.Go(func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
	if err := <-reading; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read under way: %v", err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if _, err := server.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("peer reads %v", err)
	}
}

// blockedWrite begins a Write that can't end, and returns when it is under way.
func blockedWrite(conn net.Conn) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, bigWrite))
		done <- err
	}()
	for mu := &conn.(*Conn).writeMu; mu.TryLock(); runtime.Gosched() {
		mu.Unlock()
	}
	return done
}

func TestCloseEndsBlockedWrite(t *testing.T) {
	_, server := upgraded(t, Upgrader{}) // the peer does not read
	done := blockedWrite(server)
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("blocked write: %v", err)
	}
}

func TestReadDeadline(t *testing.T) {
	past := time.Unix(1, 0)
	_, server := dialed(t)
	done := make(chan error, 1)
	go func() {
		_, err := server.Read(make([]byte, 1))
		done <- err
	}()
	if err := server.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	// It ends reading for good, but not writing.
	server.SetReadDeadline(time.Time{})
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("next read: %v", err)
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Errorf("write: %v", err)
	}
}

func TestWriteDeadline(t *testing.T) {
	past := time.Unix(1, 0)
	t.Run("before", func(t *testing.T) {
		_, server := dialed(t)
		if err := server.SetDeadline(past); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	})
	t.Run("under way", func(t *testing.T) {
		_, server := upgraded(t, Upgrader{})
		done := blockedWrite(server)
		for {
			// Repeated, for the Write may take its deadline just after the first.
			server.SetWriteDeadline(past)
			select {
			case err := <-done:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("write: %v", err)
				}
				return
			default:
				runtime.Gosched()
			}
		}
	})
}

// Writers at once don't mix their messages, and Close in the middle harms
// nobody.
func TestConcurrentUse(t *testing.T) {
	client, server := dialed(t)
	const writers, messages, size = 4, 50, 700
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			for range messages {
				if _, err := server.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
					t.Error(err)
					return
				}
				server.SetWriteDeadline(time.Time{})
			}
		})
	}
	block := make([]byte, size)
	for range writers * messages {
		if _, err := io.ReadFull(client, block); err != nil {
			t.Fatal(err)
		}
		if bytes.Count(block, block[:1]) != size {
			t.Fatalf("messages are mixed: % x", block)
		}
	}
	writing.Wait()
}

func TestAddresses(t *testing.T) {
	client, server := dialed(t)
	if client.LocalAddr().String() != server.RemoteAddr().String() || client.RemoteAddr().String() != server.LocalAddr().String() {
		t.Errorf("client %v-%v, server %v-%v", client.LocalAddr(), client.RemoteAddr(), server.LocalAddr(), server.RemoteAddr())
	}
}

func BenchmarkWrite(b *testing.B) {
	client, server := dialed(b)
	go io.Copy(io.Discard, client)
	packet := make([]byte, 270)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := server.Write(packet); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdle reports the heap that a connection keeps beside its socket, in
// bytes.
func BenchmarkIdle(b *testing.B) {
	const many = 10_000
	for b.Loop() {
		kept := make([]*Conn, many)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range kept {
			kept[i] = newConn(websocketOn(b), DefaultMaxMessage)
			if _, err := kept[i].Write([]byte("x")); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/many, "B/conn")
		runtime.KeepAlive(kept)
	}
}

// websocketOn is a server's connection on a socket that takes everything.
func websocketOn(b *testing.B) *websocket.Conn {
	b.Helper()
	ws, err := upgrader.Upgrade(hijackable{}, request(), nil)
	if err != nil {
		b.Fatal(err)
	}
	return ws
}

func request() *http.Request {
	return &http.Request{Method: "GET", Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"bXF0dDMtMTc2NzIyNTYwMA=="},
	}}
}

type hijackable struct{ http.ResponseWriter }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn := sink{}
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

type sink struct{ net.Conn }

func (sink) Read([]byte) (int, error)         { return 0, io.EOF }
func (sink) Write(p []byte) (int, error)      { return len(p), nil }
func (sink) SetDeadline(time.Time) error      { return nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }
