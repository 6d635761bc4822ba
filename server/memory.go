package server

import (
	"context"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The query index is most of the heap of a large hub. It lives as long as the
// hub, and a collection is quick to pass over it. To leave as much garbage beside
// it as the usual setting does would double the hub's memory for nothing.
const (
	tuneEvery = time.Second
	// indexShare is how much garbage may lie about for each byte of the index,
	// in percent. The rest of the heap has the usual 100.
	indexShare = 20
	// loadingGarbage is how much may lie about in any case while the index is built,
	// in bytes. The heap grows from nothing then, and would be collected at each
	// step of the way.
	loadingGarbage = 256 << 20
)

// tuneMemory keeps the garbage collector's percentage fitting for what the index
// holds, until ctx ends. It does nothing if GOGC says what the percentage is.
func (s *Server) tuneMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual := debug.SetGCPercent(100)
	defer debug.SetGCPercent(usual)
	set := 100
	tick := time.NewTicker(tuneEvery)
	defer tick.Stop()
	for {
		st := s.Hub.IndexStats()
		want := garbagePercent(liveHeap(), st.ColumnBytes+st.DocumentBytes, !st.Ready)
		if want < set-2 || want > set+2 {
			debug.SetGCPercent(want)
			set = want
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// The index of a large fleet is a gigabyte that is filled once, at start, and
// then read here and there by every query. In pages of 4 KiB each of them is a
// page fault first, and a miss of the processor's translation cache later.
const (
	// indexOfStore is about how large the index is for each byte of the store,
	// which is compressed.
	indexOfStore = 2
	// leastReserve is the size of an index for which the trouble is not worth it.
	leastReserve = 64 << 20
)

// reserveHeap prepares the heap for the index of the store in dir: what grows
// next is backed by huge pages, if the system has any to give. Go has no such
// switch, so this takes a piece of the heap, advises the system about its
// addresses, and gives it back without ever touching it; the heap grows into
// it. Nothing happens if GOMEMLIMIT bounds the memory: the piece would count.
func reserveHeap(dir string) {
	bytes := indexOfStore * directorySize(dir)
	if bytes < leastReserve || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	adviseHugePages(make([]byte, bytes))
	runtime.GC()
}

// directorySize is how many bytes the files in dir have.
func directorySize(dir string) (bytes int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}

// garbagePercent is the percentage for a heap of live bytes of which index are
// those of the index, which may be loading.
func garbagePercent(live, index int64, loading bool) int {
	if live <= 0 {
		return 100
	}
	index = min(index, live)
	garbage := live - index + index*indexShare/100
	if loading {
		garbage = max(garbage, loadingGarbage)
	}
	return int(100 * garbage / live)
}

// liveHeap is what the last collection found in use.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}
