package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/c2d"
)

// TestFeedback: 64 outcomes make a message of feedback at once. It is locked,
// given back, and completed.
func TestFeedback(t *testing.T) {
	g := newRig(t, nil)
	g.request("iothubowner", "POST /devices", `[{"id":"d1"},{"id":"d2"}]`)
	for n, name := range map[int]string{50: "d1", 14: "d2"} {
		for i := range n {
			got := send(t, g.server.Listener.Addr().String(), fmt.Appendf(nil,
				"POST /devices/%s/messages/deviceBound?api-version=2021-04-12 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: %s\r\niothub-ack: negative\r\niothub-messageid: %s-%d\r\nContent-Length: 0\r\n\r\n",
				name, hostName, g.goodToken("service"), name, i))
			if got.status != "204" {
				t.Fatal(got.raw)
			}
		}
		g.request("service", "DELETE /devices/"+name+"/commands", "")
	}
	fetch := func() answer {
		for {
			if got := g.request("service", "GET /messages/serviceBound/feedback", ""); got.status != "204" {
				return got
			}
		}
	}
	first := fetch()
	var records []c2d.Feedback
	if err := json.Unmarshal([]byte(first.body), &records); err != nil || len(records) != 64 {
		t.Fatalf("%d records, %v: %s", len(records), err, first.raw)
	}
	if r := records[0]; r.StatusCode != c2d.Purged || r.Description != "Purged" || !strings.HasSuffix(r.OriginalMessageID, "-0") || r.DeviceGenerationID == "" {
		t.Errorf("%+v", r)
	}
	for name, want := range map[string]string{
		"ETag": `"{token}"`, "Content-Type": c2d.FeedbackType, "iothub-enqueuedtime": "{time}", "iothub-deliverycount": "0",
	} {
		if got := first.headers[name]; !matches(want, got) {
			t.Errorf("%s: %s", name, got)
		}
	}
	path := "/messages/serviceBound/feedback/" + strings.Trim(first.headers["ETag"], `"`)
	if got := g.request("service", "POST "+path+"/abandon", ""); got.status != "204" {
		t.Fatal(got.raw)
	}
	again := fetch()
	if again.headers["iothub-deliverycount"] != "1" {
		t.Error(again.raw)
	}
	path = "/messages/serviceBound/feedback/" + strings.Trim(again.headers["ETag"], `"`)
	for _, want := range []string{"204", "412"} {
		if got := g.request("service", "DELETE "+path, ""); got.status != want {
			t.Errorf("want %s: %s", want, got.raw)
		}
	}
	if got := g.request("service", "GET /messages/serviceBound/feedback", ""); got.status != "204" {
		t.Error(got.raw)
	}
}
