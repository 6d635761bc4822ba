//go:build unix

package server

import (
	"math"
	"syscall"
)

// descriptorLimit is how many files and sockets this process may have open. Go
// has raised it, at start, as far as the process may by itself.
func descriptorLimit() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur)
}
