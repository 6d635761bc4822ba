package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBytesArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen()
		var wg sync.WaitGroup
		wg.Go(func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.Copy(c, c)
		})
		c, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		sent := make([]byte, 5*BufferSize)
		for i := range sent {
			sent[i] = byte(i * 7)
		}
		wg.Go(func() {
			c.Write(sent)
			c.(*Conn).CloseWrite()
		})
		got, err := io.ReadAll(c)
		if err != nil || string(got) != string(sent) {
			t.Errorf("%d of %d bytes came back, error %v", len(got), len(sent), err)
		}
		wg.Wait()
		l.Close()
		if _, err := l.Dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial a closed listener: %v", err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := Pipe()
		start := time.Now()
		a.SetDeadline(start.Add(time.Minute))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("read ended after %s: %v", time.Since(start), err)
		}
		a.SetWriteDeadline(time.Time{})
		if n, err := a.Write(make([]byte, BufferSize)); n != BufferSize || err != nil {
			t.Errorf("a write into the buffer: %d bytes, %v", n, err)
		}
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a write beyond the buffer: %d bytes, %v", n, err)
		}
		// A deadline in the past ends a Read that waits.
		a.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Hour, func() { a.SetReadDeadline(time.Unix(1, 0)) })
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		a.Write([]byte("last"))
		a.Close()
		if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := b.Write([]byte("x")); err == nil {
			t.Error("a write to a closed peer was taken")
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
