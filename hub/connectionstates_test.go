package hub_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/store/memory"
)

// statesTold leads connection events to the built-in endpoint.
const statesTold = `{"routes":[{"name":"states","source":"DeviceConnectionStateEvents","endpointNames":["events"]}]}`

// use sends a message on a connection.
func use(t testing.TB, c *hub.Connection) {
	t.Helper()
	sent := make(chan error, 1)
	c.Send(message.Message{Body: []byte("x")}, func(err error) { sent <- err })
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// statesOf lists the connection events of now, as "+d1" and "-d1"; each has a
// larger number than the one before, from after on.
func statesOf(t testing.TB, h *hub.Hub, after *string) (list []string) {
	t.Helper()
	at := hub.From{Start: true}
	r, err := h.ReadEvents(owner, "events", at)
	if err != nil {
		t.Fatal(err)
	}
	end, err := h.ReadEvents(owner, "events", hub.From{})
	if err != nil {
		t.Fatal(err)
	}
	for r.Position() != end.Position() {
		events, _, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Source != message.DeviceConnectionStateEvents {
				continue
			}
			number, ok := strings.CutPrefix(string(e.Body), `{"sequenceNumber":"`)
			number, more := strings.CutSuffix(number, `"}`)
			if !ok || !more || !regexp.MustCompile(`^[0-9A-F]{64}$`).MatchString(number) {
				t.Errorf("body %s", e.Body)
			}
			if number <= *after {
				continue // told before
			}
			*after = number
			op, _ := e.Property("opType")
			sign := map[string]string{"deviceConnected": "+", "deviceDisconnected": "-"}[op.Value]
			list = append(list, sign+device.ID{Device: e.DeviceID, Module: e.ModuleID}.String())
		}
	}
	return list
}

// TestConnectionStatesAreToldLater: what the store does not take is told with the
// next sample, unless it is not true any more.
func TestConnectionStatesAreToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := openSlow(t)
		setRouting(t, h, statesTold)
		number := ""
		c1, c2 := connect(t, h, register(t, h, "d1"), newRecorder(), true), connect(t, h, register(t, h, "d2"), newRecorder(), true)
		use(t, c1)
		use(t, c2)
		s.hang()
		time.Sleep(time.Minute)
		synctest.Wait()
		s.resume(errors.New("no space left on device"))
		synctest.Wait()
		if got := statesOf(t, h, &number); got != nil {
			t.Errorf("told %q, and nothing was stored", got)
		}
		c2.Close()
		use(t, connect(t, h, register(t, h, "d3"), newRecorder(), true))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := statesOf(t, h, &number), []string{"+d1", "+d3"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// TestConnectionStates: when identities are there and when they are not, and that
// only the difference of a minute is told.
func TestConnectionStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		setRouting(t, h, statesTold)
		d1, d2, d3 := register(t, h, "d1"), register(t, h, "d2"), register(t, h, "d3")
		number := ""
		minute := func(what string, want ...string) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := statesOf(t, h, &number); !slices.Equal(got, want) {
				t.Errorf("%s: told %q, want %q", what, got, want)
			}
		}
		c1 := connect(t, h, d1, newRecorder(), true)
		if _, err := report(t, c1, `{"a":1}`); err != nil {
			t.Fatal(err)
		}
		minute("a connection that is used for the twin only")
		use(t, c1)
		minute("the first message", "+d1")
		use(t, c1)
		minute("further messages")

		c2 := connect(t, h, d2, newRecorder(), true)
		if _, _, err := c2.Receive(false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		c3 := connect(t, h, d3, newRecorder(), true)
		c3.Use()
		minute("who receives messages or methods", "+d2", "+d3")

		c1.Close()
		c1 = connect(t, h, d1, newRecorder(), true)
		use(t, c1)
		minute("a device that comes back at once")
		again := connect(t, h, d1, newRecorder(), true)
		use(t, again)
		c1.Close()
		minute("a connection that takes over")
		c1 = connect(t, h, d1, newRecorder(), true)
		again.Close()
		minute("one that takes over and is not used", "-d1")
		use(t, c1)
		minute("and is used then", "+d1")
		c1.Close()
		use(t, connect(t, h, d1, newRecorder(), true))
		c2.Close()
		c2 = connect(t, h, d2, newRecorder(), true)
		use(t, c2)
		c2.Close()
		time.Sleep(time.Second)
		c3.Close()
		minute("who has gone", "-d2", "-d3")
		minute("nothing")

		c2 = connect(t, h, d2, newRecorder(), true)
		use(t, c2)
		c2.Close()
		minute("who was there for a moment")
	})
}

