package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// restartTimes are from the start of the process, in milliseconds: medians.
type restartTimes struct {
	Listening float64 `json:"listeningMilliseconds"`
	// Ready is when the first query was answered.
	Ready float64 `json:"readyMilliseconds"`
}

const restarts = 3

// restart starts and stops the hub on the loaded fleet. The files are in the
// system's cache after the first time.
func (b *queryBench) restart(ctx context.Context) error {
	var listening, ready times
	for range restarts {
		began := time.Now()
		hub, err := startHub(ctx, b.binary, b.hubData())
		if err != nil {
			return err
		}
		listening.add(time.Since(began))
		err = hub.ready(ctx)
		ready.add(time.Since(began))
		hub.stop()
		if err != nil {
			return err
		}
	}
	r := &restartTimes{listening.median() / 1000, ready.median() / 1000}
	b.report.Restart = r
	b.print(fmt.Sprintf("Restart with %s twins, median of %d", thousands(b.spec.Twins), restarts), func(w io.Writer) {
		t := newTable(w, "until", "time")
		t.row("it listens", micros(r.Listening*1000))
		t.row("the first query is answered", micros(r.Ready*1000))
		t.flush()
	})
	return nil
}

// ready waits until a query is answered.
func (h *hubProcess) ready(ctx context.Context) error {
	ask, err := h.asker()
	if err != nil {
		return err
	}
	defer ask.close()
	return h.await(ctx, "the answer to a query", func() bool {
		_, err := ask.page(ctx, "SELECT COUNT() AS n FROM devices", 0, "")
		return err == nil
	})
}

// patched is a load of patches on one hub: the median of some rounds.
type patched struct {
	Hub         string  `json:"hub"`
	Connections int     `json:"connections"`
	InFlight    int     `json:"inFlight"`
	PerSecond   float64 `json:"perSecond"`
	P50         float64 `json:"p50Microseconds"`
	P99         float64 `json:"p99Microseconds"`
	// Scans is how many full scans were answered meanwhile, in a second.
	Scans float64 `json:"scansPerSecond,omitempty"`
}

// memoryUse is what the process of the hub has in memory at some moment, in
// bytes.
type memoryUse struct {
	When      string `json:"when"`
	Resident  int64  `json:"resident"`
	Anonymous int64  `json:"anonymous"`
}

func (b *queryBench) remember(h *hubProcess, when string) error {
	m := memoryUse{When: when}
	var err error
	if m.Resident, m.Anonymous, err = h.memory(); err == nil {
		b.report.Memory = append(b.report.Memory, m)
	}
	return err
}

// changes measures what alters twins, on a copy of the fleet.
func (b *queryBench) changes(ctx context.Context, work string) error {
	data := filepath.Join(work, "copy")
	if err := os.CopyFS(data, os.DirFS(b.hubData())); err != nil {
		return err
	}
	defer os.RemoveAll(data)
	big, err := b.open(ctx, data)
	if err != nil {
		return err
	}
	defer big.stop()
	if err := b.remember(big, "when ready"); err != nil {
		return err
	}
	if err := big.register(ctx); err != nil {
		return err
	}
	if b.measures("patch") {
		if err := b.patches(ctx, work, big); err != nil {
			return err
		}
	}
	if !b.measures("memory") {
		return nil
	}
	if _, err := timed(big.patch(devices, 4), 30*time.Second).run(ctx); err != nil {
		return err
	}
	if err := b.remember(big, "after 30 s of patches"); err != nil {
		return err
	}
	b.print(fmt.Sprintf("Memory of the hub with %s twins", thousands(b.spec.Twins)), func(w io.Writer) {
		t := newTable(w, "when", "resident", "of that, not files")
		for _, m := range b.report.Memory {
			t.row(m.When, megabytes(m.Resident), megabytes(m.Anonymous))
		}
		t.flush()
	})
	return nil
}

// open starts a hub and waits until it is ready.
func (b *queryBench) open(ctx context.Context, data string) (*hubProcess, error) {
	h, err := startHub(ctx, b.binary, data)
	if err != nil {
		return nil, err
	}
	if err := h.ready(ctx); err != nil {
		h.stop()
		return nil, err
	}
	return h, nil
}

