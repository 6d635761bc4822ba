package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/internal/memnet"
	"github.com/hubtwin/hubtwin/store/pebble"
	"github.com/hubtwin/hubtwin/wsnet"
)

var quiet = slog.New(slog.DiscardHandler)

// ephemeral is a hub in memory on free ports.
func ephemeral(t *testing.T) Config {
	return Config{
		Certificates: t.TempDir(), Listen: "localhost", Log: quiet,
		HTTPS: []int{0}, MQTT: []int{0}, MQTTPlain: []int{0}, Admin: []int{0},
	}
}

// started opens and runs a hub. stop ends it and waits.
func started(t *testing.T, c Config) (s *Server, stop func() error) {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, func() error {
		cancel()
		return errors.Join(<-ended, s.Close())
	}
}

// clientTLS trusts the hub's own authority and nothing else.
func clientTLS(t *testing.T, s *Server) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

func ownerToken(t *testing.T, s *Server) string {
	t.Helper()
	for _, p := range s.Hub.Policies() {
		if p.Name == "iothubowner" {
			token, err := auth.Sign("localhost", p.PrimaryKey, p.Name, time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
	}
	t.Fatal("there is no policy iothubowner")
	return ""
}

func TestServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, stop := started(t, ephemeral(t))
	for _, address := range s.HTTPS.Addresses {
		transport := &http.Transport{TLSClientConfig: clientTLS(t, s), ForceAttemptHTTP2: true}
		r, err := http.NewRequest("GET", "https://"+address+"/devices?api-version=2021-04-12", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", ownerToken(t, s))
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || string(body) != "[]" {
			t.Errorf("%s: %s %q %v", address, res.Status, body, err)
		}
		if res.Proto != "HTTP/1.1" {
			t.Errorf("%s speaks %s", address, res.Proto)
		}
		transport.CloseIdleConnections()
	}
	for _, address := range append(s.MQTT.Addresses, s.HTTPS.Addresses...) {
		c, err := tls.Dial("tcp", address, clientTLS(t, s))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		old := clientTLS(t, s)
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		if c, err := tls.Dial("tcp", address, old); err == nil {
			c.Close()
			t.Errorf("%s speaks TLS 1.1", address)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.MQTTPlain.Addresses[0]); err == nil {
		t.Error("the plain port is open after the end")
	}
}

// connectPacket is an MQTT CONNECT of nobody, which the hub refuses.
const connectPacket = "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04nemo"

// TestMQTT sends a CONNECT of nobody over each way that devices have, and
// expects a CONNACK that refuses.
func TestMQTT(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, stop := started(t, ephemeral(t))
	dials := map[string]func() (net.Conn, error){
		"TLS":   func() (net.Conn, error) { return tls.Dial("tcp", s.MQTT.Addresses[0], clientTLS(t, s)) },
		"plain": func() (net.Conn, error) { return net.Dial("tcp", s.MQTTPlain.Addresses[0]) },
		"WebSocket": func() (net.Conn, error) {
			return wsnet.Dial(t.Context(), "wss://"+s.HTTPS.Addresses[0]+"/$iothub/websocket", "mqtt", clientTLS(t, s))
		},
	}
	for way, dial := range dials {
		c, err := dial()
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		var answer [4]byte
		if _, err := io.WriteString(c, connectPacket); err != nil {
			t.Errorf("%s: %v", way, err)
		}
		if _, err := io.ReadFull(c, answer[:]); err != nil || answer[0] != 0x20 || answer[3] == 0 {
			t.Errorf("%s: CONNACK % x, %v", way, answer, err)
		}
		c.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestStopWithOpenConnections ends a hub that has an idle device, a WebSocket,
// a keep-alive connection and half a request.
func TestStopWithOpenConnections(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, stop := started(t, ephemeral(t))
	var open []net.Conn
	add := func(c net.Conn, err error) net.Conn {
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		return c
	}
	add(net.Dial("tcp", s.MQTTPlain.Addresses[0]))
	add(tls.Dial("tcp", s.MQTT.Addresses[0], clientTLS(t, s)))
	add(net.Dial("tcp", s.HTTPS.Addresses[0])) // never shakes hands
	add(wsnet.Dial(t.Context(), "wss://"+s.HTTPS.Addresses[0]+"/$iothub/websocket", "mqtt", clientTLS(t, s)))
	idle := add(tls.Dial("tcp", s.HTTPS.Addresses[0], clientTLS(t, s)))
	fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, c := range open {
		c.Close()
	}
}

// TestShutdownWaits has a request under way when the hub is told to stop: it is
// answered. One that takes too long is cut, and waited for.
func TestShutdownWaits(t *testing.T) {
	for _, c := range []struct {
		name     string
		takes    time.Duration
		answered bool
	}{
		{"short", shutdownTimeout / 2, true},
		{"long", 2 * shutdownTimeout, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{log: quiet}
				began, left := make(chan struct{}), false
				rest := newHTTPServer(s.counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(began)
					time.Sleep(c.takes) // in virtual time
					left = true
				})), quiet)
				l := memnet.Listen()
				go rest.Serve(l)
				client, err := l.Dial()
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
				<-began
				s.drain(rest)
				if !left {
					t.Error("the handler is still at work")
				}
				_, err = http.ReadResponse(bufio.NewReader(client), nil)
				if answered := err == nil; answered != c.answered {
					t.Errorf("answered: %v, want %v (%v)", answered, c.answered, err)
				}
				client.Close()
				if s.work.enter() {
					t.Error("a request may begin after the end")
				}
			})
		})
	}
}

