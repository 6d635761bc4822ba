// Package index keeps a projection of all twins in memory and answers queries
// from it: which twins satisfy a condition, in the order of their keys, and how
// they group. It is fed with what commits did, and holds nothing that the store
// does not have: at start it is built anew.
//
// It decides nothing by itself. What columns cannot tell is asked of the
// document, and [query.Matches] decides; so rows are always those of a walk over
// all documents. The tests hold it to that.
//
// # Shape
//
// The rows of a collection stand in the order of their keys, cut into chunks of
// at most 1,024. For each path that a twin of the chunk has there is a column;
// see [column] for its forms. A condition is worked out chunk by chunk, on sets
// of rows as bit masks (condition.go).
//
//	collection ─▶ chunk ─▶ keys       "pump-1" "pump-2" …
//	              chunk    documents  stored forms
//	              chunk    columns    tags.location.plant, …, deviceEtag, …
//
// # Snapshots
//
// A query reads a [Snapshot] without any lock. Everything in the tree carries
// the epoch in which it was made; taking a snapshot begins a new epoch. The one
// writer changes in place what no open snapshot can reach, and copies the rest
// (the chunk's list of columns, and the columns it changes) before it does. So
// upkeep costs nothing extra while nobody asks, and readers and the writer
// never wait for each other.
//
// Lock order: Index.mu, then paths.mu.
//
// Begin at [Index].
package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/store"
)

// Config bounds an index. The zero Config is ready to use.
type Config struct {
	// MaxPaths bounds the paths with columns in each of the two collections,
	// the hub's own not counted; 0 means 4,096. Paths beyond it work, but only
	// documents know of them.
	MaxPaths int
	// MaxBytes bounds what the columns of both collections take, about; 0 means
	// 1 GiB. Above it the paths that cost most for each row lose their columns.
	MaxBytes int64
	// Activity gives the time of the last activity of a connected identity, or
	// zero. It is called for documents that show it.
	Activity func(device.ID) time.Time
}

// ErrLoading is given (wrapped, with how far it is) to who waits for an index
// that is still being built.
var ErrLoading = errors.New("the query index is still being built")

// Index is the projection. All methods may be called from many goroutines, but
// Apply and Load only from one each.
type Index struct {
	config Config

	mu          sync.Mutex
	collections [2]collection // devices, modules
	epoch       uint64        // of what is made now
	snapshots   []uint64      // epochs of the open ones, rising
	position    store.Position
	advanced    chan struct{} // closed when position moves or err is set; nil if nobody waits
	err         error         // the projection is lost
	loading     *loading      // nil once it is ready
	columnBytes int64
	docBytes    int64
	bare        bool // no path of the users has columns, or ever will
	scratch     writer
}

// collection is the devices or the modules.
type collection struct {
	paths  *paths
	epoch  uint64 // of chunks
	chunks []*chunk
	rows   int
}

// New makes an index that waits to be loaded.
func New(c Config) *Index {
	if c.MaxPaths == 0 {
		c.MaxPaths = 4096
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 30
	}
	copies := texts{}
	x := &Index{config: c, epoch: 1, loading: newLoading(), scratch: writer{copies: copies, keep: copies.keep}}
	for i := range x.collections {
		x.collections[i].paths = newPaths(c.MaxPaths)
	}
	return x
}

// applyAtOnce is how many updates are applied under one hold of the lock, for
// which new snapshots wait.
const applyAtOnce = 64

// Apply takes in what the commits up to and including position at did, in their
// order. What Load has brought already it passes over. Queries that wait for the
// position go on. After an error, and after Fail, the projection is lost: Apply
// does nothing any more but to say so.
func (x *Index) Apply(at store.Position, updates []Update) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return x.err
	}
	if x.loading != nil {
		x.loading.keep(at, updates)
		return nil
	}
	begin := x.position
	for n, u := range updates {
		if u.Position <= begin {
			continue
		}
		if n%applyAtOnce == applyAtOnce-1 {
			x.mu.Unlock()
			x.mu.Lock()
		}
		if err := x.apply(&u); err != nil {
			x.err = fmt.Errorf("index %q: %w", u.ID, err)
			break
		}
	}
	x.advance(at)
	return x.err
}

func (x *Index) advance(at store.Position) {
	x.position = max(x.position, at)
	if x.advanced != nil {
		close(x.advanced)
		x.advanced = nil
	}
}

// writer is for changes under x.mu; settle takes note of them.
func (x *Index) writer(c *collection) *writer {
	w := &x.scratch
	w.paths, w.epoch, w.read = c.paths, x.epoch, 0
	if n := len(x.snapshots); n > 0 {
		w.read = x.snapshots[n-1]
	}
	return w
}

func (x *Index) settle(w *writer) {
	x.columnBytes += int64(w.bytes)
	x.docBytes += int64(w.docs)
	w.bytes, w.docs = 0, 0
	if x.columnBytes > x.config.MaxBytes {
		x.shrink()
	}
}

