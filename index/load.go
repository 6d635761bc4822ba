package index

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/store"
)

// Row is an identity in the store.
type Row struct {
	ID device.ID
	// Read decodes what is stored of it. It is called from another goroutine.
	Read func() (Update, error)
	// Done is called when nothing of the Update is needed any more; nil if
	// nobody wants to know.
	Done func()
}

// loading is what happens to an index that is not ready.
type loading struct {
	rows atomic.Int64 // so far

	// The rest is guarded by Index.mu.

	built [2][]*chunk // in any order

	// What commits did meanwhile, one Update for each identity, however many
	// commits there are.
	position store.Position
	kept     map[device.ID]*Update
	order    []device.ID
}

func newLoading() *loading { return &loading{kept: map[device.ID]*Update{}} }

func (l *loading) keep(at store.Position, updates []Update) {
	l.position = max(l.position, at)
	for _, u := range updates {
		if kept := l.kept[u.ID]; kept != nil {
			kept.merge(u)
			continue
		}
		l.kept[u.ID] = &u
		l.order = append(l.order, u.ID)
	}
}

// Load fills the index, which is empty, with the rows of the store at position
// at. They must come in the order of their keys. What Apply was told meanwhile
// follows, and then the index is ready.
func (x *Index) Load(ctx context.Context, at store.Position, rows iter.Seq2[Row, error]) error {
	b := newBuilder(x)
	err := b.read(ctx, rows)
	if workers := b.finish(); err == nil {
		err = workers
	}
	if err != nil {
		return fmt.Errorf("build the query index: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.collections {
		x.collections[i].chunks = b.chunks(i)
		for _, k := range x.collections[i].chunks {
			x.collections[i].rows += len(k.keys)
		}
	}
	l := x.loading
	x.loading = nil
	for _, id := range l.order {
		u := l.kept[id]
		if u.Position <= at {
			continue // the rows show it, or something later
		}
		if err := x.apply(u); err != nil {
			x.err = fmt.Errorf("index %q: %w", id, err)
			break
		}
	}
	x.advance(max(at, l.position))
	return x.err
}

// builder makes chunks on all processors. A chunk needs nothing of its
// neighbours, so each is one worker's.
type builder struct {
	x     *Index
	jobs  chan job
	work  sync.WaitGroup
	slots [2][]*slot // in key order
	next  [2][]Row   // gathered for the next job

	fail sync.Once
	err  error
	stop chan struct{} // closed on failure
}

type job struct {
	collection int
	rows       []Row
	slot       *slot
}

// slot is where a chunk goes.
type slot struct{ chunk *chunk }

func newBuilder(x *Index) *builder {
	b := &builder{x: x, jobs: make(chan job, 2), stop: make(chan struct{})}
	for range runtime.GOMAXPROCS(0) {
		b.work.Go(b.run)
	}
	return b
}

// read hands out the rows.
func (b *builder) read(ctx context.Context, rows iter.Seq2[Row, error]) error {
	for row, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		c := 0
		if row.ID.IsModule() {
			c = 1
		}
		if b.next[c] = append(b.next[c], row); len(b.next[c]) == fillRows() && !b.send(c) {
			return nil // finish knows why
		}
	}
	for c := range b.next {
		if len(b.next[c]) > 0 {
			b.send(c)
		}
	}
	return nil
}

func (b *builder) send(c int) bool {
	j := job{collection: c, rows: b.next[c], slot: new(slot)}
	b.slots[c] = append(b.slots[c], j.slot)
	b.next[c] = nil
	select {
	case b.jobs <- j:
		return true
	case <-b.stop:
		return false
	}
}

// finish waits for the workers.
func (b *builder) finish() error {
	close(b.jobs)
	b.work.Wait()
	return b.err
}

func (b *builder) chunks(c int) []*chunk {
	var list []*chunk
	for _, s := range b.slots[c] {
		if s.chunk != nil {
			list = append(list, s.chunk)
		}
	}
	return list
}

func (b *builder) run() {
	copies := texts{}
	writers := [2]*writer{}
	for i := range writers {
		writers[i] = &writer{paths: b.x.collections[i].paths, epoch: 1, copies: copies, keep: asItIs}
	}
	for n := 0; ; n++ {
		j, ok := <-b.jobs
		if !ok {
			return
		}
		k, err := build(writers[j.collection], j.rows)
		if err != nil {
			b.fail.Do(func() {
				b.err = err
				close(b.stop)
			})
			continue
		}
		for _, c := range k.columns {
			if c != nil {
				c.keepTexts(copies.keep)
			}
		}
		writers[j.collection].note(k, n)
		b.add(j, k, writers[j.collection])
	}
}

// add puts a chunk where it belongs.
func (b *builder) add(j job, k *chunk, w *writer) {
	b.x.loading.rows.Add(int64(len(j.rows)))
	b.x.mu.Lock()
	defer b.x.mu.Unlock()
	if len(k.keys) > 0 {
		j.slot.chunk = k
		b.x.loading.built[j.collection] = append(b.x.loading.built[j.collection], k)
	}
	w.dropRefused(k)
	b.x.settle(w)
}

// build makes a chunk.
func build(w *writer, rows []Row) (*chunk, error) {
	k := &chunk{epoch: w.epoch, keysEpoch: w.epoch}
	updates := make([]Update, 0, len(rows))
	for _, row := range rows {
		u, err := row.Read()
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", row.ID, err)
		}
		if u.Identity == nil || u.Twin == nil {
			continue // not registered
		}
		u.ID = row.ID
		updates = append(updates, u)
		key := document.RowKey(row.ID)
		k.keys = append(k.keys, key)
		w.docs += len(key) + rowBytes
	}
	k.keys = slices.Clip(k.keys)
	for range k.keys {
		k.docs.append(w, "")
	}
	for row := range updates {
		if err := w.update(k, row, &updates[row]); err != nil {
			return nil, fmt.Errorf("read %q: %w", updates[row].ID, err)
		}
	}
	for _, row := range rows {
		if row.Done != nil {
			row.Done()
		}
	}
	return k, nil
}
