package simulate

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// handshakes is how many devices may be connecting at a time.
const handshakes = 64

// removal is how long the devices may take to be removed.
const removal = 5 * time.Minute

// fleet is a run.
type fleet struct {
	Config
	counts
	tokens tokens
	slots  chan struct{}
	here   []atomic.Bool // whether a device is connected, by its number
}

// Run plays the scenario. It ends when the scenario does or ctx does, which is no
// error, and then lets devices take their leave; whatever has happened until then
// is in the summary. The error is about the scenario, the registry, or the key.
func Run(ctx context.Context, c Config) (Summary, error) {
	if err := c.validate(); err != nil {
		return Summary{}, err
	}
	f := &fleet{Config: c, slots: make(chan struct{}, handshakes), here: make([]atomic.Bool, c.Devices)}
	f.tokens = tokens{resource: c.HostName + "/devices", policy: c.Policy, key: c.Key}
	if _, err := f.tokens.current(time.Now()); err != nil {
		return Summary{}, err
	}
	var created, removed int
	var err error
	if c.Create {
		if created, err = f.register(ctx, "create", fault.DeviceAlreadyExists); err != nil && ctx.Err() == nil {
			return Summary{}, fmt.Errorf("create devices: %w", err)
		}
	}
	began := time.Now()
	f.play(ctx, began)
	elapsed := time.Since(began)
	if c.Remove {
		// Also after an interrupt: nothing would remove them later.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removal)
		defer cancel()
		if removed, err = f.register(ctx, "delete", fault.DeviceNotFound); err != nil {
			err = fmt.Errorf("remove devices: %w", err)
		}
	} else {
		err = nil
	}
	s := f.summary()
	s.Devices, s.Elapsed, s.Created, s.Removed = c.Devices, Duration(elapsed), created, removed
	return s, err
}

// play is the run between the work on the registry.
func (f *fleet) play(ctx context.Context, began time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.Duration > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.Duration))
		defer cancel()
	}
	var beside, devices sync.WaitGroup
	if f.Methods > 0 {
		beside.Go(func() { f.callMethods(ctx) })
	}
	if f.Progress != nil {
		beside.Go(func() { f.tell(ctx, began) })
	}
	for n := range f.Devices {
		if !f.ramp(ctx, began, n) {
			break
		}
		devices.Go(func() { newUnit(f, n).run(ctx) })
	}
	devices.Wait()
	cancel()
	beside.Wait()
}

// ramp waits until it is the turn of device n.
func (f *fleet) ramp(ctx context.Context, began time.Time, n int) bool {
	if f.Ramp > 0 {
		t := time.NewTimer(time.Until(began.Add(time.Duration(float64(n) / f.Ramp * float64(time.Second)))))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// enter waits for leave to connect.
func (f *fleet) enter(ctx context.Context) error {
	select {
	case f.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fleet) exit() { <-f.slots }

// online notes whether a device is connected.
func (f *fleet) online(number int, is bool) {
	f.here[number].Store(is)
	if !is {
		f.connected.Add(-1)
		return
	}
	for now := f.connected.Add(1); ; {
		if most := f.most.Load(); now <= most || f.most.CompareAndSwap(most, now) {
			return
		}
	}
}

// tell tells of the progress of a run.
func (f *fleet) tell(ctx context.Context, began time.Time) {
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-tick.C:
			f.Progress(Progress{Step: "run", Elapsed: time.Since(began), Devices: f.Devices,
				Connected: f.connected.Load(), Sent: f.reports.Load() + f.telemetry.Load(),
				Done: f.reportsDone.Load() + f.telemetryDone.Load(), Errors: f.errors.count(),
				Reconnect: f.drops.Load() + f.lost.Load()})
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}
