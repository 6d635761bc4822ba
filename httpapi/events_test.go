package httpapi_test

import (
	"bufio"
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/httpapi"
)

// listen opens a stream of events, and gives its lines but for empty ones.
func (g *rig) listen(t *testing.T, ctx context.Context, query string, header http.Header) (line func() string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.server.URL+"/$hubtwin/events?api-version=2021-04-12&"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Authorization", g.goodToken("service"))
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %v", res.Status, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	return func() string {
		for lines.Scan() {
			if lines.Text() != "" {
				return lines.Text()
			}
		}
		return "end"
	}
}

func (g *rig) tell(id, header, body string) {
	g.t.Helper()
	got := send(g.t, g.server.Listener.Addr().String(), []byte("POST /devices/"+id+"/messages/events HTTP/1.1\r\nHost: "+hostName+
		"\r\nConnection: close\r\nAuthorization: "+g.deviceToken(device.ID{Device: id})+"\r\n"+header+"Content-Length: "+"1\r\n\r\n"+body))
	if got.status != "204" {
		g.t.Fatal(got.raw)
	}
}

var changes = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z|"connectionDeviceGenerationId":"\d+"`)

func TestEvents(t *testing.T) {
	ending, end := context.WithCancel(context.Background())
	g := newRig(t, func(c *httpapi.Config) { c.Ending = ending })
	g.request("iothubowner", "POST /devices", `[{"id":"d1"},{"id":"d2"}]`)
	live := g.listen(t, t.Context(), "", nil)
	if got := live(); got != "id: 0.0.0.0" {
		t.Fatal(got)
	}
	g.tell("d1", "iothub-messageid: m\r\niothub-app-A: b\r\n", "1")
	if got, want := live(), regexp.MustCompile(`^id: (\d\.){3}\d$`); !want.MatchString(got) {
		t.Fatal(got)
	}
	const want = `data: {"partition":P,"sequenceNumber":0,"offset":"0","EnqueuedTimeUtc":"…","Properties":{"a":"b"},"SystemProperties":{"messageId":"m",` +
		`"connectionDeviceId":"d1","connectionAuthMethod":"{\"scope\":\"device\",\"type\":\"sas\",\"issuer\":\"iothub\",\"acceptingIpFilterRule\":null}",…,` +
		`"iothub-message-source":"Telemetry","enqueuedTime":"…"},"Body":"MQ=="}`
	got := regexp.MustCompile(`"partition":\d`).ReplaceAllString(changes.ReplaceAllString(live(), "…"), `"partition":P`)
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}

	// From the start, one device only; and from where somebody was.
	g.tell("d2", "", "2")
	g.tell("d1", "", "3")
	var ids []string
	one := g.listen(t, t.Context(), "from=start&device=d1", nil)
	one()
	for _, body := range []string{`"Body":"MQ=="`, `"Body":"Mw=="`} {
		ids = append(ids, strings.TrimPrefix(one(), "id: "))
		if got := one(); !strings.Contains(got, body) || !strings.Contains(got, `"connectionDeviceId":"d1"`) {
			t.Errorf("%s, want %s", got, body)
		}
	}
	again := g.listen(t, t.Context(), "from=start&device=d1", http.Header{"Last-Event-Id": {ids[0]}})
	if got := again(); got != "id: "+ids[0] {
		t.Errorf("it goes on at %s", got)
	}
	again()
	if got := again(); !strings.Contains(got, `"Body":"Mw=="`) {
		t.Errorf("it goes on with %s", got)
	}
	// Since a time that is to come there is nothing yet.
	later := g.listen(t, t.Context(), "from=2100-01-01T00:00:00Z", nil)
	if got := later(); !strings.HasPrefix(got, "id: ") {
		t.Error(got)
	}

	// When the hub ends, its streams do.
	end()
	for _, stream := range []func() string{one, again, later} {
		if got := stream(); got != "end" {
			t.Errorf("at the end of the hub: %s", got)
		}
	}
}
