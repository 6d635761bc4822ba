package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"
)

// writes counts the writes of a connection and can fail them.
type writes struct {
	net.Conn
	n    int
	data bytes.Buffer
	err  error
}

func (w *writes) Write(b []byte) (int, error) {
	w.n++
	if w.err != nil {
		return 0, w.err
	}
	return w.data.Write(b)
}

// Whatever the sizes, all bytes arrive in order once an answer has ended, and
// full records share system calls.
func TestRecords(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	to := &writes{}
	c := &recordConn{Conn: to}
	var sent []byte
	for range 2000 {
		size := []int{1, 100, fullRecord - 1, fullRecord, fullRecord + 22, 2*fullRecord - 1, 2 * fullRecord, 100 << 10}[r.IntN(8)]
		b := bytes.Repeat([]byte{byte(r.IntN(256))}, size)
		sent = append(sent, b...)
		if n, err := c.Write(b); n != size || err != nil {
			t.Fatal(n, err)
		}
		if r.IntN(5) == 0 {
			c.end()
			if to.data.Len() != len(sent) {
				t.Fatalf("%d bytes of %d arrived at the end of an answer", to.data.Len(), len(sent))
			}
		}
		if held := len(sent) - to.data.Len(); held >= maxHeld {
			t.Fatalf("%d bytes are held back", held)
		}
	}
	c.handOver()
	if !bytes.Equal(to.data.Bytes(), sent) {
		t.Error("other bytes arrived")
	}
	to.n = 0
	for range 3 {
		c.Write(make([]byte, fullRecord))
	}
	if to.n != 3 {
		t.Errorf("%d writes of 3 after handing over", to.n)
	}

	c = &recordConn{Conn: to}
	to.n = 0
	for range 3 {
		c.Write(make([]byte, fullRecord+22))
	}
	c.Write(make([]byte, 100))
	if to.n != 1 {
		t.Errorf("%d writes for an answer of 4 records", to.n)
	}
}

func TestRecordsFail(t *testing.T) {
	broken := errors.New("broken")
	c := &recordConn{Conn: &writes{err: broken}}
	if _, err := c.Write(make([]byte, fullRecord)); err != nil {
		t.Error("it was held back, yet failed")
	}
	if _, err := c.Write([]byte{1}); err != broken {
		t.Errorf("got %v", err)
	}
}

// An answer that ends with a full record arrives, also on a connection that
// stays open.
func TestAnswerOfFullRecords(t *testing.T) {
	cert := mustOpen(t, t.TempDir(), []string{"localhost"}, time.Now()).server
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "65536")
		w.(http.Flusher).Flush()
		for range 4 {
			w.Write(make([]byte, 16384))
		}
	}), slog.New(slog.DiscardHandler))
	done := make(chan error)
	go func() { done <- s.Serve(tls.NewListener(recordListener{l}, tlsConfig(cert, "http/1.1"))) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for range 3 {
		res, err := client.Get("https://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); len(body) != 65536 || err != nil {
			t.Errorf("%d bytes, %v", len(body), err)
		}
		res.Body.Close()
	}
	client.CloseIdleConnections()
	s.Close()
	<-done
}
