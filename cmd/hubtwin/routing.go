package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/hubtwin/hubtwin/client"
)

type routingCommands struct {
	Show routingShow `cmd:"" help:"Print routes, endpoints and enrichments."`
	Set  routingSet  `cmd:"" help:"Put other ones in their place."`
	Test routingTest `cmd:"" help:"Say where a message would go."`

	Status routingStatus `cmd:"" help:"Say how it goes with webhooks and files."`
}

type routingShow struct {
	connection
	output
}

func (routingShow) Help() string {
	return `The document is that of "routing set". Secrets of endpoints are shown as ****, and stay as they are when that is set again.

Examples:
  hubtwin routing show > routing.json
  hubtwin routing show -o json | jq '.routes[].name'

` + exits
}

// Run prints the configuration of routing.
func (cmd routingShow) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	r, err := hub.Routing(ctx)
	if err != nil {
		return explained(err)
	}
	return cmd.printDocument(c, r.Document)
}

type routingSet struct {
	connection
	output
	Document string `arg:"" help:"The whole configuration as JSON; @FILE reads a file, - standard input."`
	Etag     string `placeholder:"ETAG" help:"Only if the configuration still has this etag."`
}

func (routingSet) Help() string {
	return `The document has the form of the cloud's properties.routing: endpoints, routes, fallbackRoute and enrichments. Its endpoints are webhooks and files. It is in force at once, for all that happens after that. What is not in the document is gone, and so is what waits for an endpoint that is gone.

Examples:
  hubtwin routing set @routing.json
  hubtwin routing show -o json | jq '.routes[0].isEnabled = false' | hubtwin routing set -

` + exits
}

// Run sets the configuration and prints it.
func (cmd routingSet) Run(ctx context.Context, c console) error {
	document, err := readJSON(c, "the document", cmd.Document)
	if err != nil {
		return err
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	r, err := hub.SetRouting(ctx, document, cmd.Etag)
	if err != nil {
		return explained(err)
	}
	return cmd.printDocument(c, r.Document)
}

type routingStatus struct {
	connection
	output
}

func (routingStatus) Help() string {
	return `An endpoint is healthy if it took what it was offered last, unhealthy if it did not and is offered it again, dead if events have waited for too long and become dead letters, and unknown if there was nothing for it yet. Counts are since the hub was started.

Examples:
  hubtwin routing status
  hubtwin routing status -o json | jq 'select(.healthStatus != "healthy")'

` + exits
}

// Run prints the endpoints.
func (cmd routingStatus) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	list, err := hub.EndpointHealth(ctx)
	if err != nil {
		return explained(err)
	}
	t := table{w: c.out, headers: []string{"ENDPOINT", "KIND", "HEALTH", "WAITING", "DELIVERED", "DEAD LETTERS", "DROPPED", "LAST ERROR"}}
	var rows [][]string
	for _, e := range list {
		if cmd.json() {
			if err := printLine(c.out, e.Document); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			e.Name, e.Kind, e.Health, fmt.Sprint(e.Backlog), fmt.Sprint(e.Delivered), fmt.Sprint(e.DeadLettered), fmt.Sprint(e.Dropped), oneLine(e.LastError),
		})
	}
	if cmd.json() {
		return nil
	}
	return t.print(rows)
}

// oneLine is a text of others for a table.
func oneLine(s string) string {
	if printable(s) {
		return s
	}
	return strconv.Quote(s)
}

type routingTest struct {
	connection
	output
	Body     string            `arg:"" optional:"" help:"Body of the message; @FILE reads a file, - standard input. If it is JSON, the message says so."`
	Source   string            `default:"DeviceMessages" placeholder:"SOURCE" help:"Of the event, as routes name it (DeviceMessages)."`
	Device   string            `placeholder:"ID" help:"The device that sends it; without one, conditions see no twin."`
	Module   string            `placeholder:"ID" help:"The module of the device that sends it."`
	Property map[string]string `short:"p" placeholder:"NAME=VALUE" help:"An application property; may be repeated."`
	System   map[string]string `placeholder:"NAME=VALUE" help:"A system property, such as contentType; may be repeated."`
}

func (routingTest) Help() string {
	return `Nothing is sent: the hub only looks at its routes.

Examples:
  hubtwin routing test --property level=alarm
  hubtwin routing test '{"temperature":71}' --device pump-7
  hubtwin routing test --source TwinChangeEvents --property opType=updateTwin

` + exits
}

// Run prints the endpoints that would get the message, and why.
func (cmd routingTest) Run(ctx context.Context, c console) error {
	body, err := readText(c.in, cmd.Body)
	if err != nil {
		return err
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	q := client.RouteQuestion{
		Source: cmd.Source, DeviceID: cmd.Device, ModuleID: cmd.Module,
		Body: string(body), Properties: cmd.Property, SystemProperties: cmd.System,
	}
	if q.SystemProperties == nil && json.Valid(body) {
		q.SystemProperties = map[string]string{"contentType": "application/json", "contentEncoding": "utf-8"}
	}
	a, err := hub.TestRouting(ctx, q)
	switch {
	case err != nil:
		return explained(err)
	case cmd.json():
		return printLine(c.out, a.Document)
	}
	_, err = fmt.Fprintln(c.out, routed(a))
	return err
}

// routed is an answer in words.
func routed(a client.RouteAnswer) string {
	if len(a.Endpoints) == 0 {
		return "It goes nowhere."
	}
	why := "routes " + strings.Join(a.Routes, ", ")
	switch {
	case a.Fallback:
		why = "the fallback route"
	case len(a.Routes) == 1:
		why = "route " + a.Routes[0]
	}
	return "It goes to " + strings.Join(a.Endpoints, ", ") + " by " + why + "."
}
