package pebble

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/queue"
)

// Format is the version of the layout on disk that this program writes and
// knows. It changes when older programs could no longer read the result.
const Format = 1

// engineFormat is the engine's own version of its files. It is set by hand, as
// the engine's default is the oldest it can write.
const engineFormat = engine.FormatValueSeparation

var (
	// ErrInUse is wrapped by Open when another process has the directory.
	ErrInUse = errors.New("store: directory is in use")
	// ErrFormat is wrapped by Open when the directory is not a store, or not
	// one that this program knows.
	ErrFormat = errors.New("store: format is not known")
)

// Open opens the store in dir, or creates it if dir is empty or missing.
func Open(dir string, opts Options) (*Store, error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = 128 << 20
	}
	if err := opts.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := checkDirectory(opts.FS, dir); err != nil {
		return nil, err
	}
	lock, err := engine.LockDirectory(dir, opts.FS)
	if pathErr := (*os.PathError)(nil); errors.As(err, &pathErr) {
		return nil, fmt.Errorf("store: lock %s: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: another process has %s open (%w); stop it first, or use another directory", ErrInUse, dir, err)
	}
	s := &Store{lock: lock, log: opts.Logger, ended: make(chan struct{})}
	s.pictures.unused.L = &s.pictures.mu
	if err := s.open(dir, opts, lock); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// open starts the engine and the committer.
func (s *Store) open(dir string, opts Options, lock *engine.Lock) (err error) {
	o := s.engineOptions(opts)
	o.Lock = lock
	s.db, err = startEngine(dir, o)
	if err != nil {
		if _, format, ok := strings.Cut(err.Error(), "unknown format major version"); ok {
			return fmt.Errorf("%w: the files in %s have engine format%s, this program knows up to %d; run the hubtwin that wrote them, or a newer one", ErrFormat, dir, format, engineFormat)
		}
		return fmt.Errorf("store: open %s: %w", dir, err)
	}
	position, err := s.readMeta(dir)
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	if err := s.pictures.show(position, s.db.NewSnapshot()); err != nil {
		return errors.Join(err, s.db.Close())
	}
	s.in, s.out = queue.NewSubmissions(), queue.NewCommits(position)
	c := &committer{
		store: s, position: position, batch: s.db.NewBatch(),
		recent: newRevisions(), written: map[string]store.Revision{},
	}
	go c.run()
	return nil
}

// startEngine opens the engine in a goroutine of its own, because the engine
// may end it; see engineLogger.
func startEngine(dir string, o *engine.Options) (*engine.DB, error) {
	var db *engine.DB
	err := errors.New("the engine gave up; the log says why")
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		db, err = engine.Open(dir, o)
	}()
	<-opened
	return db, err
}

// blockSize is that of the engine's blocks before they are compressed, in bytes.
// The usual 4 KiB hold three twins: a walk over a million would spend a fifth of
// its time on taking up and dropping blocks, and the files would be larger by
// half. A single record that is in no cache costs some 20 µs more for it.
const blockSize = 32 << 10

func (s *Store) engineOptions(opts Options) *engine.Options {
	o := &engine.Options{
		FS:                 logGuard{opts.FS, s},
		Logger:             engineLogger{s},
		EventListener:      s.listener(),
		FormatMajorVersion: engineFormat,
		CacheSize:          opts.CacheBytes,
		// A large memtable lets hot records be overwritten in memory before
		// they reach a file; four of them bound what a slow disk may owe.
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		// Compacting is 40 % of the work of busy writers. Eight sublevels
		// instead of two save a quarter of all CPU time; the filters below spare
		// reads of single records most of the sublevels.
		L0CompactionThreshold:      8,
		L0StopWritesThreshold:      1000,
		LBaseMaxBytes:              64 << 20,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		// Smooths the load of a large file on the disk that the log shares.
		BytesPerSync: 1 << 20,
	}
	for i := range o.Levels {
		// Creating a record looks for one that is not there.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].BlockSize = blockSize
	}
	return o
}

// checkDirectory refuses a directory that holds something other than an engine.
func checkDirectory(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	desc, err := engine.Peek(dir, fs)
	if err == nil && desc.Exists {
		return nil
	}
	if i := slices.IndexFunc(names, foreign); i >= 0 {
		return fmt.Errorf("%w: %s is not a store, it holds %q; use an empty directory", ErrFormat, dir, names[i])
	}
	return nil
}

// foreign tells whether name can't be left over from an engine that was
// interrupted while it was being created.
func foreign(name string) bool {
	if name == "LOCK" || name == "lost+found" {
		return false
	}
	for _, prefix := range []string{"marker.", "MANIFEST-", "OPTIONS-", "temporary."} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return !strings.HasSuffix(name, ".log") && !strings.HasSuffix(name, ".dbtmp")
}

// readMeta checks the format and finds the position, or makes an empty engine a
// store.
func (s *Store) readMeta(dir string) (store.Position, error) {
	format, err := s.meta(formatKey)
	if err != nil {
		return 0, fmt.Errorf("store: open %s: %w", dir, err)
	}
	if format == nil {
		return 0, s.create(dir)
	}
	if len(format) != 8 {
		return 0, fmt.Errorf("%w: the format record in %s is damaged", ErrFormat, dir)
	}
	if f := binary.BigEndian.Uint64(format); f != Format {
		return 0, fmt.Errorf("%w: %s has format %d, this program knows %d; run the hubtwin that wrote it, or a newer one", ErrFormat, dir, f, Format)
	}
	id, err := s.meta(idKey)
	if err != nil {
		return 0, fmt.Errorf("store: open %s: %w", dir, err)
	}
	position, err := s.meta(positionKey)
	if err != nil {
		return 0, fmt.Errorf("store: open %s: %w", dir, err)
	}
	if len(id) != 16 || len(position) != 8 {
		return 0, fmt.Errorf("%w: the id or position record in %s is damaged", ErrFormat, dir)
	}
	s.id = hex.EncodeToString(id)
	return store.Position(binary.BigEndian.Uint64(position)), nil
}

// meta reads a record of the meta table; nil if there is none.
func (s *Store) meta(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.Clone(value), closer.Close()
}

// create writes the meta records, unless the engine is someone else's.
func (s *Store) create(dir string) error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("store: create: %w", err)
	}
	used := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("store: create: %w", err)
	}
	if used {
		return fmt.Errorf("%w: %s holds a database of another program; use an empty directory", ErrFormat, dir)
	}
	id := make([]byte, 16)
	rand.Read(id)
	s.id = hex.EncodeToString(id)
	b := s.db.NewBatch()
	defer b.Close()
	err = errors.Join(
		b.Set(formatKey, binary.BigEndian.AppendUint64(nil, Format), nil),
		b.Set(idKey, id, nil),
		b.Set(positionKey, binary.BigEndian.AppendUint64(nil, 0), nil),
		s.write(b),
	)
	if err != nil {
		return fmt.Errorf("store: create: %w", err)
	}
	return nil
}
