package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/internal/fleet"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/server"
	"github.com/hubtwin/hubtwin/twin"
)

// A fleetSpec says which twins a directory holds.
type fleetSpec struct {
	Seed  uint64 `json:"seed"`
	Twins int    `json:"twins"`
	// Sample is a hash of the first twins: a directory that an older generator
	// filled is not the same fleet.
	Sample string `json:"sample"`
}

func specify(seed uint64, twins int) fleetSpec {
	h := sha256.New()
	for i := range min(twins, 100) {
		s := fleet.NewSynthetic(seed, i)
		fmt.Fprintf(h, "%s %s %s %s\n", s.ID, s.Tags, s.Desired, s.Reported)
	}
	return fleetSpec{seed, twins, hex.EncodeToString(h.Sum(nil)[:8])}
}

// holds tells whether dir has been filled with f. It is an error if it holds
// something else.
func (f fleetSpec) holds(dir string) (bool, error) {
	text, err := os.ReadFile(f.note(dir))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err == nil && len(entries) > 0 {
			return false, fmt.Errorf("%s is not empty, and no fleet was loaded into it to the end; remove it, or choose another", dir)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var found fleetSpec
	if err := json.Unmarshal(text, &found); err != nil || found != f {
		return false, fmt.Errorf("%s holds another fleet: %s; remove it, or choose another", dir, text)
	}
	return true, nil
}

func (f fleetSpec) note(dir string) string { return filepath.Join(dir, "fleet.json") }

// finish notes that dir is filled.
func (f fleetSpec) finish(dir string) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return os.WriteFile(f.note(dir), text, 0o644)
}

// fill loads the fleet into dir as a hub's data, unless it is there; it tells
// whether it had to.
func (f fleetSpec) fill(ctx context.Context, dir string, progress io.Writer) (loaded bool, err error) {
	if there, err := f.holds(dir); there || err != nil {
		return false, err
	}
	s, err := server.Open(ctx, server.Config{
		Data: dir, Certificates: filepath.Join(dir, "tls"), Listen: "localhost",
		HTTPS: []int{0}, MQTT: []int{0},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return false, err
	}
	if err := errors.Join(f.load(ctx, s.Hub, progress), s.Close()); err != nil {
		return false, fmt.Errorf("load the fleet: %w", err)
	}
	debug.FreeOSMemory() // it shares the machine with what is measured
	return true, f.finish(dir)
}

// loaders is how many batches are on their way at once: enough for many twins
// to share an fsync.
const loaders = 4

// load creates the twins of f.
func (f fleetSpec) load(ctx context.Context, h *hub.Hub, progress io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next, done atomic.Int64
	go report(ctx, progress, "twins loaded", &done, f.Twins)
	var workers sync.WaitGroup
	for range loaders {
		workers.Go(func() {
			for ctx.Err() == nil {
				from := int(next.Add(device.MaxBulkItems)) - device.MaxBulkItems
				if from >= f.Twins {
					return
				}
				to := min(from+device.MaxBulkItems, f.Twins)
				if err := f.loadBatch(ctx, h, from, to); err != nil {
					stop(err)
				}
				done.Add(int64(to - from))
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// loadBatch creates the twins from…to-1 and lets each report once.
func (f fleetSpec) loadBatch(ctx context.Context, h *hub.Hub, from, to int) error {
	owner := auth.Principal{Policy: "iothubowner", Permissions: auth.RegistryRead | auth.RegistryWrite}
	twins := make([]fleet.Synthetic, to-from)
	items := make([]device.BulkItem, to-from)
	for i := range twins {
		twins[i] = fleet.NewSynthetic(f.Seed, from+i)
		items[i] = device.BulkItem{
			Mode: device.BulkCreate,
			Identity: device.Identity{ID: device.ID{Device: twins[i].ID}, Status: device.Enabled,
				Authentication: device.Authentication{Type: device.SAS}},
			Tags: twins[i].Tags, Desired: twins[i].Desired,
		}
	}
	failed, err := h.Bulk(ctx, owner, items, twin.Rules{})
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s: %w", failed[0].ID, failed[0].Fault)
	}
	errs := make([]error, len(twins))
	var all sync.WaitGroup
	for i, t := range twins {
		all.Go(func() { errs[i] = reportOnce(ctx, h, owner, t) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// reportOnce connects the device of t, reports and leaves.
func reportOnce(ctx context.Context, h *hub.Hub, owner auth.Principal, t fleet.Synthetic) error {
	id := device.ID{Device: t.ID}
	d, err := h.Identity(ctx, owner, id)
	if err != nil {
		return err
	}
	who := auth.Principal{ID: id, IdentityEtag: d.Identity.Etag, Permissions: auth.DeviceConnect}
	c, err := h.Connect(ctx, who, silent{}, true, "")
	if err != nil {
		return err
	}
	defer c.Close()
	done := make(chan error, 1)
	c.Report(t.Reported, twin.Rules{}, hub.AnyVersion, func(_ int64, err error) { done <- err })
	return <-done
}

// silent is a device that does not listen.
type silent struct{}

func (silent) Desired(presence.DesiredChange) {}
func (silent) Wake()                          {}
func (silent) Close(error)                    {}

func (silent) Invoke(presence.MethodCall, func(presence.MethodAnswer, error)) (func(), error) {
	return nil, fault.New(fault.DeviceNotOnline, "it does not listen")
}

// report writes how far a long step is, every few seconds until ctx ends.
func report(ctx context.Context, w io.Writer, what string, done *atomic.Int64, total int) {
	began := time.Now()
	for tick := time.NewTicker(5 * time.Second); ; {
		select {
		case <-tick.C:
			n := done.Load()
			fmt.Fprintf(w, "%d of %d %s, %.0f/s\n", n, total, what, float64(n)/time.Since(began).Seconds())
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}
