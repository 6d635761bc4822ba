package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// Fault is a failure that a hub is to bring about, to test those who must cope
// with it. Only hubtwin can, and only if it was started for it; other hubs answer
// with an [*Error].
type Fault struct {
	ID string `json:"id,omitempty"` // given by the hub
	// Effect is "fail", with Code; "delay", by Delay; or "drop": no answer at all.
	Effect string `json:"effect"`
	// Operation is what it happens to: connect, twin, report, telemetry or packet
	// over MQTT, "" for all of these, or https.
	Operation string     `json:"operation,omitempty"`
	Device    string     `json:"device,omitempty"` // "" for all
	Path      string     `json:"path,omitempty"`   // of https: how it begins
	Code      fault.Code `json:"code,omitempty"`
	Delay     string     `json:"delay,omitempty"`    // as in 1m30s
	Rate      float64    `json:"rate,omitempty"`     // requests in a second that pass
	Count     int        `json:"count,omitempty"`    // how many requests it happens to yet
	Duration  string     `json:"duration,omitempty"` // how long it is in force; 1h at most
	// Until and Hits, when it ends and how often it has happened, are the hub's to
	// say.
	Until time.Time `json:"until,omitzero"`
	Hits  int       `json:"hits,omitempty"`
}

// InjectFault puts a fault in force, and returns it with what the hub added. It
// must have a Count or a Duration.
func (c *Client) InjectFault(ctx context.Context, f Fault) (Fault, error) {
	body, err := json.Marshal(f)
	if err != nil {
		return Fault{}, err
	}
	var added Fault
	_, err = c.do(ctx, request{method: http.MethodPost, path: []string{"$hubtwin", "faults"}, body: body}, &added)
	return added, err
}

// Faults lists the faults in force.
func (c *Client) Faults(ctx context.Context) ([]Fault, error) {
	var list []Fault
	_, err := c.do(ctx, get("$hubtwin", "faults"), &list)
	return list, err
}

// ClearFaults ends the fault of that id, or all for "", and tells how many.
func (c *Client) ClearFaults(ctx context.Context, id string) (int, error) {
	path := []string{"$hubtwin", "faults"}
	if id != "" {
		path = append(path, id)
	}
	var answer struct{ Cleared int }
	_, err := c.do(ctx, request{method: http.MethodDelete, path: path}, &answer)
	return answer.Cleared, err
}

// Disconnect ends the connection of a device, as the network might, and tells
// whether there was one.
func (c *Client) Disconnect(ctx context.Context, id string) (bool, error) {
	var answer struct{ WasConnected bool }
	_, err := c.do(ctx, request{method: http.MethodPost, path: []string{"$hubtwin", "faults", "disconnect", id}}, &answer)
	return answer.WasConnected, err
}
