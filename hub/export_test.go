package hub

import (
	"context"
	"iter"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/query"
)

// The bounds of a query's first attempt.
const (
	LightTime      = lightTime
	LightDocuments = lightDocuments
)

// Search runs f as a query.
func (h *Hub) Search(ctx context.Context, f func(context.Context, *index.Snapshot) error) error {
	return h.search(ctx, f)
}

// TakeHeavyPlaces waits for all places of heavy queries, and keeps them until
// free is called.
func (h *Hub) TakeHeavyPlaces() (free func()) {
	for range cap(h.heavy) {
		h.heavy <- struct{}{}
	}
	return func() {
		for range cap(h.heavy) {
			<-h.heavy
		}
	}
}

// Walk is a source that reads the store, record by record, and knows nothing of
// the index.
type Walk struct{ *Hub }

// Documents gives all of the collection: those that satisfy the condition are
// for query.Run to find.
func (w Walk) Documents(_ context.Context, q *query.Query, after string) iter.Seq2[query.Document, error] {
	return func(yield func(query.Document, error) bool) {
		v, err := w.store.View()
		if err != nil {
			yield(nil, err)
			return
		}
		defer v.Close()
		for row, err := range storedRows(v) {
			var s *state
			if err == nil {
				s, err = row.state()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !s.registered() || row.id.IsModule() != (q.From == query.Modules) {
				continue
			}
			if d := w.document(row.id, s); d.Key() > after && !yield(d, nil) {
				return
			}
		}
	}
}

// Waiting gives the messages that wait for an identity.
func (h *Hub) Waiting(id device.ID) []c2d.Entry {
	s, err := h.heads.read(id)
	if err != nil {
		panic(err)
	}
	return s.queue.Entries()
}

// MessageRecords counts what the store has of messages: bodies, times of expiry,
// and feedback in both tables.
func (h *Hub) MessageRecords() (n struct{ Bodies, Expiries, Outcomes, Feedback int }) {
	v, err := h.store.View()
	if err != nil {
		panic(err)
	}
	defer v.Close()
	for table, count := range map[byte]*int{
		tableBodies: &n.Bodies, tableExpiries: &n.Expiries, tableOutcomes: &n.Outcomes, tableFeedback: &n.Feedback,
	} {
		for _, err := range v.Scan([]byte{table}, []byte{table + 1}) {
			if err != nil {
				panic(err)
			}
			*count++
		}
	}
	return n
}

// Locked counts the queues of which a device has messages in hand.
func (h *Hub) Locked() int {
	h.locks.mu.Lock()
	defer h.locks.mu.Unlock()
	return len(h.locks.of)
}
