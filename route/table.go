package route

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/query"
)

// Table is a compiled configuration. It does not change; many goroutines may use
// it at once. Streams have the names of their endpoints.
type Table struct {
	endpoints []string // the built-in one first
	sources   [message.DigitalTwinChangeEvents + 1]plan
	fallback  int // endpoint of telemetry that matches nothing; -1 for none
	enrich    [][]enrichment
}

// plan is what becomes of the events of one source.
type plan struct {
	routes []compiled
	twin   bool // a condition or an enrichment looks at the twin
}

type compiled struct {
	index     int // in Config.Routes
	condition *query.Condition
	endpoint  int
}

// enrichment is one property for one endpoint.
type enrichment struct {
	key, value string
	path       []string // in the twin; nil for a value that is as it is
}

// Compile checks c and compiles it for a hub of that name. The fault is
// ArgumentInvalid and names each member that is wrong.
func Compile(c Config, hubName string) (*Table, error) {
	var bad complaints
	t := &Table{fallback: -1}
	t.endpoints = append([]string{BuiltIn}, c.checkEndpoints(&bad)...)
	c.checkNames(&bad)
	for i := range c.Routes {
		r := &c.Routes[i]
		source, to, condition := r.compile(fmt.Sprintf("routes[%d]", i), t.endpoints, &bad)
		if r.enabled() && to >= 0 {
			p := &t.sources[source]
			p.routes = append(p.routes, compiled{i, condition, to})
			p.twin = p.twin || condition != nil && condition.UsesTwin()
		}
	}
	t.compileFallback(c.Fallback, &bad)
	t.compileEnrichments(c.Enrichments, hubName, &bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// compileFallback says what becomes of telemetry that no route matches. If there
// is nothing at all, neither a route for telemetry nor a fallback route, it goes to
// the built-in endpoint (messaging-and-auth sheet, 4.3).
func (t *Table) compileFallback(r *Route, bad *complaints) {
	if r == nil {
		if len(t.sources[message.DeviceMessages].routes) == 0 {
			t.fallback = 0
		}
		return
	}
	r.checkFallback(bad)
	fallback := *r
	fallback.Source, fallback.Condition = message.DeviceMessages.String(), ""
	if _, to, _ := fallback.compile("fallbackRoute", t.endpoints, bad); r.enabled() {
		t.fallback = to
	}
}

func (t *Table) compileEnrichments(list []Enrichment, hubName string, bad *complaints) {
	if len(list) > MaxEnrichments {
		bad.add("enrichments", "there are %d, and at most %d may be", len(list), MaxEnrichments)
	}
	t.enrich = make([][]enrichment, len(t.endpoints))
	for i := range list {
		e := &list[i]
		e.check(fmt.Sprintf("enrichments[%d]", i), t.endpoints, bad)
		made := enrichment{key: e.Key, value: e.Value}
		switch rest, twin := cutPrefixFold(e.Value, "$twin."); {
		case strings.EqualFold(e.Value, "$iothubname"):
			made.value = hubName
		case twin:
			made.path = strings.Split(rest, ".")
		}
		for _, n := range e.Endpoints {
			if at := slices.Index(t.endpoints, n); at >= 0 {
				t.enrich[at] = append(t.enrich[at], made)
				if made.path != nil {
					t.enrichesFromTwin(at)
				}
			}
		}
	}
}

// enrichesFromTwin notes that events to an endpoint need their twin.
func (t *Table) enrichesFromTwin(endpoint int) {
	for s := range t.sources {
		p := &t.sources[s]
		if slices.ContainsFunc(p.routes, func(c compiled) bool { return c.endpoint == endpoint }) {
			p.twin = true
		}
	}
	if t.fallback == endpoint {
		t.sources[message.DeviceMessages].twin = true
	}
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// Wants tells whether events of a source may go anywhere. If not, nobody need
// make them.
func (t *Table) Wants(s message.Source) bool {
	return len(t.sources[s].routes) > 0 || s == message.DeviceMessages && t.fallback >= 0
}

// Plain tells whether all telemetry goes to the built-in endpoint, as it is.
func (t *Table) Plain() bool {
	return t.fallback == 0 && len(t.sources[message.DeviceMessages].routes) == 0 && len(t.enrich[0]) == 0
}

// UsesTwin tells whether Route wants to know the twin for events of a source.
func (t *Table) UsesTwin(s message.Source) bool { return t.sources[s].twin }

// Outcome is what became of an event.
type Outcome struct {
	Routed   int  // endpoints that get it because of a route
	Fallback bool // the fallback route's endpoint gets it, and no other
	Invalid  int  // endpoints that do not get it: with its enrichments it is too large
}

// Orphaned tells that nobody wanted the event.
func (o Outcome) Orphaned() bool { return o.Routed == 0 && !o.Fallback && o.Invalid == 0 }

// Route gives the event of s to each endpoint that is to get it, once. What to is
// given is the event itself, or a copy with what the endpoint's enrichments add.
func (t *Table) Route(s *query.Subject, to func(stream string, e *message.Event)) (o Outcome) {
	var given uint16 // a bit for each endpoint
	for _, r := range t.sources[s.Event.Source].routes {
		if given&(1<<r.endpoint) == 0 && r.matches(s) {
			given |= 1 << r.endpoint
		}
	}
	if given == 0 && s.Event.Source == message.DeviceMessages && t.fallback >= 0 {
		given, o.Fallback = 1<<t.fallback, true
	}
	for i := range t.endpoints {
		if given&(1<<i) == 0 {
			continue
		}
		e := t.enriched(s, i)
		switch {
		case e != s.Event && e.Size() > message.MaxD2C:
			o.Invalid++
			o.Fallback = false
			continue
		case !o.Fallback:
			o.Routed++
		}
		to(t.endpoints[i], e)
	}
	return o
}

// Matching gives the places, in Config.Routes, of the routes that match. They are
// none if the fallback route would take the event.
func (t *Table) Matching(s *query.Subject) (list []int, fallback bool) {
	for _, r := range t.sources[s.Event.Source].routes {
		if r.matches(s) {
			list = append(list, r.index)
		}
	}
	return list, list == nil && s.Event.Source == message.DeviceMessages && t.fallback >= 0
}

func (r *compiled) matches(s *query.Subject) bool {
	return r.condition == nil || r.condition.Holds(s)
}

// enriched is the event for an endpoint. It is the event itself if nothing is
// added. Digital twin change events are left as they are.
func (t *Table) enriched(s *query.Subject, endpoint int) *message.Event {
	list := t.enrich[endpoint]
	if len(list) == 0 || s.Event.Source == message.DigitalTwinChangeEvents {
		return s.Event
	}
	e := *s.Event
	e.Properties = append(make([]message.Property, 0, len(e.Properties)+len(list)), e.Properties...)
	for i := range list {
		e.Set(list[i].key, list[i].of(s))
	}
	return &e
}

// of is the value for one event. A path that leads nowhere is the value itself. A
// text of the twin loses its quotes; objects and arrays are JSON.
func (e *enrichment) of(s *query.Subject) string {
	if e.path == nil || s.Twin == nil {
		return e.value
	}
	value, ok := s.Twin.Lookup(e.path)
	if !ok {
		return e.value
	}
	var text string
	if json.Unmarshal([]byte(value), &text) == nil && value != "null" {
		return text
	}
	return value
}
