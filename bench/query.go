package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/client"
)

// queryBench measures a hub with a large fleet: its queries beside
// PostgreSQL's, its patches beside those of a small hub, its memory and its
// restart.
type queryBench struct {
	spec     fleetSpec
	rounds   int
	length   time.Duration // of one measurement of patches
	postgres string
	sqlite   bool
	data     string
	only     []string
	json     bool

	binary   string
	progress io.Writer
	report   queryReport
}

// queryReport is what -json prints. What was not measured is left out.
type queryReport struct {
	Fleet   fleetSpec     `json:"fleet"`
	Queries []compared    `json:"queries,omitempty"`
	Patches []patched     `json:"patches,omitempty"`
	Memory  []memoryUse   `json:"memory,omitempty"`
	Restart *restartTimes `json:"restart,omitempty"`
}

var sections = []string{"queries", "patch", "memory", "restart"}

func benchQuery(ctx context.Context, args []string) error {
	b := queryBench{progress: os.Stderr}
	flags := flag.NewFlagSet("bench query", flag.ContinueOnError)
	twins := flags.Int("twins", 1_000_000, "size of the fleet, at least 1000")
	seed := flags.Uint64("seed", 1, "which fleet")
	flags.IntVar(&b.rounds, "rounds", 21, "how often each query is asked; the median counts")
	flags.DurationVar(&b.length, "for", 5*time.Second, "length of one measurement of patches")
	flags.StringVar(&b.postgres, "postgres", "auto", "folder of PostgreSQL's server programs; auto looks for them and installs them; none leaves it out")
	flags.BoolVar(&b.sqlite, "sqlite", false, "ask SQLite as well, by the program sqlite3")
	flags.StringVar(&b.data, "data", "", "keep the loaded fleet in this folder, and use it again")
	only := flags.String("only", strings.Join(sections, ","), "what to measure")
	flags.BoolVar(&b.json, "json", false, "print the results as JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b.only = strings.Split(*only, ",")
	for _, s := range b.only {
		if !slices.Contains(sections, s) {
			return fmt.Errorf("-only: there is no %q, only %s", s, strings.Join(sections, ", "))
		}
	}
	if *twins < 1000 || b.rounds < 1 {
		return fmt.Errorf("-twins must be 1000 at least, and -rounds 1")
	}
	b.spec = specify(*seed, *twins)
	b.report.Fleet = b.spec
	return b.run(ctx)
}

// run prepares the directory, measures, and prints.
func (b *queryBench) run(ctx context.Context) error {
	work, err := os.MkdirTemp("", "hubtwin-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	if b.data == "" {
		b.data = work
	}
	if b.data, err = filepath.Abs(b.data); err != nil {
		return err
	}
	// The hub makes its folder for itself alone, but PostgreSQL may run as
	// somebody else, who must get through this one.
	if err := os.MkdirAll(b.data, 0o755); err != nil {
		return err
	}
	b.binary = filepath.Join(work, "hubtwin")
	if err := build(ctx, b.binary); err != nil {
		return err
	}
	loaded, err := b.spec.fill(ctx, b.hubData(), b.progress)
	if err != nil {
		return err
	}
	if loaded {
		// What databases may hold are the documents of an earlier load, with
		// other times in them.
		os.Remove(b.spec.note(b.postgresData()))
		os.Remove(b.spec.note(b.sqliteData()))
	}
	if err := b.measure(ctx, work); err != nil {
		return err
	}
	if b.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(b.report)
	}
	return nil
}

func (b *queryBench) hubData() string { return filepath.Join(b.data, "hub") }

func (b *queryBench) postgresData() string { return filepath.Join(b.data, "postgres") }

func (b *queryBench) sqliteData() string { return filepath.Join(b.data, "sqlite") }

func (b *queryBench) measures(section string) bool { return slices.Contains(b.only, section) }

