package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// Endpoint is where one protocol is served. The zero Endpoint is one that is
// not served.
type Endpoint struct {
	// Port is the same on every address.
	Port int
	// Addresses are the IP addresses and the port, as in "127.0.0.1:443".
	Addresses []string
	// Missed says why the first port asked for could not be had; nil if it was.
	Missed error

	listeners []net.Listener
}

// anyPortTries bounds the search for a port that is free on all addresses.
const anyPortTries = 20

// listen opens the first of ports that is free on all of addresses.
func listen(addresses []netip.Addr, ports []int) (Endpoint, error) {
	var missed error
	for _, port := range ports {
		tries := 1
		if port == 0 && len(addresses) > 1 {
			tries = anyPortTries
		}
		for range tries {
			e, err := listenAll(addresses, port)
			if err == nil {
				e.Missed = missed
				return e, nil
			}
			if missed == nil {
				missed = err
			}
		}
	}
	return Endpoint{}, missed
}

// listenAll opens one port on all addresses, or on none.
func listenAll(addresses []netip.Addr, port int) (e Endpoint, err error) {
	defer func() {
		if err != nil {
			e.close()
			e = Endpoint{}
		}
	}()
	e.Port = port
	for _, a := range addresses {
		l, err := net.Listen("tcp", net.JoinHostPort(a.String(), strconv.Itoa(e.Port)))
		if err != nil {
			return e, fmt.Errorf("port %d of %s can't be had: %w", e.Port, a, reason(err))
		}
		e.listeners = append(e.listeners, l)
		e.Addresses = append(e.Addresses, l.Addr().String())
		e.Port = l.Addr().(*net.TCPAddr).Port
	}
	return e, nil
}

// reason is the bare cause of a failed listen, such as "permission denied": the
// wrapping repeats the address and names the system call.
func reason(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

func (e *Endpoint) close() {
	for _, l := range e.listeners {
		l.Close()
	}
}

// addresses resolves Config.Listen, which has been validated.
func (c Config) addresses() []netip.Addr {
	if c.Listen != "localhost" {
		return []netip.Addr{netip.MustParseAddr(c.Listen)}
	}
	list := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	// Containers and old kernels may have no IPv6: trying is the one test that
	// is right everywhere.
	if l, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		l.Close()
		list = append(list, netip.IPv6Loopback())
	}
	return list
}
