package server

import "syscall"

// adviseHugePages asks the system to back b with huge pages. That it can't is no
// failure: then there are small ones.
func adviseHugePages(b []byte) { syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
