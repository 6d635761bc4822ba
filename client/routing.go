package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Routing is the configuration of routing of a hub: a JSON object in the form of
// the service's properties.routing, with webhooks and files as endpoints.
type Routing struct {
	Document json.RawMessage
	Etag     string
}

// Routing reads the configuration of routing. Secrets of endpoints are ****.
func (c *Client) Routing(ctx context.Context) (Routing, error) {
	return c.routing(ctx, get("$hubtwin", "routing"))
}

// SetRouting puts a configuration of routing in the place of the one there is. A
// secret that is **** stays as it is. If etag is not "", the configuration must
// have it still.
func (c *Client) SetRouting(ctx context.Context, document json.RawMessage, etag string) (Routing, error) {
	r := request{method: http.MethodPut, path: []string{"$hubtwin", "routing"}, header: ifMatch(etag), body: document}
	return c.routing(ctx, r)
}

func (c *Client) routing(ctx context.Context, r request) (Routing, error) {
	var of Routing
	header, err := c.do(ctx, r, &of.Document)
	if err != nil {
		return Routing{}, err
	}
	of.Etag = strings.Trim(header.Get("ETag"), `"`)
	return of, nil
}

// EndpointHealth is how it goes with a custom endpoint. Counts are since the hub
// was started; times that never were are zero.
type EndpointHealth struct {
	Name          string    `json:"endpointId"`
	Kind          string    `json:"kind"`         // "webhook" or "file"
	Health        string    `json:"healthStatus"` // "unknown", "healthy", "unhealthy" or "dead"
	LastError     string    `json:"lastKnownError"`
	LastErrorTime time.Time `json:"lastKnownErrorTime"`
	LastSuccess   time.Time `json:"lastSuccessfulSendAttemptTime"`
	LastAttempt   time.Time `json:"lastSendAttemptTime"`
	Backlog       int64     `json:"backlog"`            // events that wait
	Oldest        time.Time `json:"oldestEnqueuedTime"` // of those that are being offered
	Delivered     int64     `json:"delivered"`
	DeadLettered  int64     `json:"deadLettered"`
	Dropped       int64     `json:"dropped"`

	Document json.RawMessage `json:"-"` // the same as the hub sent it
}

// EndpointHealth tells how it goes with the custom endpoints.
func (c *Client) EndpointHealth(ctx context.Context) ([]EndpointHealth, error) {
	var answer struct{ Value []json.RawMessage }
	if _, err := c.do(ctx, get("$hubtwin", "routing", "endpoints"), &answer); err != nil {
		return nil, err
	}
	list := make([]EndpointHealth, len(answer.Value))
	for i, document := range answer.Value {
		if err := json.Unmarshal(document, &list[i]); err != nil {
			return nil, err
		}
		list[i].Document = document
	}
	return list, nil
}

// RouteQuestion asks where a message would go.
type RouteQuestion struct {
	Source           string // of events; "" is DeviceMessages
	DeviceID         string // whose twin conditions see, "" for none
	ModuleID         string
	Body             string
	Properties       map[string]string // of the application
	SystemProperties map[string]string // such as contentType
}

// RouteAnswer is where it would go.
type RouteAnswer struct {
	Routes    []string        // names of the routes that match
	Fallback  bool            // the fallback route would take it
	Endpoints []string        // that would get it, each once
	Document  json.RawMessage // the answer as the hub sent it
}

// TestRouting asks where a message would go. Nothing is sent.
func (c *Client) TestRouting(ctx context.Context, q RouteQuestion) (RouteAnswer, error) {
	body, err := json.Marshal(map[string]any{
		"routingSource": q.Source, "deviceId": q.DeviceID, "moduleId": q.ModuleID,
		"message": map[string]any{"body": q.Body, "appProperties": q.Properties, "systemProperties": q.SystemProperties},
	})
	if err != nil {
		return RouteAnswer{}, err
	}
	var a RouteAnswer
	r := request{method: http.MethodPost, path: []string{"$hubtwin", "routing", "test"}, body: body}
	if _, err := c.do(ctx, r, &a.Document); err != nil {
		return RouteAnswer{}, err
	}
	var found struct {
		Routes []struct {
			Properties struct {
				Name string `json:"name"`
			} `json:"properties"`
		} `json:"routes"`
		Fallback  bool     `json:"fallback"`
		Endpoints []string `json:"endpointNames"`
	}
	if err := json.Unmarshal(a.Document, &found); err != nil {
		return RouteAnswer{}, err
	}
	for _, r := range found.Routes {
		a.Routes = append(a.Routes, r.Properties.Name)
	}
	a.Fallback, a.Endpoints = found.Fallback, found.Endpoints
	return a, nil
}
