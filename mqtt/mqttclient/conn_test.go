package mqttclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/mqtt/mqttclient"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// peer is a server for one connection: it reads the CONNECT, writes what it is
// given, and hands out what comes after that.
func peer(t *testing.T, writes ...[]byte) (address string, rest <-chan []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 1)
	go func() {
		defer close(got)
		defer l.Close()
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		var connect [14]byte // what options below make
		if _, err := io.ReadFull(c, connect[:]); err != nil {
			return
		}
		for _, w := range writes {
			c.Write(w)
		}
		all, _ := io.ReadAll(c)
		got <- all
	}()
	t.Cleanup(func() {
		l.Close()
		for range got {
		}
	})
	return l.Addr().String(), got
}

func options(address string) mqttclient.Options {
	return mqttclient.Options{Address: address, Connect: packet.Connect{CleanSession: true}}
}

func TestDial(t *testing.T) {
	address, rest := peer(t, []byte{0x20, 2, 1, 0})
	c, err := mqttclient.Dial(t.Context(), options(address))
	if err != nil {
		t.Fatal(err)
	}
	if !c.SessionPresent {
		t.Error("the session is not seen")
	}
	if id, err := c.Subscribe("a/#"); id != 1 || err != nil {
		t.Error(id, err)
	}
	if id, err := c.Publish(1, []byte("x"), "a", "/b"); id != 2 || err != nil {
		t.Error(id, err)
	}
	c.Puback(7)
	c.Ping()
	if err := c.Disconnect(); err != nil {
		t.Error(err)
	}
	want := []byte("\x82\x08\x00\x01\x00\x03a/#\x01" + "\x32\x08\x00\x03a/b\x00\x02x" + "\x40\x02\x00\x07" + "\xc0\x00" + "\xe0\x00")
	if got := <-rest; !bytes.Equal(got, want) {
		t.Errorf("the server got % x, not % x", got, want)
	}
}

func TestRefused(t *testing.T) {
	address, _ := peer(t, []byte{0x20, 2, 0, 5})
	_, err := mqttclient.Dial(t.Context(), options(address))
	var refused *mqttclient.RefusedError
	if !errors.As(err, &refused) || refused.Code != packet.RefusedNotAuthorized {
		t.Errorf("got %v", err)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	address, _ := peer(t) // which never answers
	ctx, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(20*time.Millisecond, cancel)
	defer stop.Stop()
	if _, err := mqttclient.Dial(ctx, options(address)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	address, _ = peer(t)
	o := options(address)
	o.Timeout = 20 * time.Millisecond
	if _, err := mqttclient.Dial(t.Context(), o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestNext reads packets of several sizes that come in pieces, with deadlines in
// between.
func TestNext(t *testing.T) {
	large := bytes.Repeat([]byte("z"), 100<<10)
	var wire []byte
	for _, payload := range [][]byte{nil, []byte("abc"), large, []byte("end")} {
		wire, _ = packet.AppendPublish(wire, packet.PublishHeader(0, false, false), 0, payload, "t")
	}
	address, _ := peer(t, []byte{0x20, 2, 0, 0}, wire[:4], wire[4:5000], wire[5000:])
	c, err := mqttclient.Dial(t.Context(), options(address))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got [][]byte
	for len(got) < 4 {
		h, body, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		p, err := packet.DecodePublish(h, body)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, bytes.Clone(p.Payload))
	}
	if len(got[0]) != 0 || string(got[1]) != "abc" || !bytes.Equal(got[2], large) || string(got[3]) != "end" {
		t.Errorf("got %d, %q, %d, %q", len(got[0]), got[1], len(got[2]), got[3])
	}
	if c.Ready() {
		t.Error("a packet is ready that was never sent")
	}
	c.SetReadDeadline(time.Unix(1, 0))
	if _, _, err := c.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestTooLarge refuses a packet at its head.
func TestTooLarge(t *testing.T) {
	address, _ := peer(t, []byte{0x20, 2, 0, 0}, []byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	c, err := mqttclient.Dial(t.Context(), options(address))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := c.Next(); !errors.Is(err, packet.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
