package pebble

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// faultFS is errorfs.Wrap that watches reused files as well: the engine writes
// its log to those most of the time.
type faultFS struct {
	*errorfs.FS
	injector errorfs.Injector
}

func wrap(fs vfs.FS, injector errorfs.Injector) vfs.FS {
	return faultFS{errorfs.Wrap(fs, injector), injector}
}

func (fs faultFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(old, name, category)
	if err != nil {
		return nil, err
	}
	return errorfs.WrapFile(f, errorfs.InjectorFunc(func(op errorfs.Op) error {
		op.Path = name
		return fs.injector.MaybeError(op)
	})), nil
}
