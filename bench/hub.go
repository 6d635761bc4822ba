package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/internal/fleet"
	"github.com/hubtwin/hubtwin/mqtt/mqttclient"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// devices is how many a hub under load has, on top of what is in it.
const devices = 500

// hubProcess is a hub on a real disk.
type hubProcess struct {
	process
	plain            string // address of MQTT without TLS
	connectionString string // for back ends
	roots            *x509.CertPool
	connect          []packet.Connect // of the devices, once they are registered
}

// startHub runs binary on the directory data until it listens. No device is
// registered there by that, if the synthetic fleet is in it.
func startHub(ctx context.Context, binary, data string) (*hubProcess, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	env := filepath.Join(data, "env")
	if err := os.Remove(env); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	h := &hubProcess{plain: net.JoinHostPort("127.0.0.1", fmt.Sprint(port))}
	args := []string{"dev", "--data", data, "--env", env, "--device", fleet.NewSynthetic(0, 0).ID,
		"--https-port", "0", "--mqtt-port", "0", "--mqtt-plain-port", fmt.Sprint(port), "--log-level", "warn"}
	if err := h.start(ctx, binary, args...); err != nil {
		return nil, err
	}
	if err := h.meet(ctx, env); err != nil {
		h.stop()
		return nil, err
	}
	return h, nil
}

// meet waits for the hub and reads how to reach it.
func (h *hubProcess) meet(ctx context.Context, env string) error {
	vars, err := h.awaitEnv(ctx, env)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(vars["SSL_CERT_FILE"])
	if err != nil {
		return err
	}
	h.connectionString = vars["HUBTWIN_CONNECTION_STRING"]
	h.roots = x509.NewCertPool()
	h.roots.AppendCertsFromPEM(pem)
	return nil
}

// register makes the devices and their twins' first content.
func (h *hubProcess) register(ctx context.Context) error {
	c, err := client.New(h.connectionString, client.Options{RootCAs: h.roots})
	if err != nil {
		return err
	}
	defer c.Close()
	h.connect = make([]packet.Connect, devices)
	var errs = make(chan error, devices)
	var all sync.WaitGroup
	slots := make(chan struct{}, 16)
	for n := range devices {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			id := fmt.Sprintf("bench-%04d", n)
			d, err := c.CreateDevice(ctx, client.Device{ID: id})
			if err != nil {
				errs <- err
				return
			}
			token, err := auth.Sign("localhost/devices/"+id, d.Authentication.SymmetricKey.PrimaryKey, "", time.Now().Add(time.Hour))
			if err != nil {
				errs <- err
				return
			}
			h.connect[n] = packet.Connect{ClientID: []byte(id), CleanSession: true, KeepAlive: 600,
				Username: []byte("localhost/" + id + "/?api-version=2021-04-12"), Password: []byte(token)}
			errs <- h.fill(n)
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return fmt.Errorf("register devices: %w", err)
		}
	}
	return nil
}

// fill reports the first content of a twin.
func (h *hubProcess) fill(n int) error {
	l := load{name: "fill", inFlight: 1, length: 0,
		request: func(int) []byte { return publish("$iothub/twin/PATCH/properties/reported/?$rid=1", first) },
		answer:  func(int) string { return "$iothub/twin/res/204/" }}
	c, err := h.dial(n)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = l.drive(c, n, stopped())
	return err
}

func (h *hubProcess) dial(n int) (*mqttclient.Conn, error) {
	return handshake(h.plain, h.connect[n], "$iothub/twin/res/#")
}

func (h *hubProcess) patch(connections, inFlight int) load {
	request := publish("$iothub/twin/PATCH/properties/reported/?$rid=1", payload)
	return load{name: "hub patch", connections: connections, inFlight: inFlight, dial: h.dial,
		request: func(int) []byte { return request },
		answer:  func(int) string { return "$iothub/twin/res/204/" }}
}

func (h *hubProcess) telemetry(connections, inFlight int) load {
	return load{name: "hub telemetry", connections: connections, inFlight: inFlight, dial: h.dial,
		request: func(n int) []byte {
			return publishQoS(1, 1, "devices/"+string(h.connect[n].ClientID)+"/messages/events/", payload)
		}}
}

func (h *hubProcess) get(connections, inFlight int) load {
	request := publish("$iothub/twin/GET/?$rid=1", "")
	return load{name: "hub get", connections: connections, inFlight: inFlight, dial: h.dial,
		request: func(int) []byte { return request },
		answer:  func(int) string { return "$iothub/twin/res/200/" }}
}
