package hub

import (
	"context"
	"iter"

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
