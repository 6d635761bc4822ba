package hub

import (
	"context"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/twin"
)

// Condition is the text of an If-Match header: "" for no condition, * for any
// state as long as the thing exists, or an etag, in any of the spellings that
// clients use (REST sheet, 0.4).
type Condition string

// Any is the condition that only asks for existence.
const Any Condition = "*"

// holds tells whether the condition lets a change of something with this etag
// pass.
func (c Condition) holds(etag string) bool {
	return c == "" || device.EtagMatches(string(c), etag)
}

// Twin reads the twin of id.
func (h *Hub) Twin(ctx context.Context, who auth.Principal, id device.ID) (*document.Document, error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return nil, err
	}
	s, err := h.heads.read(id)
	if err != nil {
		return nil, err
	}
	if !s.registered() {
		return nil, twinNotFound(id)
	}
	return h.document(id, s), nil
}

// UpdateTwin merges p into the twin of id and returns the twin once that is
// durable.
func (h *Hub) UpdateTwin(ctx context.Context, who auth.Principal, id device.ID, p *twin.Patch, c Condition) (*document.Document, error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return nil, err
	}
	return h.mergeTwin(ctx, id, p, c)
}

func (h *Hub) mergeTwin(ctx context.Context, id device.ID, p *twin.Patch, c Condition) (*document.Document, error) {
	return h.changeTwin(ctx, id, c, func(t *twin.Twin, at time.Time) (*twin.Twin, *twin.Change, error) { return t.Merge(p, at) })
}

// ReplaceTwin puts r in place of the tags and desired properties of id and
// returns the twin once that is durable.
func (h *Hub) ReplaceTwin(ctx context.Context, who auth.Principal, id device.ID, r *twin.Replacement, c Condition) (*document.Document, error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return nil, err
	}
	return h.changeTwin(ctx, id, c, func(t *twin.Twin, at time.Time) (*twin.Twin, *twin.Change, error) { return t.Replace(r, at) })
}

// twinChange computes a twin from the one before, at a time.
type twinChange func(*twin.Twin, time.Time) (*twin.Twin, *twin.Change, error)

func (h *Hub) changeTwin(ctx context.Context, id device.ID, c Condition, apply twinChange) (*document.Document, error) {
	s, err := h.heads.update(ctx, id, func(old *state) (*state, [][]byte, error) {
		if !old.registered() {
			return nil, nil, twinNotFound(id)
		}
		// The condition comes first, also for a patch that changes nothing
		// (twin sheet, C12).
		if !c.holds(old.twin.Etag()) {
			return nil, nil, twinMoved(id, old.twin.Etag())
		}
		return applyTwin(id, old, now(), apply)
	})
	if err != nil {
		return nil, err
	}
	return h.document(id, s), nil
}

// applyTwin makes the state after a change of the twin at a time, and its event.
func applyTwin(id device.ID, old *state, at time.Time, apply twinChange) (*state, [][]byte, error) {
	t, change, err := apply(old.twin, at)
	if err != nil {
		return nil, nil, err
	}
	if change.Void() {
		return old, nil, nil
	}
	next := *old
	next.twin = t
	return &next, [][]byte{twinEvent(id, t, change, at).encode()}, nil
}

func twinMoved(id device.ID, have string) error {
	return fault.New(fault.PreconditionFailed, "PreconditionFailed, ETag may be invalid. The twin of %q is at etag %q", id, have)
}

// twinNotFound is 404001 for modules too: twins know no ModuleNotFound (twin
// sheet, section 14).
func twinNotFound(id device.ID) error { return fault.New(fault.DeviceNotFound, "%s", id) }
