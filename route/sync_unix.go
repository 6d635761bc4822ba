//go:build !windows

package route

import "os"

func syncNames(directory *os.File) error { return directory.Sync() }
