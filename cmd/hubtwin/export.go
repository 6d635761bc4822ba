package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

type exportCommand struct {
	connection
	File   string `arg:"" optional:"" name:"file" help:"The file to write; standard output otherwise."`
	NoKeys bool   `help:"Leave out symmetric keys. Importing such a file makes new ones."`
	Format string `enum:"lines,hub-state" default:"lines" help:"lines: one JSON object a line; hub-state: the file that az iot hub state import reads."`
}

func (exportCommand) Help() string {
	return `Writes all devices and modules with their twins, as they are at one moment. The lines are those of the service's export jobs; hubtwin import reads them. A file appears under its name when it is whole, and only you can read it: it has keys.

Examples:
  hubtwin export fleet.jsonl
  hubtwin export --no-keys | gzip > fleet.jsonl.gz
  hubtwin export --format hub-state state.json

` + exits
}

// Run writes the export.
func (cmd exportCommand) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	write := func(w io.Writer) error {
		if cmd.Format == "lines" {
			return hub.Export(ctx, w, !cmd.NoKeys)
		}
		s := newStateWriter(w)
		if err := hub.Export(ctx, s, !cmd.NoKeys); err != nil {
			return err
		}
		return s.Close()
	}
	if cmd.File == "" {
		return explained(write(c.out))
	}
	return explained(writeWhole(cmd.File, write))
}

// writeWhole lets write fill a file that takes its name when it is complete.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".part*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	b := bufio.NewWriterSize(f, 256<<10)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
