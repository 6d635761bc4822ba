package httpapi

import (
	"maps"
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/route"
)

// getRouting serves GET /$hubtwin/routing.
func (a *api) getRouting(c *call) (*answer, error) {
	config, etag, err := a.Hub.Routing(c.who)
	if err != nil {
		return nil, err
	}
	return routingAnswer(config, etag), nil
}

// putRouting serves PUT /$hubtwin/routing. If-Match is heeded, and not asked for.
func (a *api) putRouting(c *call) (*answer, error) {
	body, err := c.body(MaxRoutingBody)
	if err != nil {
		return nil, err
	}
	config, err := route.Parse(body)
	if err != nil {
		return nil, err
	}
	config, etag, err := a.Hub.SetRouting(c.Context(), c.who, config, c.condition())
	if err != nil {
		return nil, err
	}
	return routingAnswer(config, etag), nil
}

func routingAnswer(c route.Config, etag string) *answer {
	a := ok(c.AppendJSON(nil))
	a.etag = etag
	return a
}

// endpointHealth is how it goes with an endpoint: what the cloud tells, with counts
// of ours. Times that never were are left out.
type endpointHealth struct {
	ID            string `json:"endpointId"`
	Kind          string `json:"kind"`
	Health        string `json:"healthStatus"`
	LastError     string `json:"lastKnownError,omitempty"`
	LastErrorTime string `json:"lastKnownErrorTime,omitempty"`
	LastSuccess   string `json:"lastSuccessfulSendAttemptTime,omitempty"`
	LastAttempt   string `json:"lastSendAttemptTime,omitempty"`
	Backlog       int64  `json:"backlog"`
	Oldest        string `json:"oldestEnqueuedTime,omitempty"`
	Delivered     int64  `json:"delivered"`
	DeadLettered  int64  `json:"deadLettered"`
	Dropped       int64  `json:"dropped"`
}

// listEndpoints serves GET /$hubtwin/routing/endpoints, in the form of the cloud's
// routingEndpointsHealth.
func (a *api) listEndpoints(c *call) (*answer, error) {
	found, err := a.Hub.EndpointStatus(c.who)
	if err != nil {
		return nil, err
	}
	list := make([]endpointHealth, len(found))
	for i, s := range found {
		list[i] = endpointHealth{
			s.Name, s.Kind, string(s.Health), s.LastError, timeOrNone(s.LastErrorTime), timeOrNone(s.LastSuccess), timeOrNone(s.LastAttempt),
			s.Backlog, timeOrNone(s.Oldest), s.Delivered, s.DeadLettered, s.Dropped,
		}
	}
	return marshal(struct {
		Value []endpointHealth `json:"value"`
	}{list})
}

func timeOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return device.FormatTime(t)
}

// routeTest is the body of testRouting: that of the cloud's testallroutes, with a
// device in place of a twin.
type routeTest struct {
	Source  string `json:"routingSource"`
	Message struct {
		Body       string            `json:"body"`
		Properties map[string]string `json:"appProperties"`
		System     map[string]string `json:"systemProperties"`
	} `json:"message"`
	DeviceID string `json:"deviceId"`
	ModuleID string `json:"moduleId"`
}

// testRouting serves POST /$hubtwin/routing/test.
func (a *api) testRouting(c *call) (*answer, error) {
	body, err := c.body(MaxEventBody)
	if err != nil {
		return nil, err
	}
	var t routeTest
	if err := decode(body, &t); err != nil {
		return nil, err
	}
	e, err := t.event()
	if err != nil {
		return nil, err
	}
	id := device.ID{Device: t.DeviceID, Module: t.ModuleID}
	if err := validate(id); err != nil {
		return nil, err
	}
	found, err := a.Hub.TestRouting(c.who, e, id)
	if err != nil {
		return nil, err
	}
	type matched struct {
		Properties route.Route `json:"properties"`
	}
	list := make([]matched, len(found.Routes))
	for i, r := range found.Routes {
		list[i].Properties = r
	}
	return marshal(struct {
		Routes    []matched `json:"routes"`
		Fallback  bool      `json:"fallback"`
		Endpoints []string  `json:"endpointNames"`
	}{list, found.Fallback, found.Endpoints})
}

// event makes the event that is tested.
func (t *routeTest) event() (*message.Event, error) {
	e := &message.Event{Source: message.DeviceMessages, Message: message.Message{Body: []byte(t.Message.Body)}}
	if t.Source != "" {
		source, ok := message.ParseSource(t.Source)
		if !ok {
			return nil, fault.New(fault.ArgumentInvalid, "routingSource: %.70q is none, such as %s", t.Source, message.DeviceMessages)
		}
		e.Source = source
	}
	for _, name := range slices.Sorted(maps.Keys(t.Message.Properties)) {
		e.Set(name, t.Message.Properties[name])
	}
	for name, value := range t.Message.System {
		k, ok := message.ParseKey(name)
		if !ok {
			return nil, fault.New(fault.ArgumentInvalid, "message.systemProperties: %.70q is none that can be given, such as contentType", name)
		}
		e.System[k] = value
	}
	return e, e.Check(message.MaxD2C)
}
