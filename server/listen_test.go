package server

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

var loopback4 = netip.MustParseAddr("127.0.0.1")

func TestListenFallsBack(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	e, err := listen([]netip.Addr{loopback4}, []int{port, 0})
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if e.Port == port || e.Port == 0 {
		t.Errorf("port %d", e.Port)
	}
	if e.Missed == nil || !strings.Contains(e.Missed.Error(), strconv.Itoa(port)) {
		t.Errorf("why the first port was missed: %v", e.Missed)
	}

	if _, err := listen([]netip.Addr{loopback4}, []int{port}); err == nil || !strings.Contains(err.Error(), "can't be had") {
		t.Errorf("the only port is taken: %v", err)
	}
	if e, err := listen([]netip.Addr{loopback4}, nil); err != nil || e.Port != 0 {
		t.Errorf("no port: %v, %v", e, err)
	}
}

// TestListenOnAll wants the same port on every address, or none on any.
func TestListenOnAll(t *testing.T) {
	other := netip.MustParseAddr("127.0.0.2")
	if l, err := net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Skip("this system has one loopback address only")
	} else {
		l.Close()
	}
	e, err := listen([]netip.Addr{loopback4, other}, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Addresses) != 2 || len(e.listeners) != 2 {
		t.Fatalf("addresses %q", e.Addresses)
	}
	for _, l := range e.listeners {
		if got := l.Addr().(*net.TCPAddr).Port; got != e.Port {
			t.Errorf("port %d, want %d everywhere", got, e.Port)
		}
	}
	e.listeners[0].Close() // The second address has the port now, the first is free.
	if _, err := listen([]netip.Addr{loopback4, other}, []int{e.Port}); err == nil {
		t.Error("a port that one address lacks was had")
	}
	if l, err := net.Listen("tcp", e.Addresses[0]); err != nil {
		t.Errorf("the address that was free is not any more: %v", err)
	} else {
		l.Close()
	}
	e.close()
}
