package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
)

// Limits of a configuration (messaging-and-auth sheet, 4.2).
const (
	MaxEndpoints   = 10
	MaxRoutes      = 100
	MaxEnrichments = 10
)

// BuiltIn is the name of the endpoint that every hub has.
const BuiltIn = "events"

// Config is the configuration of routing, in the JSON form of the service's
// properties.routing.
type Config struct {
	Endpoints Endpoints `json:"endpoints"`
	Routes    []Route   `json:"routes"`
	// Fallback takes telemetry that no route has matched. Nil if there is none.
	Fallback    *Route       `json:"fallbackRoute,omitempty"`
	Enrichments []Enrichment `json:"enrichments"`
}

// Endpoints are the custom endpoints, by kind: those of this hub, and those that
// only the cloud has, of which there must be none.
type Endpoints struct {
	Webhooks []Webhook `json:"webhooks"`
	Files    []File    `json:"files"`

	EventHubs      []json.RawMessage `json:"eventHubs,omitempty"`
	Queues         []json.RawMessage `json:"serviceBusQueues,omitempty"`
	Topics         []json.RawMessage `json:"serviceBusTopics,omitempty"`
	Storage        []json.RawMessage `json:"storageContainers,omitempty"`
	Cosmos         []json.RawMessage `json:"cosmosDBSqlContainers,omitempty"`
	CosmosByOldUse []json.RawMessage `json:"cosmosDBSqlCollections,omitempty"`
}

// Route says which events of a source go to an endpoint.
type Route struct {
	Name      string   `json:"name"`
	Source    string   `json:"source"`
	Condition string   `json:"condition,omitempty"` // "" and "true" hold for all
	Endpoints []string `json:"endpointNames"`       // one
	Enabled   *bool    `json:"isEnabled,omitempty"` // nil is true
}

func (r *Route) enabled() bool { return r.Enabled == nil || *r.Enabled }

// Enrichment is a property that events get on the way to some endpoints.
type Enrichment struct {
	Key       string   `json:"key"`
	Value     string   `json:"value"`
	Endpoints []string `json:"endpointNames"`
}

// Default is the configuration of a hub that nobody has told of routes: the
// fallback route leads all telemetry to the built-in endpoint.
func Default() Config {
	return Config{Fallback: &Route{
		Name: "$fallback", Source: message.DeviceMessages.String(), Condition: "true", Endpoints: []string{BuiltIn}, Enabled: new(true),
	}}.normal()
}

// Parse reads a configuration. That it can be compiled is not yet said. The
// fault is ArgumentInvalid and names the member that is wrong.
func Parse(text []byte) (Config, error) {
	var c Config
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&c)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return c.normal(), nil
		}
		err = errors.New("something follows the object")
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return Config{}, fault.New(fault.ArgumentInvalid, "routing: %s: a JSON %s can't be here", kind.Field, kind.Value)
	}
	return Config{}, fault.New(fault.ArgumentInvalid, "routing: %w", err)
}

// normal has lists where there might be nil, so that they are written as [].
func (c Config) normal() Config {
	c.Endpoints.Webhooks = orEmpty(c.Endpoints.Webhooks)
	c.Endpoints.Files = orEmpty(c.Endpoints.Files)
	c.Routes = orEmpty(c.Routes)
	c.Enrichments = orEmpty(c.Enrichments)
	return c
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// AppendJSON appends the configuration, secrets included.
func (c Config) AppendJSON(b []byte) []byte {
	text := bytes.NewBuffer(b)
	e := json.NewEncoder(text)
	e.SetEscapeHTML(false) // conditions have < and >
	if err := e.Encode(c); err != nil {
		panic(err) // it holds nothing that fails to encode
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// hidden stands for a secret that is not shown, as the service has it.
const hidden = "****"

// WithoutSecrets is c for readers: secrets of endpoints are shown as ****.
func (c Config) WithoutSecrets() Config {
	list := make([]Webhook, len(c.Endpoints.Webhooks))
	for i, w := range c.Endpoints.Webhooks {
		list[i] = w.mapSecrets(func(_, value string) string {
			if value == "" {
				return ""
			}
			return hidden
		})
	}
	c.Endpoints.Webhooks = list
	return c
}

// WithSecretsOf is c with the secrets of old where c has **** for them: so what
// was read can be changed and written again. A secret belongs to the address that
// it was given for.
func (c Config) WithSecretsOf(old Config) Config {
	list := make([]Webhook, len(c.Endpoints.Webhooks))
	for i, w := range c.Endpoints.Webhooks {
		for _, before := range old.Endpoints.Webhooks {
			if before.Name == w.Name && before.URL == w.URL {
				was := map[string]string{}
				before.mapSecrets(func(name, value string) string { was[name] = value; return value })
				w = w.mapSecrets(func(name, value string) string {
					if had, ok := was[name]; ok && value == hidden {
						return had
					}
					return value
				})
			}
		}
		list[i] = w
	}
	c.Endpoints.Webhooks = list
	return c
}
