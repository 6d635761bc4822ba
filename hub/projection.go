package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store"
)

// project keeps the index in step with the store, until ctx ends: it builds it,
// while commits go on, and then applies each commit.
func (h *Hub) project(ctx context.Context, f store.Follower) {
	defer f.Close()
	h.followers.Go(func() { h.buildIndex(ctx) })
	var updates []index.Update
	for {
		commits, err := f.Next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
				h.lose(fmt.Errorf("follow commits: %w", err))
			}
			return
		}
		updates = updates[:0]
		for _, c := range commits {
			if updates, err = h.appendUpdates(updates, c); err != nil {
				h.lose(err)
				return
			}
		}
		if err := h.index.Apply(commits[len(commits)-1].Position, updates); err != nil {
			h.lose(err)
			return
		}
	}
}

// lose ends the index: queries are refused from now on. Both who builds it and who
// follows commits may come to that; the log has the first reason.
func (h *Hub) lose(err error) {
	h.loss.Do(func() {
		h.log.Error("the query index is lost; queries fail until the next start", slog.Any("error", err))
		h.index.Fail(err)
	})
}

// progressEvery is how often building the index is reported.
const progressEvery = 2 * time.Second

func (h *Hub) buildIndex(ctx context.Context) {
	began := time.Now()
	stopProgress := h.reportProgress(ctx)
	err := h.loadIndex(ctx)
	stopProgress()
	s := h.index.Stats()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		h.lose(err)
	case s.Ready && time.Since(began) > progressEvery:
		h.log.Info("the query index is ready", slog.Int("twins", s.Devices+s.Modules), slog.Int("paths", s.Paths),
			slog.Duration("took", time.Since(began).Round(10*time.Millisecond)))
	}
}

func (h *Hub) loadIndex(ctx context.Context) error {
	v, err := h.store.View()
	if err != nil {
		return err
	}
	defer v.Close()
	return h.index.Load(ctx, v.Position(), func(yield func(index.Row, error) bool) {
		for r, err := range storedRows(v) {
			if !yield(index.Row{ID: r.id, Read: func() (index.Update, error) { return h.storedUpdate(r) }, Done: r.done}, err) {
				return
			}
		}
	})
}

// reportProgress logs how far the index is, while building it takes long.
func (h *Hub) reportProgress(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	h.followers.Go(func() {
		for tick := time.NewTicker(progressEvery); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				h.log.Info("building the query index", slog.Int("twins", h.index.Stats().Devices))
			}
		}
	})
	return cancel
}

// appendUpdates appends what a commit did to identities, an Update for each.
func (h *Hub) appendUpdates(updates []index.Update, c store.Commit) ([]index.Update, error) {
	first := len(updates)
	for _, w := range c.Writes {
		if w.Key[0] != tableDevices {
			continue
		}
		id, part, ok := splitKey(w.Key)
		if !ok {
			continue
		}
		at := slices.IndexFunc(updates[first:], func(u index.Update) bool { return u.ID == id })
		if at < 0 {
			at = len(updates) - first
			updates = append(updates, index.Update{ID: id, Position: c.Position})
		}
		if err := h.setUpdate(&updates[first+at], part, w.Value); err != nil {
			return nil, fmt.Errorf("commit %d, %q: %w", c.Position, id, err)
		}
	}
	return updates, nil
}

// setUpdate puts a written part into u; nil means that it was deleted.
func (h *Hub) setUpdate(u *index.Update, part byte, value []byte) error {
	switch part {
	case partIdentity:
		if value == nil {
			u.Deleted = true // with its twin: there is never one without the other
			return nil
		}
		id, err := device.Decode(value)
		if err != nil {
			return err
		}
		u.Identity = &id
	case partTwin:
		u.Twin = value
	case partConnection:
		var r connectionRecord
		if value != nil {
			var err error
			if r, err = decodeConnection(value); err != nil {
				return err
			}
		}
		u.Connection = h.shownConnection(&r)
	case partQueue:
		var q *c2d.Queue
		if value != nil {
			var err error
			if q, err = c2d.Decode(value); err != nil {
				return err
			}
		}
		n := q.Len()
		u.Messages = &n
	}
	return nil
}

// shownConnection is what documents show of a record.
func (h *Hub) shownConnection(r *connectionRecord) *document.Connection {
	return &document.Connection{Connected: h.isConnected(r), LastActivity: r.Activity, ModelID: r.ModelID}
}

