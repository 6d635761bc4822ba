package mqtt_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/mqtt/packet"
	"github.com/hubtwin/hubtwin/presence"
)

// TestTooManyMethods fills a device with calls: one more is refused, and those
// that end make room, however they end.
func TestTooManyMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		must(t, s, "service creates dev-1", "A> CONNECT dev-1", "A< CONNACK 0", "A> SUBSCRIBE 1 $iothub/methods/POST/# 0", "A< SUBACK 1 0")
		rid := 0
		call := func(n int) {
			rid++
			must(t, s, fmt.Sprintf("service invokes c%d dev-1 m response=5s %d", n, n),
				fmt.Sprintf("A< PUBLISH 0 $iothub/methods/POST/m/?$rid=<%d> %d", rid, n))
		}
		for n := range presence.MaxMethods {
			call(n)
		}
		must(t, s, "service invokes more dev-1 m", "more= 403800", "A< nothing")
		must(t, s, "A> PUBLISH 0 0 $iothub/methods/res/200/?$rid=<7> {}", "c6= 200 {}", "c5= waits")
		call(6)
		must(t, s, "service invokes more dev-1 m", "more= 403800")
		must(t, s, "c8= hangs up", "c8= context canceled")
		call(8)
		must(t, s, "service invokes more dev-1 m", "more= 403800", "wait 5s")
		for n := range presence.MaxMethods {
			must(t, s, fmt.Sprintf("c%d= 504101", n))
			call(n)
		}
		must(t, s, "A> drops")
		for n := range presence.MaxMethods {
			must(t, s, fmt.Sprintf("c%d= 404104", n))
		}
	})
}

// TestTooManyWait: as many may wait for a device that is away, and all are called
// when it comes.
func TestTooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		must(t, s, "service creates dev-1", "service creates dev-2")
		for n := range presence.MaxMethods {
			must(t, s, fmt.Sprintf("service invokes c%d dev-1 m connect=20s", n))
		}
		must(t, s, "service invokes more dev-1 m connect=20s", "more= 403800", "c0= waits")
		must(t, s, "service invokes other dev-2 m connect=20s", "other= waits")
		must(t, s, "service invokes now dev-1 m", "now= 404103")
		must(t, s, "A> CONNECT dev-1", "A< CONNACK 0", "A> SUBSCRIBE 1 $iothub/methods/POST/# 0", "A< SUBACK 1 0")
		for n := range presence.MaxMethods {
			must(t, s, fmt.Sprintf("A< PUBLISH 0 $iothub/methods/POST/m/?$rid=<%d> null", n+1))
		}
		must(t, s, "A< nothing", "c0= waits", "other= waits")
	})
}

// TestDeafDeviceIsNotCalled: when too much waits for a device that does not read,
// calls are refused, and the connection stands until a write has waited too long.
func TestDeafDeviceIsNotCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		must(t, s, "service creates dev-1")
		c := deaf(t, s)
		defer c.Close()
		write(t, c, "SUBSCRIBE 2 $iothub/methods/POST/# 0")
		if line, err := readPacket(bufio.NewReader(c)); line != "SUBACK 2 0" {
			t.Fatal(line, err)
		}
		call := func(n int) {
			must(t, s, fmt.Sprintf(`service invokes c%d dev-1 m response=60s "{131000}"`, n))
		}
		n := 0
		for ; n < 20; n++ {
			call(n)
			if s.outcome(fmt.Sprintf("c%d", n), "waits") != nil {
				break
			}
		}
		if n < 7 || n > 9 { // of 1 MiB
			t.Errorf("%d calls of 128 KB were taken", n)
		}
		call(n)
		must(t, s, fmt.Sprintf("c%d= 403800", n), "c0= waits", "wait 31s", "log the device has not read", "c0= 404104", "c1= 404104")
	})
}

// TestSubackComesBeforeTheCall: while the subscription is on its way to the disk,
// the device can't be called yet.
func TestSubackComesBeforeTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		slow := s.slowStore()
		must(t, s, "service creates dev-1", "A> CONNECT dev-1", "A< CONNACK 0", "service invokes a dev-1 m connect=9s")
		slow.pause()
		must(t, s, "A> SUBSCRIBE 1 $iothub/methods/POST/# 0", "A< nothing", "service invokes b dev-1 m", "b= 404103")
		slow.resume()
		must(t, s, "A< SUBACK 1 0", "A< PUBLISH 0 $iothub/methods/POST/m/?$rid=<1> null")
		// Subscribed and unsubscribed in one breath.
		must(t, s, "A> UNSUBSCRIBE 2 $iothub/methods/POST/# ; SUBSCRIBE 3 $iothub/methods/POST/# 0 ; UNSUBSCRIBE 4 $iothub/methods/POST/#",
			"A< UNSUBACK 2", "A< SUBACK 3 0", "A< UNSUBACK 4", "service invokes c dev-1 m", "c= 404103")
	})
}

