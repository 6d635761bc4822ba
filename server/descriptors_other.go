//go:build !unix

package server

import "math"

// descriptorLimit is how many files and sockets this process may have open;
// these systems have no such limit.
func descriptorLimit() uint64 { return math.MaxUint64 }
