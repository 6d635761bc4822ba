package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/internal/certs"
	"github.com/hubtwin/hubtwin/mqtt/mqttclient"
	"github.com/hubtwin/hubtwin/mqtt/packet"
	"github.com/hubtwin/hubtwin/wsnet"
)

var owner = auth.Principal{Policy: "iothubowner", Permissions: auth.RegistryRead | auth.RegistryWrite | auth.ServiceConnect}

func put(t *testing.T, s *Server, name string, a device.Authentication, c hub.Condition) {
	t.Helper()
	i := device.Identity{ID: device.ID{Device: name}, Status: device.Enabled, Authentication: a}
	if _, err := s.Hub.PutIdentity(t.Context(), owner, i, c); err != nil {
		t.Fatal(err)
	}
}

// withCertificate is clientTLS for a device that has a certificate, or none.
func withCertificate(t *testing.T, s *Server, own *certs.Issued, above ...*certs.Issued) *tls.Config {
	t.Helper()
	c := clientTLS(t, s)
	if own != nil {
		c.Certificates = []tls.Certificate{own.TLS(above...)}
	}
	return c
}

// ways are those by which a device reaches the hub. Each gives nil if it is let in.
var ways = map[string]func(t *testing.T, s *Server, name, token string, c *tls.Config) error{
	"MQTT": func(t *testing.T, s *Server, name, token string, c *tls.Config) error {
		conn, err := connectDevice(t, s, name, token, func(ctx context.Context) (net.Conn, error) {
			return (&tls.Dialer{Config: c}).DialContext(ctx, "tcp", s.MQTT.Addresses[0])
		})
		if err == nil {
			conn.Close()
		}
		return err
	},
	"WebSocket": func(t *testing.T, s *Server, name, token string, c *tls.Config) error {
		conn, err := connectDevice(t, s, name, token, func(ctx context.Context) (net.Conn, error) {
			return wsnet.Dial(ctx, "wss://"+s.HTTPS.Addresses[0]+"/$iothub/websocket", "mqtt", c)
		})
		if err == nil {
			conn.Close()
		}
		return err
	},
	"HTTPS": func(t *testing.T, s *Server, name, token string, c *tls.Config) error {
		conn, err := tls.Dial("tcp", s.HTTPS.Addresses[0], c)
		if err != nil {
			return err
		}
		defer conn.Close()
		return sendEvent(conn, name, token)
	},
}

func connectDevice(t *testing.T, s *Server, name, token string, dial func(context.Context) (net.Conn, error)) (*mqttclient.Conn, error) {
	p := packet.Connect{CleanSession: true, KeepAlive: 60, ClientID: []byte(name), Username: []byte("localhost/" + name + "/?api-version=2021-04-12")}
	if token != "" {
		p.Password = []byte(token)
	}
	return mqttclient.Dial(t.Context(), mqttclient.Options{Dial: dial, Connect: p})
}

// sendEvent sends a message over HTTPS, and leaves the connection open.
func sendEvent(c net.Conn, name, token string) error {
	header := ""
	if token != "" {
		header = "Authorization: " + token + "\r\n"
	}
	fmt.Fprintf(c, "POST /devices/%s/messages/events?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: 2\r\n\r\nhi", name, header)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%d %s", answer.StatusCode, answer.Header.Get("iothub-errorcode"))
	}
	return nil
}

