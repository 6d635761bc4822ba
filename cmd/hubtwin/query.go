package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/query"
)

type queryCommand struct {
	connection
	output
	Text    string `arg:"" name:"query" help:"The query; @FILE reads it from a file, - from standard input."`
	Top     int    `placeholder:"N" xor:"answer" help:"Stop after N rows; all of them otherwise."`
	Explain bool   `xor:"answer" help:"Show how the query is found in place of what: for each term of the condition what decided it, and how many rows it left."`
}

func (queryCommand) Help() string {
	return `A query sees one moment of the fleet, with every change that was acknowledged before it. A mistake in the text is shown with its place, and nothing is sent.

Examples:
  hubtwin query "SELECT * FROM devices WHERE tags.location.plant = 'Redmond43'"
  hubtwin query "SELECT deviceId, properties.reported.battery FROM devices WHERE properties.reported.battery < 20"
  hubtwin query "SELECT tags.location.plant, COUNT() AS n FROM devices GROUP BY tags.location.plant"
  hubtwin query -o json "SELECT * FROM devices" | jq .tags
  hubtwin query --explain "SELECT * FROM devices WHERE tags.location.plant = 'Redmond43'"

` + exits
}

// Run asks page by page and prints each as it comes, or explains.
func (cmd queryCommand) Run(ctx context.Context, c console) error {
	if cmd.Top < 0 {
		return usagef("--top: %d is not a number of rows", cmd.Top)
	}
	text, err := readText(c.in, cmd.Text)
	if err != nil {
		return err
	}
	q, err := query.Parse(string(text))
	var bad *query.Error
	switch {
	case errors.As(err, &bad):
		return usagef("the query has a mistake: %s", bad.Explain())
	case err != nil:
		return usageError{err}
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	if cmd.Explain {
		plan, err := hub.Explain(ctx, string(text))
		if err != nil {
			return explained(err)
		}
		if cmd.json() {
			return printLine(c.out, plan.Document)
		}
		return printPlan(c.out, plan)
	}
	return cmd.ask(ctx, hub, c.out, q, string(text))
}

// ask prints the rows of the answer.
func (cmd queryCommand) ask(ctx context.Context, hub *client.Client, w io.Writer, q *query.Query, text string) error {
	t := &table{w: w, headers: columns(q)}
	left, continuation := cmd.Top, ""
	if cmd.Top == 0 {
		left = math.MaxInt
	}
	for {
		page, err := hub.QueryPage(ctx, text, min(left, query.MaxPage), continuation)
		if err != nil {
			return explained(err)
		}
		if err := cmd.print(t, q, page.Rows); err != nil {
			return err
		}
		left -= len(page.Rows)
		if continuation = page.Continuation; continuation == "" || left <= 0 {
			return nil
		}
	}
}

func (cmd queryCommand) print(t *table, q *query.Query, rows []json.RawMessage) error {
	if cmd.json() {
		for _, row := range rows {
			if err := printLine(t.w, row); err != nil {
				return err
			}
		}
		return nil
	}
	var cells [][]string
	for _, row := range rows {
		line, err := rowCells(q, t.headers, row)
		if err != nil {
			return err
		}
		cells = append(cells, line)
	}
	return t.print(cells)
}

// columns are the headers of a query's answer: those of a twin, or the names
// that the select list gives.
func columns(q *query.Query) []string {
	if q.Star {
		return []string{"DEVICE", "STATUS", "CONNECTION", "TAGS", "DESIRED", "REPORTED"}
	}
	var names []string
	for _, item := range q.Items {
		names = append(names, item.Name)
	}
	return names
}

func rowCells(q *query.Query, headers []string, row json.RawMessage) ([]string, error) {
	if q.Star {
		return twinCells(row)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(row, &members); err != nil {
		return nil, fmt.Errorf("read row: %w", err)
	}
	var cells []string
	for _, name := range headers {
		cells = append(cells, cell(members[name]))
	}
	return cells, nil
}

func twinCells(row json.RawMessage) ([]string, error) {
	var t struct {
		DeviceID        string          `json:"deviceId"`
		ModuleID        string          `json:"moduleId"`
		Status          string          `json:"status"`
		ConnectionState string          `json:"connectionState"`
		Tags            json.RawMessage `json:"tags"`
		Properties      struct {
			Desired  json.RawMessage `json:"desired"`
			Reported json.RawMessage `json:"reported"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(row, &t); err != nil {
		return nil, fmt.Errorf("read row: %w", err)
	}
	id := t.DeviceID
	if t.ModuleID != "" {
		id += "/" + t.ModuleID
	}
	return []string{id, t.Status, t.ConnectionState, content(t.Tags), content(t.Properties.Desired), content(t.Properties.Reported)}, nil
}

// content is what people wrote into a section of a twin: without $metadata and
// $version, and nothing at all if it is empty.
func content(section json.RawMessage) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(section, &members) != nil {
		return ""
	}
	for name := range members {
		if strings.HasPrefix(name, "$") {
			delete(members, name)
		}
	}
	if len(members) == 0 {
		return ""
	}
	text, err := json.Marshal(members)
	if err != nil {
		return ""
	}
	return cell(text)
}

// maxText bounds what is read as a query or a document, in bytes. The largest
// twin has well under 1 MB.
const maxText = 4 << 20

// readFile gives what is in a file, or in standard input (-).
func readFile(in io.Reader, name string) ([]byte, error) {
	if name != "-" {
		name = "@" + name
	}
	return readText(in, name)
}

// readText gives an argument that may stand for a file (@FILE) or for standard
// input (-).
func readText(in io.Reader, argument string) ([]byte, error) {
	name, isFile := strings.CutPrefix(argument, "@")
	switch {
	case isFile:
		f, err := os.Open(name)
		if err != nil {
			return nil, usageError{err}
		}
		defer f.Close()
		in = f
	case argument != "-":
		return []byte(argument), nil
	}
	text, err := io.ReadAll(io.LimitReader(in, maxText+1))
	if err == nil && len(text) > maxText {
		err = fmt.Errorf("more than %d bytes", maxText)
	}
	if err != nil {
		return nil, usagef("read %s: %w", argument, err)
	}
	return text, nil
}