func (x *Index) apply(u *Update) error {
	c := &x.collections[0]
	if u.ID.IsModule() {
		c = &x.collections[1]
	}
	w := x.writer(c)
	defer x.settle(w)

	key := document.RowKey(u.ID)
	at := c.place(key)
	row, there := 0, false
	if at < len(c.chunks) {
		row, there = c.chunks[at].find(key)
	}
	if there && u.Deleted {
		if err := x.remove(c, w, at, row); err != nil {
			return err
		}
		there = false
	}
	if !there {
		if u.Identity == nil || u.Twin == nil {
			return nil // what is not registered has no document
		}
		var err error
		if at, row, err = x.insert(c, w, key); err != nil {
			return err
		}
	}
	return w.update(x.ownChunk(c, w, at), row, u)
}

// place is the chunk in which key is, or would be.
func (c *collection) place(key string) int { return chunkOf(c.chunks, key) }

// ownChunks makes the list of chunks the writer's.
func (x *Index) ownChunks(c *collection, w *writer) {
	if w.frozen(c.epoch) {
		c.chunks = slices.Clone(c.chunks)
	}
	c.epoch = w.epoch
}

// ownChunk makes a chunk the writer's.
func (x *Index) ownChunk(c *collection, w *writer, at int) *chunk {
	k := c.chunks[at]
	if w.frozen(k.epoch) {
		x.ownChunks(c, w)
		k = k.copy(w.epoch)
		c.chunks[at] = k
	}
	return k
}

// insert makes a row for key, and gives its place.
func (x *Index) insert(c *collection, w *writer, key string) (at, row int, err error) {
	x.ownChunks(c, w)
	c.rows++
	at = c.place(key)
	if at == len(c.chunks) {
		c.chunks = append(c.chunks, &chunk{epoch: w.epoch, keysEpoch: w.epoch})
	}
	k := x.ownChunk(c, w, at)
	row, _ = k.find(key)
	switch {
	case row == len(k.keys) && at == len(c.chunks)-1 && row >= fillRows():
		// Ids often come in order: do not leave half-full chunks behind.
		k, row = &chunk{epoch: w.epoch, keysEpoch: w.epoch}, 0
		c.chunks = append(c.chunks, k)
		at++
	case len(k.keys) == chunkRows:
		upper, err := w.split(k)
		if err != nil {
			return 0, 0, err
		}
		c.chunks = slices.Insert(c.chunks, at+1, upper)
		if row > len(k.keys) {
			row -= len(k.keys)
			k = upper
			at++
		}
	}
	w.insert(k, row, key)
	return at, row, nil
}

// remove takes a row out, and its chunk if it was the last one.
func (x *Index) remove(c *collection, w *writer, at, row int) error {
	x.ownChunks(c, w)
	c.rows--
	k := x.ownChunk(c, w, at)
	w.remove(k, row)
	if len(k.keys) == 0 {
		w.bytes -= k.columnBytes()
		c.chunks = slices.Delete(c.chunks, at, at+1)
		return nil
	}
	if at+1 == len(c.chunks) {
		at--
	}
	if at < 0 || len(c.chunks[at].keys)+len(c.chunks[at+1].keys) > joinRows() {
		return nil
	}
	upper := c.chunks[at+1]
	c.chunks = slices.Delete(c.chunks, at+1, at+2)
	return w.join(x.ownChunk(c, w, at), upper)
}

// Wait waits until the index has taken in the commits up to at. The error is
// that of ctx, or says that the projection is lost; see also ErrLoading.
func (x *Index) Wait(ctx context.Context, at store.Position) error {
	for {
		x.mu.Lock()
		if x.err != nil || x.loading == nil && x.position >= at {
			defer x.mu.Unlock()
			return x.err
		}
		if x.advanced == nil {
			x.advanced = make(chan struct{})
		}
		advanced, loading := x.advanced, x.loading
		x.mu.Unlock()
		select {
		case <-advanced:
		case <-ctx.Done():
			if loading != nil {
				return fmt.Errorf("%w (%d twins so far): %w", ErrLoading, loading.rows.Load(), ctx.Err())
			}
			return ctx.Err()
		}
	}
}

// Fail says that the projection cannot be kept up any more: every query gets
// err from now on.
func (x *Index) Fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
	x.advance(x.position)
}

// Stats says what the index holds.
func (x *Index) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := Stats{
		Ready: x.loading == nil && x.err == nil, Position: uint64(x.position),
		Devices: x.collections[0].rows, Modules: x.collections[1].rows,
		ColumnBytes: x.columnBytes, DocumentBytes: x.docBytes,
	}
	if x.loading != nil {
		s.Devices = int(x.loading.rows.Load())
	}
	for i := range x.collections {
		ps := x.collections[i].paths
		ps.mu.RLock()
		s.Paths += ps.indexed
		s.PathsRefused += ps.refused
		ps.mu.RUnlock()
	}
	return s
}
