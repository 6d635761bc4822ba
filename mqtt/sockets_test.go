package mqtt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/mqtt"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
	"github.com/hubtwin/hubtwin/wsnet"
)

// loopback is a hub that listens on real sockets: TCP, TLS and WebSocket.
type loopback struct {
	hub                *hub.Hub
	plain, secure, web string // addresses
	roots              *x509.CertPool
}

func newLoopback(t testing.TB) *loopback {
	t.Helper()
	return newLoopbackOn(t, memory.New())
}

func newLoopbackOn(t testing.TB, st store.Store) *loopback {
	t.Helper()
	h, err := hub.Open(context.Background(), hub.Config{Store: st, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := mqtt.New(mqtt.Config{Hub: h, Verifier: &auth.Verifier{Keys: h.Secrets(), Hosts: []string{hostName}}, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	certificate, roots := selfSigned(t)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	plain, secure, web := listen(), listen(), listen()
	serving.Go(func() { server.Serve(ctx, plain) })
	serving.Go(func() {
		server.Serve(ctx, tls.NewListener(secure, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	})
	upgrades := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := wsnet.Upgrader{}.Upgrade(w, r, "mqtt")
		if err == nil {
			serving.Go(func() { server.ServeConn(ctx, c) })
		}
	})}
	serving.Go(func() { upgrades.Serve(web) })
	t.Cleanup(func() {
		upgrades.Close()
		cancel()
		serving.Wait()
		h.Close()
		st.Close()
	})
	return &loopback{h, plain.Addr().String(), secure.Addr().String(), web.Addr().String(), roots}
}

// selfSigned makes a certificate for 127.0.0.1, and the pool that trusts it.
func selfSigned(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func (l *loopback) create(t testing.TB, name string) {
	t.Helper()
	_, err := l.hub.PutIdentity(context.Background(), owner, device.Identity{
		ID: device.ID{Device: name}, Status: device.Enabled,
		Authentication: device.Authentication{Type: device.SAS, PrimaryKey: deviceKey, SecondaryKey: deviceKey},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
}

func (l *loopback) patch(t testing.TB, name, body string) {
	t.Helper()
	p, err := twin.ParsePatch([]byte(body), twin.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.hub.UpdateTwin(context.Background(), owner, device.ID{Device: name}, p, ""); err != nil {
		t.Fatal(err)
	}
}

// token is a device's password.
func token(t testing.TB, name string) string {
	t.Helper()
	s, err := auth.Sign(hostName+"/devices/"+name, deviceKey, "", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPaho runs an independent client over each kind of socket: connect,
// subscribe, report, read, be notified, be cut off, come back without
// subscribing.
func TestPaho(t *testing.T) {
	l := newLoopback(t)
	for name, broker := range map[string]string{
		"tcp":       "tcp://" + l.plain,
		"tls":       "ssl://" + l.secure,
		"websocket": "ws://" + l.web + "/$iothub/websocket",
	} {
		t.Run(name, func(t *testing.T) {
			dev := "dev-" + name
			l.create(t, dev)
			got := make(chan string, 10)
			options := paho.NewClientOptions().AddBroker(broker).SetClientID(dev).
				SetUsername(hostName + "/" + dev + "/?api-version=2021-04-12").SetPassword(token(t, dev)).
				SetCleanSession(false).SetAutoReconnect(false).SetTLSConfig(&tls.Config{RootCAs: l.roots}).
				SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { got <- m.Topic() + " " + string(m.Payload()) })
			c := paho.NewClient(options)
			wait(t, c.Connect())
			wait(t, c.SubscribeMultiple(map[string]byte{"$iothub/twin/res/#": 1, "$iothub/twin/PATCH/properties/desired/#": 1}, nil))
			wait(t, c.Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 1, false, `{"transport":"`+name+`"}`))
			receive(t, got, "$iothub/twin/res/204/?$rid=1&$version=2 ")
			l.patch(t, dev, `{"properties":{"desired":{"interval":5}}}`)
			receive(t, got, `$iothub/twin/PATCH/properties/desired/?$version=2 {"interval":5,"$version":2}`)
			c.Disconnect(100)

			c = paho.NewClient(options)
			wait(t, c.Connect())
			defer c.Disconnect(100)
			wait(t, c.Publish("$iothub/twin/GET/?$rid=2", 0, false, " "))
			receive(t, got, `$iothub/twin/res/200/?$rid=2 {"desired":{"interval":5,"$version":2},"reported":{"transport":"`+name+`","$version":2}}`)
		})
	}
}

// TestPahoIsRefused checks that the answer to bad credentials arrives as such.
func TestPahoIsRefused(t *testing.T) {
	l := newLoopback(t)
	for _, broker := range []string{"tcp://" + l.plain, "ssl://" + l.secure, "ws://" + l.web + "/"} {
		options := paho.NewClientOptions().AddBroker(broker).SetClientID("dev-x").SetProtocolVersion(4).
			SetUsername(hostName + "/dev-x/?api-version=2021-04-12").SetPassword(token(t, "dev-x")).SetTLSConfig(&tls.Config{RootCAs: l.roots})
		c := paho.NewClient(options).Connect().(*paho.ConnectToken)
		if !c.WaitTimeout(time.Minute) || c.ReturnCode() != 5 {
			t.Errorf("%s: code %d, %v", broker, c.ReturnCode(), c.Error())
		}
	}
}

func wait(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(time.Minute) {
		t.Fatal("no answer")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, from <-chan string, want string) {
	t.Helper()
	select {
	case got := <-from:
		if got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("nothing came; want %s", want)
	}
}
