package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/fault"
)

type importCommand struct {
	connection
	File         string `arg:"" name:"file" help:"The file to import; - is standard input."`
	AllOrNothing bool   `help:"Check all lines first, and import none if one is wrong."`
	Format       string `enum:"lines,hub-state" default:"lines" help:"lines: one JSON object a line, as export writes them; hub-state: the file of az iot hub state export."`
}

func (importCommand) Help() string {
	return `Registers devices and modules with their twins, or changes those that are there: each line is an item of the service's bulk and import format. A line that fails is told of by its number, and the rest goes on. Of a hub-state file devices, modules, twins and parents are imported; the failed ones are told of by name.

Examples:
  hubtwin import fleet.jsonl
  hubtwin import --all-or-nothing fleet.jsonl
  zcat fleet.jsonl.gz | hubtwin import -
  hubtwin import --format hub-state state.json

Exit code: 0 everything was imported, 1 failure of a line or of the whole, 2 bad command line or file.`
}

// Run sends the file, and tells of what fails while it does.
func (cmd importCommand) Run(ctx context.Context, c console) error {
	in := c.in
	if cmd.File != "-" {
		f, err := os.Open(cmd.File)
		if err != nil {
			return usageError{err}
		}
		defer f.Close()
		in = f
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	var state *stateReader
	if cmd.Format == "hub-state" {
		state = newStateReader(in)
		defer state.Close()
		in = state
	}
	p := &importPrinter{w: c.err, began: time.Now(), byName: state != nil}
	counts, err := hub.Import(ctx, in, client.ImportOptions{AllOrNothing: cmd.AllOrNothing, Failed: p.failed, Progress: p.progress})
	if state != nil {
		if bad := state.problem(); bad != nil {
			err = usagef("%w\nwhat comes before that place may have been imported", bad)
		}
	}
	return p.end(c.out, counts, state, err)
}

// importPrinter tells people of an import.
type importPrinter struct {
	w      io.Writer
	began  time.Time
	byName bool // lines have no numbers that people know
}

// progressAfter is when an import begins to tell how far it is. Small ones are
// done before.
const progressAfter = 2 * time.Second

func (p *importPrinter) progress(n client.ImportCounts) {
	took := time.Since(p.began)
	if took < progressAfter {
		return
	}
	doing, lines := "imported", n.Applied
	if n.Applied == 0 && n.Checked > 0 {
		doing, lines = "checked", n.Checked
	}
	fmt.Fprintf(p.w, "%d lines %s, %.0f/s, %d failed\n", lines, doing, float64(n.Checked+n.Applied)/took.Seconds(), n.Failed)
}

func (p *importPrinter) failed(f client.ImportFailure) {
	id := f.DeviceID
	if f.ModuleID != "" {
		id += "/" + f.ModuleID
	}
	where := fmt.Sprintf("line %d", f.Line)
	switch {
	case p.byName && id != "":
		where = id
	case id != "":
		where += ": " + id
	}
	fmt.Fprintln(p.w, harmless(fmt.Sprintf("%s: %s (%s)", where, f.Message, f.Code.Name())))
}

// end prints the summary.
func (p *importPrinter) end(w io.Writer, n client.ImportCounts, state *stateReader, err error) error {
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code == fault.BulkRegistryOperationFailure {
		return fmt.Errorf("%d of %d lines are wrong, so nothing was imported", n.Failed, n.Failed+n.Checked)
	}
	if n.Applied > 0 || err == nil {
		fmt.Fprintf(w, "%d imported, %d failed\n", n.Applied, n.Failed)
	}
	if state != nil && state.skipped != "" {
		fmt.Fprintf(p.w, "not imported, because this hub has no such thing: %s\n", state.skipped)
	}
	switch {
	case err != nil:
		return explained(err)
	case n.Failed > 0:
		return fmt.Errorf("%d failed", n.Failed)
	}
	return nil
}
