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
			h.tellOfMessages(c)
		}
		h.askToTrim(commits[len(commits)-1].Position)
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
		if e.Revoked {
			h.table.Wake(e.ID) // Whoever waits for it may be in vain.
		}
		if e.Kind == IdentityDeleted {
			h.locks.drop(e.ID)
		}
		link := h.table.Find(e.ID)
		if link == nil {
			continue
		}
		if e.Desired != nil {
			link.Device.Desired(desiredChange(uint64(c.Position), e))
		}
		// Whoever began later did so with the new credentials. The commit by
		// which a link began is decided before the follower reads the next one.
		if began := link.Position(); e.Revoked && began != 0 && began < uint64(c.Position) {
			link.Device.Close(fault.New(fault.IotHubUnauthorized, "the identity %q was deleted, disabled, or given other credentials", e.ID))
		}
	}
}

// tellOfMessages wakes the connections for which a commit has messages, and who
// gathers feedback.
func (h *Hub) tellOfMessages(c store.Commit) {
	records := 0
	for _, w := range c.Writes {
		switch {
		case w.Value == nil:
		case w.Key[0] == tableOutcomes:
			records++
		case w.Key[0] == tableBodies:
			if id, ok := splitBody(w.Key); ok {
				h.wake(id)
			}
		}
	}
	if records > 0 {
		h.feedback.expect(records)
	}
}

// askToTrim tells the trimmer of the newest commit, in place of one that it has
// not heard of yet.
func (h *Hub) askToTrim(newest store.Position) {
	select {
	case <-h.trim:
	default:
	}
	h.trim <- newest
}

// trimEvents keeps the event log bounded until ctx ends. It trims in large
// steps: each is a range deletion. It has a goroutine of its own because a trim
// waits for the committer, which may be waiting for the follower.
func (h *Hub) trimEvents(ctx context.Context) {
	var trimmed store.Position // of what an earlier run trimmed nothing is known
	for {
		select {
		case <-ctx.Done():
			return
		case newest := <-h.trim:
			if uint64(newest) < uint64(trimmed)+h.keep+h.keep/16 {
				continue
			}
			trimmed = newest - store.Position(h.keep)
			if err := h.store.TrimEvents(trimmed); err != nil {
				h.log.Error("trim the event log", slog.Any("error", err))
			}
		}
	}
}
