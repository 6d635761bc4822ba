package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/internal/fleet"
)

// benchImport measures the import of a made-up fleet into an empty hub, and its
// export, through the API as hubtwin import and export do it.
func benchImport(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench import", flag.ContinueOnError)
	twins := flags.Int("twins", 1_000_000, "size of the fleet")
	seed := flags.Uint64("seed", 1, "which fleet")
	whole := flags.Bool("all-or-nothing", false, "check all lines first")
	if err := flags.Parse(args); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "hubtwin-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	binary, lines := filepath.Join(work, "hubtwin"), filepath.Join(work, "fleet.jsonl")
	if err := errors.Join(build(ctx, binary), writeFleet(lines, *seed, *twins)); err != nil {
		return err
	}
	data := filepath.Join(work, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		return err
	}
	h, err := startHub(ctx, binary, data)
	if err != nil {
		return err
	}
	defer h.stop()
	c, err := client.New(h.connectionString, client.Options{RootCAs: h.roots})
	if err != nil {
		return err
	}
	defer c.Close()
	before, err := h.busy()
	if err != nil {
		return err
	}
	if err := measureImport(ctx, c, lines, *twins, *whole); err != nil {
		return err
	}
	after, err := h.busy()
	if err != nil {
		return err
	}
	// On a machine that others use too, this says more than the time.
	fmt.Printf("processor time of the hub: %.1f s, %.0f µs a line\n", (after - before).Seconds(), float64((after-before).Microseconds())/float64(*twins))
	resident, _, err := h.memory()
	if err != nil {
		return err
	}
	fmt.Printf("memory of the hub afterwards: %d MB\n", resident>>20)
	began := time.Now()
	var size counter
	if err := c.Export(ctx, &size, true); err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Printf("export: %d MB in %.1f s, %.0f lines/s\n", size>>20, took.Seconds(), float64(*twins)/took.Seconds())
	return nil
}

func measureImport(ctx context.Context, c *client.Client, name string, twins int, whole bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	began := time.Now()
	counts, err := c.Import(ctx, f, client.ImportOptions{
		AllOrNothing: whole,
		Progress: func(n client.ImportCounts) {
			fmt.Fprintf(os.Stderr, "%d checked, %d imported, %d failed after %.0f s\n", n.Checked, n.Applied, n.Failed, time.Since(began).Seconds())
		},
	})
	took := time.Since(began)
	if err != nil {
		return err
	}
	// The first device is there: the hub was started with it.
	if counts.Applied != int64(twins) || counts.Failed != 0 {
		return fmt.Errorf("%d of %d lines were imported", counts.Applied, twins)
	}
	fmt.Printf("import: %d lines in %.1f s, %.0f lines/s\n", twins, took.Seconds(), float64(twins)/took.Seconds())
	return nil
}

// writeFleet writes the lines of a fleet, about 1.3 KB each.
func writeFleet(name string, seed uint64, twins int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range twins {
		s := fleet.NewSynthetic(seed, i)
		fmt.Fprintf(w, `{"id":%q,"status":"enabled","tags":%s,"properties":{"desired":%s,"reported":%s}}`+"\n", s.ID, s.Tags, s.Desired, s.Reported)
	}
	return w.Flush()
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