// answering connects a device that answers each call with 200 and the call's
// payload, until its socket is closed. It returns when the device has subscribed;
// calls may come before that, for the subscription of an earlier session.
func answering(tb testing.TB, l *loopback, name string) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", l.plain)
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, c, "CONNECT "+name+" ; SUBSCRIBE 1 $iothub/methods/POST/# 0")
	subscribed := make(chan struct{})
	go func() {
		r := bufio.NewReaderSize(c, 8<<10)
		for {
			h, body, err := readRaw(r)
			switch {
			case err != nil:
				return
			case h.Type() == packet.TypeSuback:
				close(subscribed)
			case h.Type() == packet.TypePublish:
				echoMethod(tb, c, h, body)
			}
		}
	}()
	<-subscribed
	return c
}

// echoMethod answers a call.
func echoMethod(tb testing.TB, c net.Conn, h packet.Header, body []byte) {
	p, err := packet.DecodePublish(h, body)
	if err != nil {
		tb.Error(err)
		return
	}
	_, rid, _ := strings.Cut(string(p.Topic), "/?$rid=")
	answer, err := packet.AppendPublish(nil, packet.PublishHeader(0, false, false), 0, p.Payload, "$iothub/methods/res/200/?$rid=", rid)
	if err != nil {
		tb.Error(err)
	}
	c.Write(answer)
}

func (l *loopback) invoke(name, payload string) (hub.MethodAnswer, error) {
	return l.hub.InvokeMethod(context.Background(), owner, device.ID{Device: name}, hub.MethodRequest{
		Name: "echo", Payload: []byte(payload), ResponseTimeout: time.Minute, ConnectTimeout: time.Minute,
	})
}

// TestManyMethods calls one device and many from many goroutines, while devices
// connect anew and take over. Every call ends, with its own answer or with
// the connection; TestMain finds goroutines that are left.
func TestManyMethods(t *testing.T) {
	const devices, callers, calls = 20, 8, 40
	l := newLoopback(t)
	conns := make([]net.Conn, devices)
	for d := range devices {
		name := fmt.Sprintf("dev-%d", d)
		l.create(t, name)
		conns[d] = answering(t, l, name)
	}
	var calling, disturbing sync.WaitGroup
	var answered, cut sync.Map
	for caller := range callers {
		calling.Go(func() {
			for n := range calls {
				// Every other call is for the first device.
				name := fmt.Sprintf("dev-%d", (n%2)*(1+(caller+n)%(devices-1)))
				payload := fmt.Sprintf(`"%s %d %d"`, name, caller, n)
				a, err := l.invoke(name, payload)
				switch {
				case fault.Is(err, fault.DeviceConnectionClosedRemotely):
					cut.Store(payload, true)
				case err != nil:
					t.Error(payload, err)
				case a.Status != 200 || string(a.Payload) != payload:
					t.Errorf("%s is answered with %d %s", payload, a.Status, a.Payload)
				default:
					answered.Store(payload, true)
				}
			}
		})
	}
	disturbing.Go(func() {
		for d := range devices {
			if d%3 == 0 {
				conns[d].Close() // before, and then taken over
			}
			next := answering(t, l, fmt.Sprintf("dev-%d", d))
			conns[d].Close()
			conns[d] = next
		}
	})
	calling.Wait()
	disturbing.Wait()
	for _, c := range conns {
		c.Close()
	}
	count := func(m *sync.Map) (n int) {
		m.Range(func(any, any) bool { n++; return true })
		return n
	}
	if good, ended := count(&answered), count(&cut); good+ended != callers*calls || good < ended {
		t.Errorf("%d calls were answered and %d cut off, of %d", good, ended, callers*calls)
	}
}

// BenchmarkMethods measures calls over loopback TCP: the hub and its devices are
// one process.
func BenchmarkMethods(b *testing.B) {
	for _, load := range []struct{ devices, callers int }{{1, 1}, {1, 32}, {100, 100}} {
		b.Run(fmt.Sprintf("devices=%d/callers=%d", load.devices, load.callers), func(b *testing.B) {
			l := newLoopback(b)
			for d := range load.devices {
				l.create(b, fmt.Sprintf("dev-%d", d))
				defer answering(b, l, fmt.Sprintf("dev-%d", d)).Close()
			}
			var calling sync.WaitGroup
			b.ResetTimer()
			for caller := range load.callers {
				calling.Go(func() {
					for range b.N/load.callers + 1 {
						if _, err := l.invoke(fmt.Sprintf("dev-%d", caller%load.devices), `{"delay":5,"reason":"update"}`); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			calling.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