// TestConnectionStateMessage compares an event with the sheet (messaging-and-auth
// 6.1), and its enrichment and condition see the twin.
func TestConnectionStateMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil, func(c *hub.Config) { c.Name = "myhub" })
		setRouting(t, h, `{"routes":[{"name":"states","source":"DeviceConnectionStateEvents","condition":"opType = 'deviceConnected' AND $twin.tags.site = 'Oslo'","endpointNames":["events"]}],
			"enrichments":[{"key":"site","value":"$twin.tags.site","endpointNames":["events"]}]}`)
		d1, d2 := register(t, h, "d1"), register(t, h, "d2")
		patch(t, h, "d1", `{"tags":{"site":"Oslo"}}`)
		use(t, connect(t, h, d1, newRecorder(), true))
		use(t, connect(t, h, d2, newRecorder(), true))
		time.Sleep(time.Minute)
		synctest.Wait()
		text := string(told(t, h, "events", 3)[2].Event.AppendJSON(nil))
		text = times.ReplaceAllString(text, "{time}")
		text = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).ReplaceAllString(text, "{uuid}")
		text = regexp.MustCompile(`0{15}10[1-9A-F][0-9A-F]{14}0{31}1`).ReplaceAllString(text, "{number}")
		const want = `{"EnqueuedTimeUtc":"{time}","Properties":{"deviceId":"d1","hubName":"myhub","opType":"deviceConnected","iothub-message-schema":"deviceConnectionStateNotification","operationTimestamp":"{time}","site":"Oslo"},` +
			`"SystemProperties":{"correlationId":"{uuid}","userId":"myhub","contentType":"application/json","contentEncoding":"utf-8","connectionDeviceId":"d1","iothub-message-source":"deviceConnectionStateEvents","enqueuedTime":"{time}"},"Body":{"sequenceNumber":"{number}"}}`
		if text != want {
			t.Errorf("got  %s\nwant %s", text, want)
		}
	})
}

// TestConnectionStatesAcrossRuns: at its end the hub tells who has gone with it,
// and numbers go on growing.
func TestConnectionStatesAcrossRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		defer m.Close()
		h := open(t, m)
		setRouting(t, h, statesTold)
		i := register(t, h, "d1")
		c := connect(t, h, i, newRecorder(), true)
		use(t, c)
		time.Sleep(time.Minute)
		synctest.Wait()
		c.Close()
		h.Close()
		h = open(t, m)
		defer h.Close()
		c = connect(t, h, i, newRecorder(), true)
		use(t, c)
		time.Sleep(time.Minute)
		synctest.Wait()
		number := ""
		if got := statesOf(t, h, &number); !slices.Equal(got, []string{"+d1", "-d1", "+d1"}) {
			t.Errorf("told %q", got)
		}
	})
}

// TestConnectionStatesUnwanted: without a route nothing is remembered, and a route
// that comes later hears of what happens after it.
func TestConnectionStatesUnwanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		d1, d2 := register(t, h, "d1"), register(t, h, "d2")
		c1, c2 := connect(t, h, d1, newRecorder(), true), connect(t, h, d2, newRecorder(), true)
		use(t, c1)
		use(t, c2)
		setRouting(t, h, statesTold)
		c1.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		number := ""
		if got := statesOf(t, h, &number); !slices.Equal(got, []string{"-d1"}) {
			t.Errorf("told %q", got)
		}
		setRouting(t, h, `{}`)
		c2.Close()
		time.Sleep(time.Minute)
		setRouting(t, h, statesTold)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := statesOf(t, h, &number); got != nil {
			t.Errorf("told %q", got)
		}
	})
}
