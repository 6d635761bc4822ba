package pebble

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logGuard is the file system as the engine sees it. When the engine's log
// fails while it changes to a new file, the engine ends the whole process. So
// log files never seem to fail: the first failure makes the store broken, and
// from then on nothing more goes to any log file. That is safe because an
// acknowledgement depends on the store not being broken after the sync (see
// Store.write). And it is why the log must stop there: recovery takes a torn
// end in the last file only.
type logGuard struct {
	vfs.FS
	store *Store
}

func (g logGuard) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return g.FS.Create(name, category)
	}
	return g.open(func() (vfs.File, error) { return g.FS.Create(name, category) })
}

func (g logGuard) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return g.FS.ReuseForWrite(old, name, category)
	}
	return g.open(func() (vfs.File, error) { return g.FS.ReuseForWrite(old, name, category) })
}

// Unwrap is part of [vfs.FS].
func (g logGuard) Unwrap() vfs.FS { return g.FS }

// open gives the log file that open opens, or a stand-in that takes nothing.
func (g logGuard) open(open func() (vfs.File, error)) (vfs.File, error) {
	f := &logFile{File: vfs.NewMemFile(nil), store: g.store}
	f.attempt(func() error {
		opened, err := open()
		if err == nil {
			f.File = opened
		}
		return err
	})
	return f, nil
}

// logFile is a log file whose failures are the store's.
type logFile struct {
	vfs.File
	store *Store
}

// attempt does something to the disk, unless that has failed before.
func (f *logFile) attempt(do func() error) {
	if f.store.failure() != nil {
		return
	}
	if err := do(); err != nil {
		f.store.fail(err)
	}
}

func (f *logFile) Write(p []byte) (int, error) {
	f.attempt(func() error { _, err := f.File.Write(p); return err })
	return len(p), nil
}

func (f *logFile) WriteAt(p []byte, offset int64) (int, error) {
	f.attempt(func() error { _, err := f.File.WriteAt(p, offset); return err })
	return len(p), nil
}

func (f *logFile) Preallocate(offset, length int64) error {
	f.attempt(func() error { return f.File.Preallocate(offset, length) })
	return nil
}

func (f *logFile) Sync() error {
	f.attempt(f.File.Sync)
	return nil
}

func (f *logFile) SyncData() error {
	f.attempt(f.File.SyncData)
	return nil
}

func (f *logFile) SyncTo(length int64) (fullSync bool, err error) {
	f.attempt(func() error {
		full, err := f.File.SyncTo(length)
		fullSync = full
		return err
	})
	return fullSync, nil
}

// Close closes the file even when the store is broken.
func (f *logFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.store.fail(err)
	}
	return nil
}
