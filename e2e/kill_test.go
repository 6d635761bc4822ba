package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// TestKill9 kills a hub in the middle of its work, again and again. Every patch
// that a device was told is done, and every update that a back end was told is
// done, must be there afterwards, and devices must come back to the
// subscriptions that they left.
func TestKill9(t *testing.T) {
	const devices, rounds = 16, 4
	plain := freePort(t)
	h := newHub(t, "--mqtt-plain-port", fmt.Sprint(plain))
	h.start()
	c := restClient(t, h)
	fleet := make([]*rawDevice, devices)
	for n := range fleet {
		fleet[n] = newRawDevice(t, c, fmt.Sprintf("raw-%02d", n), plain)
	}
	tagged := 0 // the last tag that the back end was told is there
	for round := range rounds {
		var acknowledged atomic.Int64
		var work sync.WaitGroup
		for _, d := range fleet {
			work.Go(func() { d.patchUntilDead(round == 0, &acknowledged) })
		}
		work.Go(func() {
			for n := tagged + 1; ; n++ {
				patch := json.RawMessage(fmt.Sprintf(`{"tags":{"n":%d}}`, n))
				if _, err := c.PatchTwin(context.Background(), fleet[0].id, "", patch, ""); err != nil {
					return
				}
				tagged = n
			}
		})
		waitUntil(t, "enough acknowledgements", func() bool { return acknowledged.Load() > int64(devices*50) })
		h.kill()
		work.Wait()
		h.start()
		for _, d := range fleet {
			d.check(t, c)
		}
		if got := tag(t, c, fleet[0].id); got < tagged {
			t.Errorf("round %d: tag %d was acknowledged, the twin has %d", round, tagged, got)
		}
	}
	h.stop()
}

// A rawDevice reports a counter, several patches at a time, and remembers the
// last one that was answered.
type rawDevice struct {
	id, token, address string
	sent, answered     int
	version            int64 // of the last answer
}

func newRawDevice(t *testing.T, c *client.Client, id string, port int) *rawDevice {
	t.Helper()
	made, err := c.CreateDevice(context.Background(), client.Device{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Sign("localhost/devices/"+id, made.Authentication.SymmetricKey.PrimaryKey, "", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return &rawDevice{id: id, token: token, address: fmt.Sprintf("127.0.0.1:%d", port)}
}

// patchUntilDead connects and patches until the hub is gone. Only the first time
// does it subscribe to the answers: later it relies on what the hub has kept.
func (d *rawDevice) patchUntilDead(subscribe bool, acknowledged *atomic.Int64) {
	c, err := net.Dial("tcp", d.address)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	out, err := packet.AppendConnect(nil, &packet.Connect{ClientID: []byte(d.id), KeepAlive: 60,
		Username: []byte("localhost/" + d.id + "/?api-version=2021-04-12"), Password: []byte(d.token)})
	if err != nil {
		panic(err)
	}
	if subscribe {
		if out, err = packet.AppendSubscribe(out, 1, packet.Subscription{Filter: []byte("$iothub/twin/res/#")}); err != nil {
			panic(err)
		}
	}
	const inFlight = 4
	for range inFlight {
		out = d.appendPatch(out)
	}
	in, have := make([]byte, 16<<10), 0
	for {
		if _, err := c.Write(out); err != nil {
			return
		}
		out = out[:0]
		k, err := c.Read(in[have:])
		if err != nil {
			return
		}
		have += k
		used := 0
		for {
			header, body, size, err := packet.Next(in[used:have], len(in))
			if errors.Is(err, packet.ErrIncomplete) {
				break
			}
			if err != nil {
				panic(err)
			}
			used += size
			if header.Type() != packet.TypePublish {
				continue
			}
			p, err := packet.DecodePublish(header, body)
			if err != nil {
				panic(err)
			}
			rid, version := 0, int64(0)
			if _, err := fmt.Fscanf(bytes.NewReader(p.Topic), "$iothub/twin/res/204/?$rid=%d&$version=%d", &rid, &version); err != nil {
				panic(fmt.Sprintf("answer %s %s", p.Topic, p.Payload))
			}
			if rid > d.answered {
				d.answered, d.version = rid, version
			}
			acknowledged.Add(1)
			out = d.appendPatch(out)
		}
		have = copy(in, in[used:have])
	}
}

func (d *rawDevice) appendPatch(out []byte) []byte {
	d.sent++
	out, err := packet.AppendPublish(out, packet.PublishHeader(0, false, false), 0,
		fmt.Appendf(nil, `{"n":%d}`, d.sent),
		fmt.Sprintf("$iothub/twin/PATCH/properties/reported/?$rid=%d", d.sent))
	if err != nil {
		panic(err)
	}
	return out
}

// check wants everything that was answered in the twin. The twin may be ahead:
// an answer can be lost with the connection.
func (d *rawDevice) check(t *testing.T, c *client.Client) {
	t.Helper()
	twin, err := c.Twin(context.Background(), d.id, "")
	if err != nil {
		t.Fatal(err)
	}
	var reported struct {
		N       int   `json:"n"`
		Version int64 `json:"$version"`
	}
	if err := json.Unmarshal(twin.Properties.Reported, &reported); err != nil {
		t.Fatal(err)
	}
	if d.answered == 0 {
		t.Errorf("%s: no patch was answered: its subscription is lost", d.id)
	}
	if reported.N < d.answered || reported.N > d.sent || reported.Version < d.version {
		t.Errorf("%s: patch %d was acknowledged at version %d; the twin has %d at version %d", d.id, d.answered, d.version, reported.N, reported.Version)
	}
	d.answered = 0
}

func tag(t *testing.T, c *client.Client, id string) int {
	t.Helper()
	twin, err := c.Twin(context.Background(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	var tags struct {
		N int `json:"n"`
	}
	if err := json.Unmarshal(twin.Tags, &tags); err != nil {
		t.Fatal(err)
	}
	return tags.N
}

func restClient(t *testing.T, h *hubProcess) *client.Client {
	t.Helper()
	vars := h.vars()
	pem, err := os.ReadFile(vars["NODE_EXTRA_CA_CERTS"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the CA file")
	}
	c, err := client.New(vars["HUBTWIN_CONNECTION_STRING"], client.Options{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