// TestShutdownIsQuick has a connection that never brought a request.
func TestShutdownIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rest := newHTTPServer(nil, quiet)
		l := memnet.Listen()
		go rest.Serve(l)
		client, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		rest.shutdown(shutdownTimeout)
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v of virtual time", took)
		}
		client.Close()
	})
}

// TestShutdownHangsUp has a call that waits for a device to connect.
func TestShutdownHangsUp(t *testing.T) {
	s, stop := started(t, ephemeral(t))
	id, owner := device.ID{Device: "d"}, auth.Principal{Policy: "iothubowner", Permissions: auth.RegistryWrite | auth.ServiceConnect}
	if _, err := s.Hub.PutIdentity(t.Context(), owner, device.Identity{ID: id, Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS}}, ""); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Hub.InvokeMethod(context.Background(), owner, id, hub.MethodRequest{Name: "m", ResponseTimeout: 5 * time.Minute, ConnectTimeout: 5 * time.Minute})
		done <- err
	}()
	stop()
	if err := <-done; !fault.Is(err, fault.ServiceUnavailable) {
		t.Error(err)
	}
}

// TestSlowClients dribble: each is cut within the limit, in virtual time.
func TestSlowClients(t *testing.T) {
	const head = "POST /devices/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
	for _, c := range []struct {
		name  string
		sends string        // a byte a second
		limit time.Duration // then the connection is closed
	}{
		{"says nothing", "", headerTimeout},
		{"dribbles its header", head + strings.Repeat("x: y\r\n", 1000), headerTimeout},
		{"dribbles its body", head + "\r\n" + strings.Repeat("{", 100000), readTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rest := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }), quiet)
				l := memnet.Listen()
				go rest.Serve(l)
				defer rest.Close()
				client, err := l.Dial()
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				sends := c.sends
				if i := strings.Index(sends, "\r\n\r\n"); i >= 0 {
					io.WriteString(client, sends[:i+4])
					sends = sends[i+4:]
				}
				var sender sync.WaitGroup
				sender.Go(func() {
					for i := range len(sends) {
						if _, err := io.WriteString(client, sends[i:i+1]); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				})
				io.Copy(io.Discard, client) // until the server closes
				// net/http lingers for half a second so that its answer arrives.
				if took := time.Since(began); took > c.limit+time.Second {
					t.Errorf("was served for %v, want %v at most", took, c.limit)
				}
				client.Close()
				sender.Wait()
			})
		})
	}
}

// TestOptionsNeedAToken too: net/http would answer for the server as a whole.
func TestOptionsNeedAToken(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, stop := started(t, ephemeral(t))
	c, err := tls.Dial("tcp", s.HTTPS.Addresses[0], clientTLS(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v %v, want 401", res, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestConnectionBound has one connection more than there may be.
func TestConnectionBound(t *testing.T) {
	rest := newHTTPServer(nil, quiet)
	closed := func(c net.Conn) bool {
		c.SetReadDeadline(time.Now())
		_, err := c.Read(make([]byte, 1))
		return err == io.EOF
	}
	rest.open = rest.limit - 1
	last, lastPeer := net.Pipe()
	rest.note(last, http.StateNew)
	extra, extraPeer := net.Pipe()
	rest.note(extra, http.StateNew)
	if closed(lastPeer) || !closed(extraPeer) {
		t.Error("want the connection beyond the bound closed, and only that")
	}
	rest.note(extra, http.StateClosed)
	rest.note(last, http.StateHijacked)
	next, nextPeer := net.Pipe()
	rest.note(next, http.StateNew)
	if closed(nextPeer) || rest.open != rest.limit {
		t.Errorf("there is room again, but %d are counted", rest.open)
	}
}

func TestDataInUse(t *testing.T) {
	defer goleak.VerifyNone(t)
	c := ephemeral(t)
	c.Data = t.TempDir()
	_, stop := started(t, c)
	if _, err := Open(t.Context(), c); !errors.Is(err, pebble.ErrInUse) {
		t.Errorf("a second hub on the same data: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestOpenFails checks that what was opened before the failure is closed again.
func TestOpenFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := ephemeral(t)
	c.Data = t.TempDir()
	c.MQTTPlain = []int{taken.Addr().(*net.TCPAddr).Port}
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "mqtt-plain-port: ") {
		t.Fatalf("a port that is taken: %v", err)
	}
	c.MQTTPlain = nil
	_, stop := started(t, c)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestCloseWithoutRun gives the ports back.
func TestCloseWithoutRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, err := Open(t.Context(), ephemeral(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, e := range []Endpoint{s.HTTPS, s.MQTT, s.MQTTPlain, s.Admin} {
		for _, address := range e.Addresses {
			if c, err := net.Dial("tcp", address); err == nil {
				c.Close()
				t.Errorf("%s is open after the end", address)
			}
		}
	}
}
