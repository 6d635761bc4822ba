package simulate

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/client"
)

// callers is how many direct methods may be under way.
const callers = 64

// callMethods calls direct methods at the scenario's rate, or as fast as callers
// are free.
func (f *fleet) callMethods(ctx context.Context) {
	r := rand.New(rand.NewPCG(f.Seed, 1<<63))
	free := make(chan struct{}, callers)
	var calls sync.WaitGroup
	defer calls.Wait()
	for tick := time.NewTicker(time.Duration(float64(time.Second) / f.Methods)); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
		number := r.IntN(f.Devices)
		if !f.here[number].Load() {
			continue
		}
		select {
		case free <- struct{}{}:
			calls.Go(func() {
				defer func() { <-free }()
				f.callMethod(ctx, name(f.Prefix, number))
			})
		default: // All wait for answers.
		}
	}
}

func (f *fleet) callMethod(ctx context.Context, id string) {
	f.calls.Add(1)
	began := time.Now()
	_, err := f.Hub.InvokeMethod(ctx, id, "", client.Method{
		Name: "simulate", Payload: []byte(`{"at":"` + began.UTC().Format(time.RFC3339Nano) + `"}`),
		// A device that has just connected may not have subscribed yet.
		ConnectTimeout: 10 * time.Second,
	})
	var refused *client.Error
	switch {
	case err == nil:
		f.callsDone.Add(1)
		f.method.add(time.Since(began))
	case ctx.Err() != nil:
	case errors.As(err, &refused):
		f.errors.add("method: " + refused.Name)
	default:
		f.errors.add("method: " + told(err))
	}
}
