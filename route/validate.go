package route

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/query"
)

// name is what routes and custom endpoints may be called. It is what a stream of
// the event log may be called.
var name = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// reserved are names that no custom endpoint may have.
var reserved = []string{BuiltIn, "feedback", "fileNotifications", "operationsMonitoringEvents", "$default"}

var enrichmentKey = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// maxEnrichmentValue is the most bytes of the value of an enrichment.
const maxEnrichmentValue = 1024

// maxComplaints is how many faults of one configuration are told at a time.
const maxComplaints = 10

// complaints gathers what is wrong, each with the member that is to blame.
type complaints []string

func (c *complaints) add(field, format string, args ...any) {
	*c = append(*c, field+": "+fmt.Sprintf(format, args...))
}

func (c complaints) err() error {
	if len(c) == 0 {
		return nil
	}
	if more := len(c) - maxComplaints; more > 0 {
		c = append(c[:maxComplaints:maxComplaints], fmt.Sprintf("and %d more", more))
	}
	return fault.New(fault.ArgumentInvalid, "routing: %s", strings.Join(c, "; "))
}

// checkEndpoints checks the custom endpoints, and gives their names.
func (c *Config) checkEndpoints(bad *complaints) (names []string) {
	one := func(field, of string) {
		switch {
		case !name.MatchString(of):
			bad.add(field, "%.70q: a name has 1 to 64 of A-Z a-z 0-9 . _ -", of)
		case of == "." || of == "..":
			bad.add(field, "%q has another meaning where files are", of)
		case slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, of) }):
			bad.add(field, "%q is the name of an endpoint that every hub has", of)
		case slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, of) }):
			bad.add(field, "there are two endpoints called %q", of)
		}
		names = append(names, of)
	}
	e := &c.Endpoints
	for i := range e.Webhooks {
		field := fmt.Sprintf("endpoints.webhooks[%d]", i)
		one(field+".name", e.Webhooks[i].Name)
		e.Webhooks[i].check(field, bad)
	}
	directories := map[string]bool{}
	for i := range e.Files {
		f := &e.Files[i]
		field := fmt.Sprintf("endpoints.files[%d]", i)
		one(field+".name", f.Name)
		f.check(field, bad)
		where := strings.ToLower(f.directory())
		if directories[where] {
			bad.add(field+".directory", "%.100q is another endpoint's", where)
		}
		directories[where] = true
	}
	if len(names) > MaxEndpoints {
		bad.add("endpoints", "there are %d, and at most %d may be", len(names), MaxEndpoints)
	}
	for _, of := range []struct {
		kind string
		list []json.RawMessage
	}{
		{"eventHubs", e.EventHubs}, {"serviceBusQueues", e.Queues}, {"serviceBusTopics", e.Topics},
		{"storageContainers", e.Storage}, {"cosmosDBSqlContainers", e.Cosmos}, {"cosmosDBSqlCollections", e.CosmosByOldUse},
	} {
		if len(of.list) > 0 {
			bad.add("endpoints."+of.kind, "this hub has no endpoints of that kind; it has webhooks and files")
		}
	}
	return names
}

// checkNames tells of routes that have no name or that of another.
func (c *Config) checkNames(bad *complaints) {
	if len(c.Routes) > MaxRoutes {
		bad.add("routes", "there are %d, and at most %d may be", len(c.Routes), MaxRoutes)
	}
	seen := map[string]bool{}
	for i := range c.Routes {
		of := c.Routes[i].Name
		field := fmt.Sprintf("routes[%d].name", i)
		switch {
		case !name.MatchString(of):
			bad.add(field, "%.70q: a name has 1 to 64 of A-Z a-z 0-9 . _ -", of)
		case seen[strings.ToLower(of)]:
			bad.add(field, "there are two routes called %q", of)
		}
		seen[strings.ToLower(of)] = true
	}
}

// compile checks a route and compiles its condition, which is nil if it holds for
// all messages.
func (r *Route) compile(field string, endpoints []string, bad *complaints) (source message.Source, to int, c *query.Condition) {
	source, ok := message.ParseSource(r.Source)
	if !ok {
		bad.add(field+".source", "%.70q is none of %s", r.Source, sourceNames())
	}
	to = -1
	if len(r.Endpoints) != 1 {
		bad.add(field+".endpointNames", "there are %d names, and there must be one", len(r.Endpoints))
	} else if to = slices.Index(endpoints, r.Endpoints[0]); to < 0 {
		bad.add(field+".endpointNames", "there is no endpoint %.70q", r.Endpoints[0])
	}
	if strings.TrimSpace(r.Condition) == "" || r.Condition == "true" || !ok {
		return source, to, nil
	}
	c, err := query.ParseCondition(r.Condition, source)
	if err != nil {
		bad.add(field+".condition", "%v", err)
	}
	return source, to, c
}

func sourceNames() string {
	var list []string
	for s := message.Source(0); s.String() != ""; s++ {
		list = append(list, s.String())
	}
	return strings.Join(list, ", ")
}

// checkFallback checks what is fixed about the fallback route.
func (r *Route) checkFallback(bad *complaints) {
	const field = "fallbackRoute"
	if r.Source != message.DeviceMessages.String() {
		bad.add(field+".source", "%.70q: it must be %s", r.Source, message.DeviceMessages)
	}
	if r.Condition != "" && r.Condition != "true" {
		bad.add(field+".condition", "%.70q: the fallback route takes all that no route has matched, so it must be true", r.Condition)
	}
}

func (e *Enrichment) check(field string, endpoints []string, bad *complaints) {
	if !enrichmentKey.MatchString(e.Key) {
		bad.add(field+".key", "%.70q: a key has 1 to 128 of A-Z a-z 0-9 . _ -", e.Key)
	}
	if e.Value == "" || len(e.Value) > maxEnrichmentValue {
		bad.add(field+".value", "a value has 1 to %d bytes", maxEnrichmentValue)
	}
	if len(e.Endpoints) == 0 {
		bad.add(field+".endpointNames", "there must be one at least")
	}
	for _, n := range e.Endpoints {
		if !slices.Contains(endpoints, n) {
			bad.add(field+".endpointNames", "there is no endpoint %.70q", n)
		}
	}
}