const (
	smallFleet  = 1000
	patchRounds = 3
	scanners    = 8
	// scan must look at every document: no column holds the elements of arrays.
	scan = "SELECT COUNT() AS n FROM devices WHERE ARRAY_CONTAINS(properties.desired.features, 'mesh')"
)

// patches puts the same loads on a small hub, on the big one, and on the big
// one while clients run queries that must look at every twin.
func (b *queryBench) patches(ctx context.Context, work string, big *hubProcess) error {
	data := filepath.Join(work, "small")
	if _, err := specify(b.spec.Seed, smallFleet).fill(ctx, data, b.progress); err != nil {
		return err
	}
	small, err := b.open(ctx, data)
	if err != nil {
		return err
	}
	defer small.stop()
	if err := small.register(ctx); err != nil {
		return err
	}
	cases := []struct {
		name     string
		hub      *hubProcess
		scanners int
	}{
		{thousands(smallFleet) + " twins", small, 0},
		{thousands(b.spec.Twins) + " twins", big, 0},
		{fmt.Sprintf("%s twins, %d clients scan", thousands(b.spec.Twins), scanners), big, scanners},
	}
	for _, size := range [][2]int{{64, 1}, {devices, 4}} {
		rounds := make([][]patched, len(cases))
		for range patchRounds {
			for i, c := range cases {
				p, err := patchWhile(ctx, c.hub, timed(c.hub.patch(size[0], size[1]), b.length), c.scanners)
				if err != nil {
					return err
				}
				p.Hub = c.name
				rounds[i] = append(rounds[i], p)
			}
		}
		for _, r := range rounds {
			slices.SortFunc(r, func(a, b patched) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
			b.report.Patches = append(b.report.Patches, r[len(r)/2])
		}
	}
	b.print(fmt.Sprintf("Reported patches over MQTT, durable, %d x %v, medians", patchRounds, b.length),
		func(w io.Writer) { printPatches(w, b.report.Patches, len(cases)) })
	return nil
}

// patchWhile runs a load while n clients scan.
func patchWhile(ctx context.Context, h *hubProcess, l load, n int) (patched, error) {
	scanning, stop := context.WithCancel(ctx)
	defer stop()
	var scans atomic.Int64
	var clients sync.WaitGroup
	failures := make([]error, n)
	for i := range n {
		clients.Go(func() { failures[i] = scanLoop(scanning, h, &scans) })
	}
	r, err := l.run(ctx)
	stop()
	clients.Wait()
	for _, failure := range failures {
		err = cmp.Or(err, failure)
	}
	return patched{
		Connections: l.connections, InFlight: l.inFlight, PerSecond: r.perSecond,
		P50: float64(r.p50.Microseconds()), P99: float64(r.p99.Microseconds()),
		Scans: float64(scans.Load()) / l.length.Seconds(),
	}, err
}

// scanLoop sends one scan after the other until ctx ends.
func scanLoop(ctx context.Context, h *hubProcess, scans *atomic.Int64) error {
	ask, err := h.asker()
	if err != nil {
		return err
	}
	defer ask.close()
	for {
		switch _, err := ask.page(ctx, scan, 0, ""); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		scans.Add(1)
	}
}

// printPatches writes groups of rows of which each is compared with its first.
func printPatches(w io.Writer, all []patched, group int) {
	t := newTable(w, "hub", "devices x in flight", "patches/s", "p50", "p99", "scans/s", "cost over the first")
	for i, p := range all {
		scans := ""
		if p.Scans > 0 {
			scans = fmt.Sprintf("%.1f", p.Scans)
		}
		t.row(p.Hub, fmt.Sprintf("%d x %d", p.Connections, p.InFlight), thousands(int(p.PerSecond)),
			micros(p.P50), micros(p.P99), scans, fmt.Sprintf("%.2f", all[i/group*group].PerSecond/p.PerSecond))
	}
	t.flush()
}

func megabytes(n int64) string { return thousands(int(n/1e6)) + " MB" }
