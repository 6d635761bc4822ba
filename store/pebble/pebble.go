// Package pebble is the embedded store: a directory on a local disk, kept by
// the pebble engine (a log-structured merge tree).
//
// One goroutine, the committer, decides batches in groups; a group is one batch
// of the engine and one fsync. Views are engine snapshots taken between groups.
// committer.go explains the order of things and is the place to begin; keys.go
// has the layout of keys, which docs/formats/store.md draws.
//
// It is not a general wrapper of the engine: only the store's contract, a
// format version, and errors a person can act upon.
//
// # When the disk fails
//
// After the first failure of a write the store is broken: nothing is
// acknowledged any more, Submit answers with that failure, and Views stay at
// the last commit known to be durable. The remedy is to mend the disk and
// start again; opening replays the engine's log, in which every acknowledged
// commit is. A few failures (to sync the directory of a new log file, for one)
// make the engine end the process, which comes to the same.
package pebble

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/queue"
)

// Options of a store. The zero value is a good one.
type Options struct {
	// FS is the file system; nil is the machine's.
	FS vfs.FS
	// Logger is told of failures and write stalls, and of the engine's doings
	// at debug level; nil is slog.Default.
	Logger *slog.Logger
	// CacheBytes bounds the cache of uncompressed blocks; 0 is 128 MiB. It is
	// taken as it is needed.
	CacheBytes int64
}

// Store is a [store.Store] on a disk.
type Store struct {
	db       *engine.DB
	lock     io.Closer
	log      *slog.Logger
	id       string
	in       *queue.Submissions
	out      *queue.Commits
	pictures pictures
	ended    chan struct{} // closed when the committer has returned

	failed atomic.Pointer[failure]
	// wedged is set when the engine gave up halfway and may hold its locks.
	wedged atomic.Bool

	close    sync.Once
	closeErr error
}

var _ store.Store = (*Store)(nil)

// failure is why a store is broken.
type failure struct{ err error }

// ID is the random name this store was given when it was created, 32
// hexadecimal digits. A copy of the directory keeps it.
func (s *Store) ID() string { return s.id }

// Submit is part of [store.Store].
func (s *Store) Submit(b store.Batch, done func(store.Position, error)) { s.in.Submit(b, done) }

// TrimEvents is part of [store.Store].
func (s *Store) TrimEvents(upTo store.Position) error { return s.in.Trim(upTo) }

// Follow is part of [store.Store].
func (s *Store) Follow() (store.Follower, error) { return s.out.Follow() }

// View is part of [store.Store].
func (s *Store) View() (store.View, error) { return s.pictures.view() }

// Close is part of [store.Store]. It waits for Views to be closed. On a broken
// store it gives the failure.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.in.Close()
		s.out.Release()
		<-s.ended
		s.out.Close()
		s.closeErr = s.closeEngine()
	})
	return s.closeErr
}

func (s *Store) closeEngine() error {
	if s.wedged.Load() {
		// The engine may never give its locks back, so leave it alone. The
		// directory stays locked until the process ends.
		return s.failure()
	}
	err := errors.Join(s.pictures.close(), s.db.Close(), s.lock.Close())
	if broken := s.failure(); broken != nil {
		return broken
	}
	if err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

// write makes b durable: it returns nil only if it is on the disk, and nothing
// of the engine has failed before.
func (s *Store) write(b *engine.Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.wedged.Store(true)
			err = fmt.Errorf("%v", r)
		}
	}()
	// Not Apply: that one ends in engineLogger.Fatalf when the fsync fails.
	if err := s.db.ApplyNoSyncWait(b, engine.Sync); err != nil {
		return err
	}
	if err := b.SyncWait(); err != nil {
		return err
	}
	// A log file does not tell the engine of its failure, but us; see logGuard.
	return s.failure()
}

// fail makes the store broken. Only the first failure counts.
func (s *Store) fail(err error) {
	if s.failed.CompareAndSwap(nil, &failure{fmt.Errorf("store: the disk failed: %w", err)}) {
		s.log.Error("store is broken: nothing more will be written until the hub is started again", "err", err)
	}
}

// failure is nil while the store works.
func (s *Store) failure() error {
	if f := s.failed.Load(); f != nil {
		return f.err
	}
	return nil
}
