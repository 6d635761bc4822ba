package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/client"
)

type monitorCommand struct {
	connection
	output
	Device    string        `placeholder:"ID" help:"Only what this device sends."`
	Since     string        `placeholder:"TIME" xor:"from" help:"Begin with what came since then: a time such as 2026-11-24T10:00:00Z, or how long ago, such as 10m."`
	FromStart bool          `xor:"from" help:"Begin with the oldest that the hub still has."`
	Position  string        `placeholder:"P" xor:"from" help:"Go on behind this position, which the JSON of an event has."`
	Stream    string        `placeholder:"NAME" help:"Read the queue of this endpoint in place of the built-in one."`
	Count     int           `short:"n" placeholder:"N" help:"Stop after N events."`
	Timeout   time.Duration `placeholder:"TIME" help:"Stop after this time, such as 30s."`
}

func (monitorCommand) Help() string {
	return `Prints what devices send, as it comes: telemetry, and whatever else a route leads here. Ctrl-C stops it. If the connection is lost it goes on where it was.

With -o json each event is a line: its body and properties as the cloud service writes them to storage, with partition, sequenceNumber, offset, and the position behind it.

Examples:
  hubtwin monitor
  hubtwin monitor --device pump-7 --since 10m
  hubtwin monitor -o json -n 100 | jq .Body
  hubtwin monitor --from-start --timeout 5s

` + exits
}

// Run prints events until it has enough of them.
func (cmd monitorCommand) Run(ctx context.Context, c console) error {
	from, err := cmd.from(time.Now())
	if err != nil {
		return err
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	if cmd.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cmd.Timeout)
		defer cancel()
	}
	n := 0
	for e, err := range hub.Events(ctx, client.EventsOptions{Stream: cmd.Stream, From: from, Device: cmd.Device}) {
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
			return nil // as asked
		case err != nil:
			return explained(err)
		case e.Gap != nil:
			fmt.Fprintf(c.err, "hubtwin: %s\n", e.Gap)
			continue
		}
		if err := cmd.print(c.out, e); err != nil {
			return err
		}
		if n++; n == cmd.Count {
			return nil
		}
	}
	return nil
}

func (cmd monitorCommand) from(now time.Time) (string, error) {
	switch {
	case cmd.Count < 0:
		return "", usagef("--count: %d is not a number of events", cmd.Count)
	case cmd.FromStart:
		return "start", nil
	case cmd.Position != "":
		return cmd.Position, nil
	case cmd.Since == "":
		return "end", nil
	}
	if ago, err := time.ParseDuration(cmd.Since); err == nil {
		return now.Add(-ago).UTC().Format(time.RFC3339), nil
	}
	if _, err := time.Parse(time.RFC3339, cmd.Since); err != nil {
		return "", usagef("--since: %q is neither a time such as 2026-11-24T10:00:00Z nor how long ago, such as 10m or 2h30m", cmd.Since)
	}
	return cmd.Since, nil
}

func (cmd monitorCommand) print(w io.Writer, e client.Event) error {
	if cmd.json() {
		document := append([]byte(`{"position":`), mustJSON(e.Position)...)
		document = append(append(document, ','), e.Document[1:]...)
		return printLine(w, document)
	}
	from := e.SystemProperties["connectionDeviceId"]
	if module := e.SystemProperties["connectionModuleId"]; module != "" {
		from += "/" + module
	}
	line := e.EnqueuedTime.Local().Format("15:04:05.000") + "  " + from + "  " + body(e.Content())
	if list := properties(e); list != "" {
		line += "  " + list
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// mustJSON is s as a JSON string.
func mustJSON(s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always encodes
	}
	return text
}

// maxContent is how many bytes of a body that is no text are shown.
const maxContent = 32

// body is a message for people: text as it is, anything else in hexadecimal.
func body(content []byte) string {
	switch {
	case printable(string(content)):
		return string(content)
	case json.Valid(content):
		return cell(content)
	case len(content) > maxContent:
		return fmt.Sprintf("%x… (%d bytes)", content[:maxContent], len(content))
	}
	return fmt.Sprintf("%x", content)
}

// properties lists the properties of an event that are not the same for all.
func properties(e client.Event) string {
	var list []string
	for name, value := range e.Properties {
		if value == nil {
			list = append(list, name)
			continue
		}
		list = append(list, name+"="+string(mustJSON(*value)))
	}
	for _, name := range []string{"messageId", "correlationId", "dt-subject", "outputName"} {
		if value := e.SystemProperties[name]; value != "" {
			list = append(list, name+"="+string(mustJSON(value)))
		}
	}
	if source := e.SystemProperties["iothub-message-source"]; source != "Telemetry" {
		list = append(list, "source="+source)
	}
	slices.Sort(list)
	return harmless(strings.Join(list, " "))
}
