package hub_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/route"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

// setRouting puts a configuration in force.
func setRouting(t testing.TB, h *hub.Hub, text string) {
	t.Helper()
	if err := trySetRouting(h, text); err != nil {
		t.Fatal(err)
	}
}

func trySetRouting(h *hub.Hub, text string) error {
	c, err := route.Parse([]byte(text))
	if err == nil {
		_, _, err = h.SetRouting(context.Background(), owner, c, "")
	}
	return err
}

// told reads n events from the beginning of a stream.
func told(t testing.TB, h *hub.Hub, stream string, n int) (list []hub.Telemetry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := h.ReadEvents(owner, stream, hub.From{Start: true})
	if err != nil {
		t.Fatal(err)
	}
	for len(list) < n {
		more, _, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("%d events of %d: %v", len(list), n, err)
		}
		list = append(list, more...)
	}
	return list
}

func send(t testing.TB, h *hub.Hub, i device.Identity, m message.Message) {
	t.Helper()
	if err := h.SendEvents(context.Background(), principal(i), i.ID, []message.Message{m}); err != nil {
		t.Fatal(err)
	}
}

// allTold leads events of every kind to the built-in endpoint.
const allTold = `{"routes":[
	{"name":"twins","source":"TwinChangeEvents","endpointNames":["events"]},
	{"name":"life","source":"DeviceLifecycleEvents","endpointNames":["events"]},
	{"name":"states","source":"DeviceConnectionStateEvents","endpointNames":["events"]}]}`

