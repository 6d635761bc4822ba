package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/hubtwin/hubtwin/mqtt/mqttclient"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// payload is a reported patch of 220 bytes, of the kind a gateway sends.
const payload = `{"connectivity":{"type":"cellular","signal":-71,"operator":"Telenor"},"battery":{"level":87,"charging":false},"temperature":{"value":21.5,"unit":"C","at":"2026-11-24T07:00:00Z"},"uptime":360012,"status":"ok","note":"abc"}`

// first is what every twin holds before: together about 1 KB.
const first = `{"firmware":{"version":"1.4.2","channel":"stable","sha":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},"site":{"name":"Redmond43","line":7,"cell":"B-12","building":"north","floor":2},"limits":{"low":-40.5,"high":125.25,"hysteresis":0.5},"network":{"mac":"00:1b:44:11:3a:b7","ip":"10.20.30.40","dns":["10.0.0.1","10.0.0.2"],"vlan":120},"modules":{"edge":"1.5.0","agent":"1.5.0","camera":"0.9.3"},"notes":"unit was replaced in spring and recalibrated; keep the old calibration table for one season"}`

// benchMQTT prints how fast the hub answers, and mosquitto echoes, the same
// payload between the same clients. mosquitto stores nothing; the hub answers
// after its change is on disk.
func benchMQTT(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench mqtt", flag.ContinueOnError)
	length := flags.Duration("for", 5*time.Second, "length of one measurement")
	rounds := flags.Int("rounds", 3, "measurements of each kind; the median counts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hubtwin-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "hubtwin")
	if err := build(ctx, binary); err != nil {
		return err
	}
	hub, err := startHub(ctx, binary, filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	defer hub.stop()
	if err := hub.register(ctx); err != nil {
		return err
	}
	broker, err := startMosquitto(ctx)
	if err != nil {
		return err
	}
	defer broker.stop()

	loads := []struct {
		what                  string
		connections, inFlight int
		hub, echo             func(connections, inFlight int) load
	}{
		{"reported PATCH, durable", devices, 4, hub.patch, broker.echo(payload)},
		{"reported PATCH, durable", 64, 1, hub.patch, broker.echo(payload)},
		{"telemetry QoS 1, durable", devices, 4, hub.telemetry, broker.take(payload)},
		{"telemetry QoS 1, durable", 64, 1, hub.telemetry, broker.take(payload)},
		{"twin GET, 1 KB", devices, 4, hub.get, broker.echo(first + payload)},
		{"twin GET, 1 KB", 50, 32, hub.get, broker.echo(first + payload)},
	}
	fmt.Printf("fsync of 4 KiB here: %v; %d x %v each, medians\n\n", fsyncTime(), *rounds, *length)
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "what\tdevices x in flight\thub/s\tmosquitto echo/s\tratio\thub, mean of one")
	for _, l := range loads {
		var ours, theirs []result
		for range *rounds {
			a, err := timed(l.hub(l.connections, l.inFlight), *length).run(ctx)
			if err != nil {
				return err
			}
			b, err := timed(l.echo(l.connections, l.inFlight), *length).run(ctx)
			if err != nil {
				return err
			}
			ours, theirs = append(ours, a), append(theirs, b)
		}
		x, y := median(ours), median(theirs)
		fmt.Fprintf(w, "%s\t%d x %d\t%.0f\t%.0f\t%.2f\t%v\n", l.what, l.connections, l.inFlight,
			x.perSecond, y.perSecond, x.perSecond/y.perSecond, x.took.Round(time.Microsecond))
		w.Flush()
	}
	return nil
}

func timed(l load, length time.Duration) load {
	l.length = length
	return l
}

// median is the round in the middle, by its rate.
func median(rounds []result) result {
	slices.SortFunc(rounds, func(a, b result) int { return cmp.Compare(a.perSecond, b.perSecond) })
	return rounds[len(rounds)/2]
}

// fsyncTime is what one small durable write costs on the disk of the data.
func fsyncTime() time.Duration {
	f, err := os.CreateTemp("", "fsync")
	if err != nil {
		return 0
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	took := make([]time.Duration, 0, 101)
	for range cap(took) {
		began := time.Now()
		f.Write(block)
		f.Sync()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2].Round(time.Microsecond)
}

// brokerProcess is a mosquitto in whose topics every client hears itself.
type brokerProcess struct {
	process
	dir, address string
}

func (b *brokerProcess) stop() {
	b.process.stop()
	os.RemoveAll(b.dir)
}

func startMosquitto(ctx context.Context) (*brokerProcess, error) {
	binary, err := find("mosquitto", "/usr/sbin/mosquitto")
	if err != nil {
		return nil, fmt.Errorf("%w: install it (apt-get install mosquitto)", err)
	}
	dir, err := os.MkdirTemp("", "mosquitto-bench")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	b := &brokerProcess{dir: dir, address: net.JoinHostPort("127.0.0.1", fmt.Sprint(port))}
	config := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nmax_queued_messages 0\nlog_type none\n", port)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	if err := b.start(ctx, binary, "-c", config); err != nil {
		return nil, err
	}
	if err := b.awaitPort(ctx, b.address); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// take is a broker that takes messages with QoS 1 and has nobody to give them to.
func (b *brokerProcess) take(payload string) func(connections, inFlight int) load {
	return func(connections, inFlight int) load {
		return load{name: "mosquitto PUBACK", connections: connections, inFlight: inFlight,
			dial: func(n int) (*mqttclient.Conn, error) {
				return handshake(b.address, packet.Connect{ClientID: fmt.Appendf(nil, "bench-%04d", n), CleanSession: true, KeepAlive: 600}, "bench/none")
			},
			request: func(n int) []byte { return publishQoS(1, 1, fmt.Sprintf("bench/events/%04d", n), payload) }}
	}
}

func (b *brokerProcess) echo(payload string) func(connections, inFlight int) load {
	return func(connections, inFlight int) load {
		topic := func(n int) string { return fmt.Sprintf("bench/properties/reported/%04d", n) }
		return load{name: "mosquitto echo", connections: connections, inFlight: inFlight,
			dial: func(n int) (*mqttclient.Conn, error) {
				return handshake(b.address, packet.Connect{ClientID: fmt.Appendf(nil, "bench-%04d", n), CleanSession: true, KeepAlive: 600}, topic(n))
			},
			request: func(n int) []byte { return publish(topic(n), payload) },
			answer:  topic}
	}
}