// TestDevicesWithCertificates takes devices with good and bad certificates in over
// each way and with each version of TLS, beside one with a token.
func TestDevicesWithCertificates(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, stop := started(t, ephemeral(t))
	own, second, other := certs.SelfSigned(t, "whatever"), certs.SelfSigned(t, "whatever"), certs.SelfSigned(t, "whatever")
	put(t, s, "by-thumbprint", device.Authentication{
		Type: device.SelfSigned, PrimaryThumbprint: auth.Thumbprint(own.Certificate), SecondaryThumbprint: strings.ToUpper(auth.Thumbprint(second.Certificate)),
	}, "")
	root, disabled, unverified := certs.SelfSigned(t, "root", certs.CA), certs.SelfSigned(t, "off", certs.CA), certs.SelfSigned(t, "new", certs.CA)
	plant := root.Sign(t, "plant", certs.CA)
	put(t, s, "by-authority", device.Authentication{Type: device.CertificateAuthority}, "")
	for name, c := range map[string]*certs.Issued{"root": root, "off": disabled, "new": unverified} {
		if _, err := s.Hub.AddAuthority(t.Context(), owner, name, c.PEM(), name != "new"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Hub.EnableAuthority(t.Context(), owner, "off", false); err != nil {
		t.Fatal(err)
	}
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	put(t, s, "by-key", device.Authentication{Type: device.SAS, PrimaryKey: key, SecondaryKey: key}, "")
	token, err := auth.Sign("localhost/devices/by-key", key, "", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	past := certs.Between(time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	for _, c := range []struct {
		what, device, token string
		own                 *certs.Issued
		above               []*certs.Issued
		in                  bool
	}{
		{"the first thumbprint", "by-thumbprint", "", own, nil, true},
		{"the second thumbprint", "by-thumbprint", "", second, nil, true},
		{"another certificate", "by-thumbprint", "", other, nil, false},
		{"no certificate", "by-thumbprint", "", nil, nil, false},
		{"a token of another device", "by-thumbprint", token, own, nil, false},
		{"signed", "by-authority", "", root.Sign(t, "by-authority"), nil, true},
		{"signed by an intermediate", "by-authority", "", plant.Sign(t, "by-authority"), []*certs.Issued{plant}, true},
		{"an intermediate is missing", "by-authority", "", plant.Sign(t, "by-authority"), nil, false},
		{"of another device", "by-authority", "", root.Sign(t, "by-thumbprint"), nil, false},
		{"expired", "by-authority", "", root.Sign(t, "by-authority", past), nil, false},
		{"signed by a disabled authority", "by-authority", "", disabled.Sign(t, "by-authority"), nil, false},
		{"signed by an unverified authority", "by-authority", "", unverified.Sign(t, "by-authority"), nil, false},
		{"self-signed", "by-authority", "", own, nil, false},
		{"a token, no certificate", "by-key", token, nil, nil, true},
		{"a token beside a certificate", "by-key", token, other, nil, true},
		{"a certificate for a device with keys", "by-key", "", root.Sign(t, "by-key"), nil, false},
		{"a device that is not there", "nobody", "", root.Sign(t, "nobody"), nil, false},
	} {
		for way, reach := range ways {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				with := withCertificate(t, s, c.own, c.above...)
				with.MinVersion, with.MaxVersion = version, version
				err := reach(t, s, c.device, c.token, with)
				switch name := way + ", " + tls.VersionName(version) + ", " + c.what; {
				case c.in && err != nil:
					t.Errorf("%s: %v", name, err)
				case !c.in && !isRefusal(err):
					t.Errorf("%s: let in, or no clear refusal: %v", name, err)
				}
			}
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// isRefusal tells whether a device was told that its credentials are bad.
func isRefusal(err error) bool {
	if refused := new(mqttclient.RefusedError); errors.As(err, &refused) {
		return refused.Code == packet.RefusedNotAuthorized
	}
	return err != nil && err.Error() == "401 IotHubUnauthorized"
}

// TestCertificatesOfAnOpenConnection: what ceases to count, does so for connections
// that are open, and for TLS sessions that are resumed.
func TestCertificatesOfAnOpenConnection(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, stop := started(t, ephemeral(t))
	root := certs.SelfSigned(t, "root", certs.CA)
	put(t, s, "pump-1", device.Authentication{Type: device.CertificateAuthority}, "")
	if _, err := s.Hub.AddAuthority(t.Context(), owner, "plant", root.PEM(), true); err != nil {
		t.Fatal(err)
	}
	with := withCertificate(t, s, root.Sign(t, "pump-1"))
	with.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	mqtt, err := connectDevice(t, s, "pump-1", "", func(ctx context.Context) (net.Conn, error) {
		return (&tls.Dialer{Config: with}).DialContext(ctx, "tcp", s.MQTT.Addresses[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	defer mqtt.Close()
	https, err := tls.Dial("tcp", s.HTTPS.Addresses[0], with)
	if err != nil {
		t.Fatal(err)
	}
	defer https.Close()
	for range 3 {
		if err := sendEvent(https, "pump-1", ""); err != nil {
			t.Error(err)
		}
	}
	resumed := func() *tls.Conn {
		t.Helper()
		c, err := tls.Dial("tcp", s.HTTPS.Addresses[0], with)
		if err != nil {
			t.Fatal(err)
		}
		if !c.ConnectionState().DidResume {
			t.Error("the session is not resumed, so this shows nothing")
		}
		return c
	}
	again := resumed()
	defer again.Close()
	if err := sendEvent(again, "pump-1", ""); err != nil {
		t.Errorf("a resumed session: %v", err)
	}
	if _, err := s.Hub.EnableAuthority(t.Context(), owner, "plant", false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := mqtt.Next(); err == nil {
		t.Error("the MQTT connection goes on")
	}
	if err := sendEvent(https, "pump-1", ""); !isRefusal(err) {
		t.Errorf("the HTTPS connection goes on: %v", err)
	}
	later := resumed()
	defer later.Close()
	if err := sendEvent(later, "pump-1", ""); !isRefusal(err) {
		t.Errorf("a resumed session goes on: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestTooManyCertificates: a chain of any length costs no more than the handshake.
func TestTooManyCertificates(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, stop := started(t, ephemeral(t))
	root := certs.SelfSigned(t, "root", certs.CA)
	put(t, s, "pump-1", device.Authentication{Type: device.CertificateAuthority}, "")
	if _, err := s.Hub.AddAuthority(t.Context(), owner, "plant", root.PEM(), true); err != nil {
		t.Fatal(err)
	}
	own := root.Sign(t, "pump-1")
	for n, in := range map[int]bool{auth.MaxChain - 1: true, auth.MaxChain: false, 100: false} {
		above := make([]*certs.Issued, n)
		for i := range above {
			above[i] = root
		}
		for way, reach := range ways {
			err := reach(t, s, "pump-1", "", withCertificate(t, s, own, above...))
			if in && err != nil || !in && !isRefusal(err) {
				t.Errorf("%s, %d above: %v", way, n, err)
			}
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