var (
	times        = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z`)
	correlations = regexp.MustCompile(`"correlationId":"[0-9a-f]{12}"`)
)

// TestEventsOfTheHub compares events with the sheets byte by byte, apart from
// times and correlation ids (messaging-and-auth 6.1 and 6.2, twin sheet 11).
func TestEventsOfTheHub(t *testing.T) {
	h := open(t, nil, func(c *hub.Config) { c.Name = "myhub" })
	setRouting(t, h, allTold)
	i := register(t, h, "d1")
	patch(t, h, "d1", `{"tags":{"site":"A"},"properties":{"desired":{"cfg":{"x":1,"y":2}}}}`)
	patch(t, h, "d1", `{"tags":{"site":"B"},"properties":{"desired":{"cfg":{"y":null,"z":3}}}}`)
	c := connect(t, h, i, newRecorder(), true)
	if _, err := report(t, c, `{"temp":21.50}`); err != nil {
		t.Fatal(err)
	}
	c.Close()
	r, err := twin.ParseReplacement([]byte(`{"tags":{"t":1},"properties":{"desired":{"d":2}}}`), twin.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ReplaceTwin(t.Context(), owner, i.ID, r, ""); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteIdentity(t.Context(), owner, i.ID, hub.Any); err != nil {
		t.Fatal(err)
	}
	const meta = `"$lastUpdated":"{time}"`
	want := []struct{ source, op, schema, body string }{
		{"deviceLifecycleEvents", "createDeviceIdentity", "deviceLifecycleNotification",
			`{"deviceId":"d1","etag":"AAAAAAAAAAE=","version":2,"properties":{"desired":{"$metadata":{` + meta + `},"$version":1},"reported":{"$metadata":{` + meta + `},"$version":1}}}`},
		{"twinChangeEvents", "updateTwin", "twinChangeNotification",
			`{"version":3,"tags":{"site":"A"},"properties":{"desired":{"cfg":{"x":1,"y":2},"$metadata":{` + meta + `,"$lastUpdatedVersion":2,"cfg":{` + meta + `,"$lastUpdatedVersion":2,"x":{` + meta + `,"$lastUpdatedVersion":2},"y":{` + meta + `,"$lastUpdatedVersion":2}}},"$version":2}}}`},
		{"twinChangeEvents", "updateTwin", "twinChangeNotification",
			`{"version":4,"tags":{"site":"B"},"properties":{"desired":{"cfg":{"y":null,"z":3},"$metadata":{` + meta + `,"$lastUpdatedVersion":3,"cfg":{` + meta + `,"$lastUpdatedVersion":3,"z":{` + meta + `,"$lastUpdatedVersion":3}}},"$version":3}}}`},
		{"twinChangeEvents", "updateTwin", "twinChangeNotification",
			`{"version":5,"properties":{"reported":{"temp":21.50,"$metadata":{` + meta + `,"temp":{` + meta + `}},"$version":2}}}`},
		{"twinChangeEvents", "replaceTwin", "twinChangeNotification",
			`{"deviceId":"d1","etag":"AAAAAAAAAAQ=","version":6,"tags":{"t":1},"properties":{"desired":{"d":2,"$metadata":{` + meta + `,"$lastUpdatedVersion":4,"d":{` + meta + `,"$lastUpdatedVersion":4}},"$version":4},"reported":{"temp":21.50,"$metadata":{` + meta + `,"temp":{` + meta + `}},"$version":2}}}`},
		{"deviceLifecycleEvents", "deleteDeviceIdentity", "deviceLifecycleNotification",
			`{"deviceId":"d1","etag":"AAAAAAAAAAQ=","version":6,"tags":{"t":1},"properties":{"desired":{"d":2,"$metadata":{` + meta + `,"$lastUpdatedVersion":4,"d":{` + meta + `,"$lastUpdatedVersion":4}},"$version":4},"reported":{"temp":21.50,"$metadata":{` + meta + `,"temp":{` + meta + `}},"$version":2}}}`},
	}
	for n, got := range told(t, h, "events", len(want)) {
		w := want[n]
		text := string(got.Event.AppendJSON(nil))
		operation := got.Enqueued
		if p, _ := got.Property("operationTimestamp"); p.Value != device.FormatTime(operation) {
			t.Errorf("event %d is of %v and says it is of %q", n, operation, p.Value)
		}
		text = times.ReplaceAllString(text, "{time}")
		text = correlations.ReplaceAllString(text, `"correlationId":"{id}"`)
		full := fmt.Sprintf(`{"EnqueuedTimeUtc":"{time}","Properties":{"deviceId":"d1","hubName":"myhub","opType":"%s","iothub-message-schema":"%s","operationTimestamp":"{time}"},`+
			`"SystemProperties":{"correlationId":"{id}","userId":"myhub","contentType":"application/json","contentEncoding":"utf-8","connectionDeviceId":"d1","iothub-message-source":"%s","enqueuedTime":"{time}"},"Body":%s}`,
			w.op, w.schema, w.source, w.body)
		if text != full {
			t.Errorf("event %d:\ngot  %s\nwant %s", n, text, full)
		}
	}
}

// TestRoutesChooseStreams: each kind of condition, on commits of each kind.
func TestRoutesChooseStreams(t *testing.T) {
	h := open(t, nil)
	i := register(t, h, "d1")
	setRouting(t, h, `{"routes":[
		{"name":"props","source":"DeviceMessages","condition":"level = 'hot'","endpointNames":["events"]},
		{"name":"twin","source":"DeviceMessages","condition":"$twin.tags.site = 'Oslo'","endpointNames":["events"]},
		{"name":"change","source":"TwinChangeEvents","condition":"$body.tags.site = 'Oslo' AND $twin.tags.site = 'Oslo'","endpointNames":["events"]},
		{"name":"life","source":"DeviceLifecycleEvents","condition":"opType = 'deleteDeviceIdentity' AND $twin.tags.site = 'Oslo'","endpointNames":["events"]}]}`)
	send(t, h, i, message.Message{Body: []byte("nobody's")})
	hot := message.Message{Body: []byte("hot")}
	hot.Set("level", "hot")
	send(t, h, i, hot)
	patch(t, h, "d1", `{"tags":{"site":"Bergen"}}`)
	patch(t, h, "d1", `{"tags":{"site":"Oslo"}}`)
	send(t, h, i, message.Message{Body: []byte("of Oslo")})
	c := connect(t, h, i, newRecorder(), true)
	sent := make(chan error, 1)
	c.Send(message.Message{Body: []byte("of Oslo, over MQTT")}, func(err error) { sent <- err })
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := h.DeleteIdentity(t.Context(), owner, i.ID, hub.Any); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range told(t, h, "events", 5) {
		op, _ := e.Property("opType")
		if got = append(got, op.Value); op.Value == "" {
			got[len(got)-1] = string(e.Body)
		}
	}
	if want := "hot|updateTwin|of Oslo|of Oslo, over MQTT|deleteDeviceIdentity"; strings.Join(got, "|") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "|"), want)
	}
	if s := h.EgressStats(); s.Success != 3 || s.Orphaned != 1 || s.Fallback != 0 {
		t.Errorf("counted %+v", s)
	}
}

// TestRoutingIsKept: a configuration is there after a restart, and has an etag.
func TestRoutingIsKept(t *testing.T) {
	m := memory.New()
	defer m.Close()
	h := open(t, m)
	_, first, err := h.Routing(owner)
	if err != nil {
		t.Fatal(err)
	}
	c, err := route.Parse([]byte(allTold))
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := h.SetRouting(t.Context(), owner, c, hub.Condition(first))
	if err != nil || second == first {
		t.Fatalf("etag %q after %q: %v", second, first, err)
	}
	if _, _, err := h.SetRouting(t.Context(), owner, c, hub.Condition(first)); !fault.Is(err, fault.PreconditionFailed) {
		t.Errorf("an old etag: %v", err)
	}
	h.Close()
	h = open(t, m)
	c, third, err := h.Routing(owner)
	if err != nil || third != second || len(c.Routes) != 3 {
		t.Errorf("after a restart: %d routes, etag %q, %v", len(c.Routes), third, err)
	}
	register(t, h, "d1")
	told(t, h, "events", 1)
}

func TestRoutingAsksForRights(t *testing.T) {
	h := open(t, nil)
	caller := auth.Principal{Permissions: auth.DeviceConnect | auth.ServiceConnect}
	reader := auth.Principal{Permissions: auth.RegistryRead}
	if _, _, err := h.Routing(caller); err == nil {
		t.Error("read without the right")
	}
	if _, _, err := h.SetRouting(t.Context(), reader, route.Default(), ""); err == nil {
		t.Error("written without the right")
	}
	if _, err := h.TestRouting(caller, new(message.Event), device.ID{}); err == nil {
		t.Error("tested without the right")
	}
}

// TestRoutingChangesUnderLoad: a change of the configuration meets commits of all
// kinds; each of them goes where one of the two configurations leads.
func TestRoutingChangesUnderLoad(t *testing.T) {
	h := open(t, nil)
	i := register(t, h, "d1")
	const rounds = 50
	var work sync.WaitGroup
	work.Go(func() {
		for n := range rounds {
			send(t, h, i, message.Message{Body: fmt.Appendf(nil, "%d", n)})
		}
	})
	work.Go(func() {
		for n := range rounds {
			patch(t, h, "d1", fmt.Sprintf(`{"tags":{"n":%d}}`, n))
		}
	})
	for range rounds {
		setRouting(t, h, allTold)
		setRouting(t, h, `{"routes":[{"name":"r","source":"DeviceMessages","endpointNames":["events"]}]}`)
	}
	work.Wait()
	told(t, h, "events", rounds)
	if s := h.EgressStats(); s.Success+s.Fallback != rounds || s.Orphaned != 0 {
		t.Errorf("of %d messages: %+v", rounds, s)
	}
}
