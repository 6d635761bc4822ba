package simulate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/fault"
)

// register creates or deletes all devices, in bulk. An item that fails with
// settled needs nothing done; the others are counted.
func (f *fleet) register(ctx context.Context, mode string, settled fault.Code) (done int, err error) {
	began := time.Now()
	for from := 0; from < f.Devices; from += client.MaxBulk {
		var items []client.BulkItem
		for n := from; n < min(from+client.MaxBulk, f.Devices); n++ {
			items = append(items, client.BulkItem{ID: name(f.Prefix, n), Mode: mode})
		}
		failed, err := f.Hub.Bulk(ctx, items)
		if err != nil {
			return done, err
		}
		for _, e := range failed {
			if e.Code != settled {
				return done, fmt.Errorf("%s: %s (%d)", e.ID, e.Message, e.Code)
			}
		}
		done += len(items) - len(failed)
		if f.Progress != nil {
			f.Progress(Progress{Step: mode, Elapsed: time.Since(began), Devices: f.Devices, Registered: from + len(items)})
		}
	}
	return done, nil
}

// tokens makes tokens for all devices, and keeps the newest.
type tokens struct {
	resource, policy, key string

	mu      sync.Mutex
	token   string
	expires time.Time
}

const tokenLife = 24 * time.Hour

// current gives a token that is good for half of its life yet.
func (t *tokens) current(now time.Time) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.expires.Add(-tokenLife / 2)) {
		return t.token, nil
	}
	expires := now.Add(tokenLife)
	token, err := auth.Sign(t.resource, t.key, t.policy, expires)
	if err != nil {
		return "", err
	}
	t.token, t.expires = token, expires
	return token, nil
}
