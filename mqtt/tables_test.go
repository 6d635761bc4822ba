package mqtt

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// readTable reads testdata/file, one JSON object a line.
func readTable[Row any](t *testing.T, file string) []Row {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	for line := range bytes.Lines(text) {
		var row Row
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&row); err != nil {
			t.Fatalf("%s: %s: %v", file, line, err)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("%s is empty", file)
	}
	return rows
}

func TestUsernames(t *testing.T) {
	type row struct {
		Who, Client, Username string
		Host, Version, Model  string
		NoArrays, Refused     bool
	}
	for _, r := range readTable[row](t, "usernames.jsonl") {
		if _, err := parseIdentity(r.Client); err != nil {
			t.Errorf("%s: %v", r.Who, err)
		}
		got, err := parseUsername(r.Username, r.Client)
		if (err != nil) != r.Refused {
			t.Errorf("%s: error %v", r.Who, err)
			continue
		}
		if want := (parameters{r.Host, r.Version, r.Model}); got != want {
			t.Errorf("%s: got %q, want %q", r.Who, got, want)
		}
		if got := rulesOf(got.version).NoArrays; got != r.NoArrays {
			t.Errorf("%s: no arrays: %v", r.Who, got)
		}
	}
	long := "hub.example.com/d/?model-id=" + strings.Repeat("m", maxModelID)
	if _, err := parseUsername(long, "d"); err != nil {
		t.Error("the longest model id is refused:", err)
	}
	if _, err := parseUsername(long+"m", "d"); err == nil {
		t.Error("a model id beyond the bound is taken")
	}
}

func TestClientIDs(t *testing.T) {
	for _, bad := range []string{"", "/", "d/", "/m", "d/m/x", "a b", "d+", "d/#", strings.Repeat("d", 129)} {
		if id, err := parseIdentity(bad); err == nil {
			t.Errorf("%q is taken as %q", bad, id)
		}
	}
}

func TestFilters(t *testing.T) {
	type row struct {
		ID, Filter         string
		Granted            bool
		Responses, Desired reach
	}
	for _, r := range readTable[row](t, "filters.jsonl") {
		if err := packet.CheckFilter([]byte(r.Filter)); err != nil {
			t.Errorf("%q is no filter: %v", r.Filter, err)
		}
		id, err := parseIdentity(r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := mayReceive(id, r.Filter); got != r.Granted {
			t.Errorf("%s: %s: granted: %v", r.ID, r.Filter, got)
		}
		var s subscriptions
		s.set([]string{r.Filter}, make([]byte, 9))
		if s.responses != r.Responses || s.desired != r.Desired {
			t.Errorf("%s: reach of responses %d, of desired %d", r.Filter, s.responses, s.desired)
		}
	}
}

// TestReachAgreesWithMatching holds the two ways to decide against each other:
// what a filter covers it matches, and what it does not touch it does not match.
func TestReachAgreesWithMatching(t *testing.T) {
	topics := map[string][]string{
		twinResponses: {"$iothub/twin/res/200/?$rid=1", "$iothub/twin/res/429/?$rid=x&$version=3"},
		desiredTopics: {"$iothub/twin/PATCH/properties/desired/?$version=9"},
		methodTopics:  {"$iothub/methods/POST/reboot/?$rid=1"},
	}
	type row struct {
		ID, Filter         string
		Granted            bool
		Responses, Desired reach
	}
	for _, r := range readTable[row](t, "filters.jsonl") {
		for sent, examples := range topics {
			for _, topic := range examples {
				switch matches := packet.Matches(r.Filter, topic); {
				case matches && reachOf(r.Filter, sent) == nothing, !matches && reachOf(r.Filter, sent) == everything:
					t.Errorf("%q matches %q: %v, but its reach is %d", r.Filter, topic, matches, reachOf(r.Filter, sent))
				}
			}
		}
	}
}

func TestEventsTopics(t *testing.T) {
	for _, r := range []struct {
		id, topic string
		own       bool
	}{
		{"d1", "devices/d1/messages/events/", true},
		{"d1", "devices/d1/messages/events", true},
		{"d1", "devices/d1/messages/events/%24.mid=id%2F1&a/b=c/", true},
		{"d1", "devices/d1/messages/events?a=b", true},
		{"d1", "devices/d1/messages/eventsx", false},
		{"d1", "devices/d11/messages/events/", false},
		{"d1", "devices/d1/modules/m1/messages/events/", false},
		{"d1", "devices/d1/messages/devicebound/", false},
		{"d1/m1", "devices/d1/modules/m1/messages/events/%24.on=out%201", true},
		{"d1/m1", "devices/d1/messages/events/", false},
		{"d1/m1", "devices/d1/modules/m2/messages/events/", false},
	} {
		id, err := parseIdentity(r.id)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := eventsTopic(id, r.topic); got != r.own {
			t.Errorf("%s: %s: %v", r.id, r.topic, got)
		}
	}
}