// measure goes through the sections. The queries come first, on the data as
// they were loaded; what changes twins runs on a copy.
func (b *queryBench) measure(ctx context.Context, work string) error {
	if b.measures("restart") {
		if err := b.restart(ctx); err != nil {
			return fmt.Errorf("restart: %w", err)
		}
	}
	if b.measures("queries") {
		if err := b.queries(ctx); err != nil {
			return fmt.Errorf("queries: %w", err)
		}
	}
	if b.measures("patch") || b.measures("memory") {
		if err := b.changes(ctx, work); err != nil {
			return fmt.Errorf("patches: %w", err)
		}
	}
	return nil
}

// print gives a section to people, as soon as it is there.
func (b *queryBench) print(title string, table func(w io.Writer)) {
	if !b.json {
		fmt.Printf("\n%s\n\n", title)
		table(os.Stdout)
	}
}

func (b *queryBench) queries(ctx context.Context) error {
	hub, err := b.open(ctx, b.hubData())
	if err != nil {
		return err
	}
	defer hub.stop()
	ask, err := hub.asker()
	if err != nil {
		return err
	}
	defer ask.close()
	rivals, err := b.rivals(ctx, ask)
	if err != nil {
		return err
	}
	defer stopAll(rivals)
	c, err := client.New(hub.connectionString, client.Options{RootCAs: hub.roots})
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := b.spec.sample(ctx, c)
	if err != nil {
		return err
	}
	for _, q := range questions(s) {
		r, err := compare(ctx, ask, rivals, q, b.rounds)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.progress, "%s: %s\n", q.Name, micros(r.Hub))
		b.report.Queries = append(b.report.Queries, r)
	}
	b.print(fmt.Sprintf("Queries, %s twins, medians of up to %d", thousands(b.spec.Twins), b.rounds),
		func(w io.Writer) { printCompared(w, b.report.Queries, rivals) })
	return nil
}

// rivals starts those that were asked for.
func (b *queryBench) rivals(ctx context.Context, hub *asker) (all []rival, err error) {
	defer func() {
		if err != nil {
			stopAll(all)
		}
	}()
	if b.postgres != "none" {
		db, err := b.openPostgres(ctx, hub)
		if err != nil {
			return all, fmt.Errorf("PostgreSQL: %w", err)
		}
		all = append(all, rival{"PostgreSQL", db, question.postgres})
	}
	if b.sqlite {
		db, err := b.openSQLite(ctx, hub)
		if err != nil {
			return all, fmt.Errorf("SQLite: %w", err)
		}
		all = append(all, rival{"SQLite", db, question.sqlite})
	}
	return all, nil
}

func stopAll(rivals []rival) {
	for _, r := range rivals {
		r.stop()
	}
}

// openPostgres gives a server that holds the documents of the hub.
func (b *queryBench) openPostgres(ctx context.Context, hub *asker) (*postgres, error) {
	bin, err := findPostgres(ctx, b.postgres, b.progress)
	if err != nil {
		return nil, err
	}
	dir := b.postgresData()
	full, err := b.spec.holds(dir)
	if err != nil {
		return nil, err
	}
	db, err := startPostgres(ctx, bin, dir)
	if err != nil || full {
		return db, err
	}
	if err := db.load(ctx, hub, b.spec.Twins, b.progress); err != nil {
		db.stop()
		return nil, err
	}
	return db, b.spec.finish(dir)
}

// openSQLite gives a shell whose database holds the documents of the hub.
func (b *queryBench) openSQLite(ctx context.Context, hub *asker) (*sqlite, error) {
	dir := b.sqliteData()
	full, err := b.spec.holds(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	db, err := startSQLite(ctx, filepath.Join(dir, "twins.db"))
	if err != nil || full {
		return db, err
	}
	if err := db.load(ctx, hub, b.spec.Twins, b.progress); err != nil {
		db.stop()
		return nil, err
	}
	return db, b.spec.finish(dir)
}
