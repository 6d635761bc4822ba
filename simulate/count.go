package simulate

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// counts is what all devices of a run do together.
type counts struct {
	connected, most               atomic.Int64 // now, and at one time
	connects, lost, drops         atomic.Int64
	reports, reportsDone          atomic.Int64
	telemetry, telemetryDone      atomic.Int64
	unanswered                    atomic.Int64
	desired, answered, downstream atomic.Int64
	calls, callsDone              atomic.Int64

	connect, puback, patch, method histogram
	errors                         errorCounts
}

// maxErrors is how many kinds of errors are told apart.
const maxErrors = 30

// errorCounts counts errors by what they say.
type errorCounts struct {
	mu    sync.Mutex
	kinds map[string]int64
	total int64
}

func (e *errorCounts) add(kind string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kinds == nil {
		e.kinds = map[string]int64{}
	}
	e.total++
	if _, known := e.kinds[kind]; !known && len(e.kinds) >= maxErrors {
		kind = "others"
	}
	e.kinds[kind]++
}

func (e *errorCounts) count() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

// histogram counts times in buckets: 16 to each doubling of microseconds, so that
// a value is known to 6 %.
type histogram struct {
	buckets [16 * 40]atomic.Int64
	most    atomic.Int64 // nanoseconds
}

func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < 16 {
		return int(us)
	}
	shift := bits.Len64(us) - 5 // leaves 16 to 31
	return min(16*(shift+1)+int(us>>shift)-16, 16*40-1)
}

// middle is a time that falls into the bucket.
func middle(n int) time.Duration {
	if n < 16 {
		return time.Duration(n) * time.Microsecond
	}
	shift := n/16 - 1
	low := uint64(16+n%16) << shift
	return time.Duration(low+uint64(1)<<shift/2) * time.Microsecond
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucket(d)].Add(1)
	for {
		most := h.most.Load()
		if int64(d) <= most || h.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// Latency is how long something took, from its request to its answer.
type Latency struct {
	Count int64    `json:"count"`
	P50   Duration `json:"p50"`
	P95   Duration `json:"p95"`
	P99   Duration `json:"p99"`
	Max   Duration `json:"max"`
}

// latency sums up. A quantile is known to 6 %, and never above the maximum.
func (h *histogram) latency() Latency {
	l := Latency{Max: Duration(h.most.Load())}
	var counts [len(h.buckets)]int64
	for i := range counts {
		counts[i] = h.buckets[i].Load()
		l.Count += counts[i]
	}
	for _, q := range []struct {
		share float64
		into  *Duration
	}{{.50, &l.P50}, {.95, &l.P95}, {.99, &l.P99}} {
		rank, sum := int64(q.share*float64(l.Count)), int64(0)
		for i, n := range counts {
			if sum += n; sum > rank {
				*q.into = min(Duration(middle(i)), l.Max)
				break
			}
		}
	}
	return l
}