// isConnected tells whether the device of a record is connected. A record of an
// earlier run that says so is of a hub that died: the device is not.
func (h *Hub) isConnected(r *connectionRecord) bool { return r.Connected && r.Epoch == h.epoch }

// lastActivity is the time of the last activity of a connected device, or zero.
func (h *Hub) lastActivity(id device.ID) time.Time {
	if link := h.table.Find(id); link != nil {
		return link.LastActivity()
	}
	return time.Time{}
}

// storedRow is all that is stored of one identity.
type storedRow struct {
	id    device.ID
	parts []storedPart
	in    *values // where the values are
}

type storedPart struct {
	part byte
	store.Record
}

// done says that nobody looks at the row's values any more. It need not be said.
func (r storedRow) done() { r.in.release() }

// values is a piece of memory that the values of many rows are read into. It is
// used again once they are done with: a walk over a million twins that took fresh
// memory for all would spend its time on page faults.
type values struct {
	bytes []byte
	parts []storedPart
	users atomic.Int32 // rows, and the walk while it adds some
}

const (
	valuesAtOnce = 256 << 10
	roomForRow   = 16 << 10 // for most rows; the rest of others stands by itself
	partsAtOnce  = 1 << 10
)

var freeValues = sync.Pool{New: func() any {
	return &values{bytes: make([]byte, 0, valuesAtOnce), parts: make([]storedPart, 0, partsAtOnce)}
}}

func newValues() *values {
	v := freeValues.Get().(*values)
	v.bytes, v.parts = v.bytes[:0], v.parts[:0]
	v.users.Store(1)
	return v
}

func (v *values) release() {
	if v.users.Add(-1) == 0 {
		freeValues.Put(v)
	}
}

// row gives room for the parts of a row.
func (v *values) row() []storedPart {
	from := len(v.parts)
	if cap(v.parts)-from < len(partOrder) {
		return make([]storedPart, 0, len(partOrder))
	}
	v.parts = v.parts[:from+len(partOrder)]
	return v.parts[from:from:len(v.parts)]
}

// add copies a value.
func (v *values) add(value []byte) []byte {
	from := len(v.bytes)
	if cap(v.bytes)-from < len(value) {
		return slices.Clone(value)
	}
	v.bytes = append(v.bytes, value...)
	return v.bytes[from:len(v.bytes):len(v.bytes)]
}

// storedRows walks all identities in the order of their ids. It reads past the
// cache: a walk over the fleet must not push out what is in use.
func storedRows(v store.View) iter.Seq2[storedRow, error] {
	return func(yield func(storedRow, error) bool) {
		in := newValues()
		defer func() { in.release() }()
		var row storedRow
		var prefix []byte // of the keys of row
		for e, err := range v.Scan([]byte{tableDevices}, []byte{tableDevices + 1}) {
			if err != nil {
				yield(storedRow{}, err)
				return
			}
			last := len(e.Key) - 1
			if row.parts == nil || !bytes.Equal(e.Key[:last], prefix) {
				id, _, ok := splitKey(e.Key)
				if !ok {
					continue
				}
				if row.parts != nil && !yield(row, nil) {
					return
				}
				if cap(in.bytes)-len(in.bytes) < roomForRow {
					in.release()
					in = newValues()
				}
				in.users.Add(1)
				row = storedRow{id: id, parts: in.row(), in: in}
				prefix = append(prefix[:0], e.Key[:last]...)
			}
			row.parts = append(row.parts, storedPart{e.Key[last], store.Record{Value: in.add(e.Value), Revision: e.Revision}})
		}
		if row.parts != nil {
			yield(row, nil)
		}
	}
}

func (r storedRow) state() (*state, error) {
	s := new(state)
	for _, p := range r.parts {
		if err := s.setPart(p.part, p.Record); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (h *Hub) storedUpdate(r storedRow) (index.Update, error) {
	u := index.Update{ID: r.id}
	for _, p := range r.parts {
		if err := h.setUpdate(&u, p.part, p.Value); err != nil {
			return u, err
		}
	}
	return u, nil
}

// IndexStats says what the query index holds, and whether it is ready.
func (h *Hub) IndexStats() index.Stats { return h.index.Stats() }
