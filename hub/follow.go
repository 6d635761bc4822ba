package hub

import (
	"context"
	"errors"
	"log/slog"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/store"
)

// follow reads commits in order and does what follows from them, until ctx
// ends. It never waits for a device: a connection takes what it is told into
// its bounded outbox.
func (h *Hub) follow(ctx context.Context, f store.Follower) {
	defer f.Close()
	trimmed := f.Start()
	for {
		commits, err := f.Next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
				h.log.Error("follow commits: desired notifications have stopped", slog.Any("error", err))
			}
			return
		}
		for _, c := range commits {
			h.tellConnections(c)
		}
		trimmed = h.trimEvents(commits[len(commits)-1].Position, trimmed)
	}
}

// tellConnections hands the events of a commit to the connections they concern.
func (h *Hub) tellConnections(c store.Commit) {
	for _, body := range c.Events {
		if !concernsConnection(body) {
			continue
		}
		e, err := DecodeEvent(body)
		if err != nil {
			h.log.Error("read event", slog.Uint64("pos", uint64(c.Position)), slog.Any("error", err))
			continue
		}
		link := h.table.Find(e.ID)
		if link == nil {
			continue
		}
		if e.Desired != nil {
			link.Device.Desired(desiredChange(uint64(c.Position), e))
		}
		if e.Revoked {
			link.Device.Close(fault.New(fault.IotHubUnauthorized, "the identity %q was deleted, disabled, or given other credentials", e.ID))
		}
	}
}

// trimEvents keeps the event log bounded and returns up to where it is trimmed.
// It trims in large steps: each is a range deletion.
func (h *Hub) trimEvents(newest, trimmed store.Position) store.Position {
	if uint64(newest) < uint64(trimmed)+h.keep+h.keep/16 {
		return trimmed
	}
	upTo := newest - store.Position(h.keep)
	if err := h.store.TrimEvents(upTo); err != nil {
		h.log.Error("trim the event log", slog.Any("error", err))
	}
	return upTo
}
