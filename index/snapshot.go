package index

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// Snapshot is the index at one moment. It is a source of rows for queries, for
// one goroutine, and must be closed.
type Snapshot struct {
	// Decoded counts the documents that were handed out, or looked at to decide.
	Decoded int
	// Budget bounds what a query may use up.
	Budget Budget

	worked time.Time      // since when there was no pause
	seen   store.Position // at the last pause

	x        *Index
	epoch    uint64
	position store.Position
	chunks   [2][]*chunk
	paths    *paths // of the collection at hand
	decoder  twin.Decoder
	document document.Document
}

// Budget is what a query may use up. A zero field is no bound.
type Budget struct {
	Until     time.Time
	Documents int // that are looked at
	// Polite lets others go first again and again. While commits come in, it
	// leaves them half of the time.
	Polite bool
	// More is asked once the budget is used up: it may give another one, with
	// which the query goes on. Nil gives none.
	More func() (Budget, bool)
}

// ErrBudget is given to a query that has used up its budget.
var ErrBudget = errors.New("the query has used up its budget")

// Snapshot takes a snapshot.
func (x *Index) Snapshot() *Snapshot {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := &Snapshot{x: x, epoch: x.epoch, position: x.position}
	for i := range x.collections {
		c := &x.collections[i]
		s.chunks[i] = c.chunks
	}
	x.snapshots = append(x.snapshots, x.epoch)
	x.epoch++
	return s
}

// Close lets the writer change in place again what s has read.
func (s *Snapshot) Close() {
	if s.x == nil {
		return
	}
	x := s.x
	s.x = nil
	x.mu.Lock()
	defer x.mu.Unlock()
	at, _ := slices.BinarySearch(x.snapshots, s.epoch)
	x.snapshots = slices.Delete(x.snapshots, at, at+1)
}

// Position is the newest commit that s shows.
func (s *Snapshot) Position() store.Position { return s.position }

// collection gives the chunks that q reads, none for jobs: there are none yet.
func (s *Snapshot) collection(q *query.Query) []*chunk {
	switch q.From {
	case query.Devices:
		s.paths = s.x.collections[0].paths
		return s.chunks[0]
	case query.Modules:
		s.paths = s.x.collections[1].paths
		return s.chunks[1]
	}
	s.paths = newPaths(1)
	return nil
}

// Documents walks the documents that satisfy q.Where, in key order.
func (s *Snapshot) Documents(ctx context.Context, q *query.Query, after string) iter.Seq2[query.Document, error] {
	return func(yield func(query.Document, error) bool) {
		if err := s.check(ctx); err != nil {
			yield(nil, err)
			return
		}
		chunks := s.collection(q)
		c := s.compile(q.Where)
		var o outcome
		for _, k := range behind(worth(chunks, c), after) {
			want := k.behind(after)
			c.decide(k, &want, false, &o)
			if err := s.check(ctx); err != nil {
				yield(nil, err)
				return
			}
			asked := o.ask
			o.yes.or(&o.ask)
			for row := range o.yes.rows {
				d, err := s.look(ctx, k, row)
				if err == nil && asked.has(row) && query.Matches(q.Where, d) != query.True {
					continue
				}
				if !yield(d, err) || err != nil {
					return
				}
			}
		}
	}
}

// behind leaves out the chunks whose rows all come before a key, or at it.
func behind(chunks []*chunk, key string) []*chunk {
	from, _ := slices.BinarySearchFunc(chunks, key, func(k *chunk, key string) int {
		if k.keys[len(k.keys)-1] <= key {
			return -1
		}
		return 1
	})
	return chunks[from:]
}

// behind is the rows of k after a key; "" is before all.
func (k *chunk) behind(key string) mask {
	from, there := k.find(key)
	if there {
		from++
	}
	return rowRange(from, len(k.keys))
}

// check ends a query whose caller has gone, or that has used up its budget.
func (s *Snapshot) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := &s.Budget
	for b.Documents > 0 && s.Decoded > b.Documents || !b.Until.IsZero() && time.Now().After(b.Until) {
		if b.More == nil {
			return ErrBudget
		}
		more, ok := b.More()
		if !ok {
			return ErrBudget
		}
		*b = more
	}
	if b.Polite {
		s.pause()
	}
	return nil
}

// turn is how long a polite query works, and then pauses.
const turn = time.Millisecond

// pause lets others go first.
func (s *Snapshot) pause() {
	runtime.Gosched()
	if time.Since(s.worked) < turn {
		return
	}
	if at := s.x.newest(); at != s.seen {
		s.seen = at
		time.Sleep(turn)
	}
	s.worked = time.Now()
}

func (x *Index) newest() store.Position {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.position
}

// checkEvery is how many documents are decoded between two checks.
const checkEvery = 256

// look decodes the document of a row. It is good until the next one.
func (s *Snapshot) look(ctx context.Context, k *chunk, row int) (*document.Document, error) {
	s.Decoded++
	if s.Decoded%checkEvery == 0 {
		if err := s.check(ctx); err != nil {
			return nil, err
		}
	}
	s.document.ID = idOf(k.keys[row])
	if _, err := read(&s.document, &s.decoder, k.docs.at(row)); err != nil {
		return nil, err
	}
	if activity := s.x.config.Activity; activity != nil && s.document.Head.Connected {
		s.document.Head.LastActivity = max(s.document.Head.LastActivity, twin.Ticks(activity(s.document.ID)))
	}
	return &s.document, nil
}

// each gives f the rows of each chunk that satisfy q.Where, in key order.
func (s *Snapshot) each(ctx context.Context, q *query.Query, f func(k *chunk, rows *mask) error) error {
	chunks := s.collection(q)
	c := s.compile(q.Where)
	var o outcome
	for _, k := range worth(chunks, c) {
		if err := s.check(ctx); err != nil {
			return err
		}
		want := firstRows(len(k.keys))
		c.decide(k, &want, false, &o)
		if err := s.settle(ctx, q.Where, k, &o); err != nil {
			return err
		}
		if err := f(k, &o.yes); err != nil {
			return err
		}
	}
	return nil
}

// settle decides the rows of which columns could not tell whether e is true.
func (s *Snapshot) settle(ctx context.Context, e query.Expr, k *chunk, o *outcome) error {
	for row := range o.ask.rows {
		d, err := s.look(ctx, k, row)
		if err != nil {
			return err
		}
		if query.Matches(e, d) == query.True {
			o.yes.add(row)
		}
	}
	return nil
}
