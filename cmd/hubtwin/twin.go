package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hubtwin/hubtwin/client"
)

type twinCommands struct {
	Show    twinShow    `cmd:"" help:"Print the twin of a device."`
	Update  twinUpdate  `cmd:"" help:"Merge into tags and desired properties; null removes."`
	Replace twinReplace `cmd:"" help:"Replace all tags and all desired properties."`
}

type twinShow struct {
	connection
	output
	Device string `arg:"" help:"Id of the device."`
	Module string `placeholder:"ID" help:"Show that of a module of the device."`
}

func (twinShow) Help() string {
	return `Examples:
  hubtwin twin show pump-7
  hubtwin twin show pump-7 --module valve
  hubtwin twin show pump-7 -o json | jq .properties.reported

` + exits
}

// Run prints the twin.
func (cmd twinShow) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	t, err := hub.Twin(ctx, cmd.Device, cmd.Module)
	return cmd.print(c, t, err)
}

// print prints the answer of a call on a twin.
func (o output) print(c console, t client.Twin, err error) error {
	if err != nil {
		return explained(err)
	}
	return o.printDocument(c, t.Document)
}

// sections are the parts of a twin that a back end writes.
type sections struct {
	Device   string `arg:"" help:"Id of the device."`
	Module   string `placeholder:"ID" help:"Write that of a module of the device."`
	Document string `arg:"" optional:"" help:"Tags and desired properties as one document, such as {\"tags\":{…},\"properties\":{\"desired\":{…}}}; @FILE reads a file, - standard input."`
	Tags     string `placeholder:"JSON" help:"The tags; @FILE and - work as well."`
	Desired  string `placeholder:"JSON" help:"The desired properties; @FILE and - work as well."`
	Etag     string `placeholder:"ETAG" help:"Only if the twin still has this etag."`
}

// read puts the document together.
func (s sections) read(c console) (json.RawMessage, error) {
	switch {
	case s.Document != "" && (s.Tags != "" || s.Desired != ""):
		return nil, usagef("give either a document, or --tags and --desired")
	case s.Document != "":
		return readJSON(c, "the document", s.Document)
	case s.Tags == "-" && s.Desired == "-":
		return nil, usagef("--tags and --desired can't both be read from standard input")
	case s.Tags == "" && s.Desired == "":
		return nil, usagef(`nothing to write: give --tags or --desired, for example --tags '{"floor":2}'`)
	}
	var document struct {
		Tags       json.RawMessage            `json:"tags,omitempty"`
		Properties map[string]json.RawMessage `json:"properties,omitempty"`
	}
	if s.Tags != "" {
		tags, err := readJSON(c, "--tags", s.Tags)
		if err != nil {
			return nil, err
		}
		document.Tags = tags
	}
	if s.Desired != "" {
		desired, err := readJSON(c, "--desired", s.Desired)
		if err != nil {
			return nil, err
		}
		document.Properties = map[string]json.RawMessage{"desired": desired}
	}
	return json.Marshal(document)
}

// readJSON reads an argument and says where it is not a JSON object. What the
// object may hold is for the hub to say.
func readJSON(c console, what, argument string) (json.RawMessage, error) {
	text, err := readText(c.in, argument)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		if err == nil {
			err = fmt.Errorf("it is null")
		}
		return nil, usagef(`%s: this is not a JSON object: %w; in a shell, put it in single quotes: '{"floor":2}'`, what, err)
	}
	return text, nil
}

type twinUpdate struct {
	connection
	output
	sections
}

func (twinUpdate) Help() string {
	return `What is not mentioned stays as it is. A device that is connected hears of changed desired properties at once.

Examples:
  hubtwin twin update pump-7 --tags '{"location":{"plant":"Redmond43"}}'
  hubtwin twin update pump-7 --desired '{"interval":30,"old":null}'
  hubtwin twin update pump-7 @change.json

` + exits
}

// Run merges and prints the twin as it is then.
func (cmd twinUpdate) Run(ctx context.Context, c console) error {
	return cmd.sections.write(ctx, c, cmd.connection, cmd.output, (*client.Client).PatchTwin)
}

type twinReplace struct {
	connection
	output
	sections
}

func (twinReplace) Help() string {
	return `Tags and desired properties that are not in the document are removed. A section that the document does not have stays as it is.

Examples:
  hubtwin twin replace pump-7 @twin.json
  hubtwin twin replace pump-7 --tags '{"location":{"plant":"Redmond43"}}'
  hubtwin twin show pump-7 -o json | jq '.tags.floor = 3' | hubtwin twin replace pump-7 -

` + exits
}

// Run replaces and prints the twin as it is then.
func (cmd twinReplace) Run(ctx context.Context, c console) error {
	return cmd.sections.write(ctx, c, cmd.connection, cmd.output, (*client.Client).ReplaceTwin)
}

type twinWrite func(c *client.Client, ctx context.Context, id, module string, document json.RawMessage, etag string) (client.Twin, error)

func (s sections) write(ctx context.Context, c console, f connection, o output, call twinWrite) error {
	document, err := s.read(c)
	if err != nil {
		return err
	}
	hub, err := f.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	t, err := call(hub, ctx, s.Device, s.Module, document, s.Etag)
	return o.print(c, t, err)
}
