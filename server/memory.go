package server

import (
	"context"
	"os"
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
	for tick := time.NewTicker(tuneEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		st := s.Hub.IndexStats()
		want := garbagePercent(liveHeap(), st.ColumnBytes+st.DocumentBytes)
		if want < set-2 || want > set+2 {
			debug.SetGCPercent(want)
			set = want
		}
	}
}

// garbagePercent is the percentage for a heap of live bytes of which index are
// those of the index.
func garbagePercent(live, index int64) int {
	index = min(index, live)
	if live <= 0 {
		return 100
	}
	return int((100*(live-index) + indexShare*index) / live)
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
