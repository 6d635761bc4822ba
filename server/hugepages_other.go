//go:build !linux

package server

// adviseHugePages does nothing: these systems need no advice, or heed none.
func adviseHugePages([]byte) {}
