package memory

import (
	"iter"
	"sync/atomic"

	"github.com/hubtwin/hubtwin/store"
)

// view is a [store.View]: a picture until it is closed.
type view struct {
	position store.Position
	picture  atomic.Pointer[picture] // nil once closed
}

func (v *view) Position() store.Position { return v.position }

func (v *view) Get(key []byte) (store.Record, bool, error) {
	p := v.picture.Load()
	if p == nil {
		return store.Record{}, false, store.ErrClosed
	}
	r, ok := p.records.Get(string(key))
	return r, ok, nil
}

func (v *view) Scan(start, end []byte) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		p := v.picture.Load()
		if p == nil {
			yield(store.Entry{}, store.ErrClosed)
			return
		}
		p.records.Ascend(string(start), func(key string, r store.Record) bool {
			if end != nil && key >= string(end) {
				return false
			}
			return yield(store.Entry{Key: []byte(key), Record: r}, nil)
		})
	}
}

func (v *view) Last(start, end []byte) (last store.Entry, ok bool, err error) {
	p := v.picture.Load()
	if p == nil {
		return store.Entry{}, false, store.ErrClosed
	}
	below := func(key string, r store.Record) bool {
		if end != nil && key >= string(end) {
			return true // end itself, which is not in the range
		}
		if ok = key >= string(start); ok {
			last = store.Entry{Key: []byte(key), Record: r}
		}
		return false
	}
	if end == nil {
		p.records.Reverse(below)
	} else {
		p.records.Descend(string(end), below)
	}
	return last, ok, nil
}

func (v *view) Events(after store.Position) iter.Seq2[store.Event, error] {
	return func(yield func(store.Event, error) bool) {
		p := v.picture.Load()
		if p == nil {
			yield(store.Event{}, store.ErrClosed)
			return
		}
		p.events.Ascend(uint64(after), func(at uint64, bodies [][]byte) bool {
			if at == uint64(after) {
				return true
			}
			for i, body := range bodies {
				if !yield(store.Event{Position: store.Position(at), Index: i, Body: body}, nil) {
					return false
				}
			}
			return true
		})
	}
}

func (v *view) Close() error {
	v.picture.Store(nil)
	return nil
}
