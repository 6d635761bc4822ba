package pebble

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hubtwin/hubtwin/store"
)

// recordSize is that of a usual twin.
const recordSize = 1300

func openBench(b *testing.B, dir string, fs vfs.FS) *Store {
	b.Helper()
	s, err := Open(dir, Options{FS: fs, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkUpdate makes durable updates of records, each of which expects the
// one before it. A chain submits its next update when the last one is durable.
func BenchmarkUpdate(b *testing.B) {
	for _, chains := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("chains=%d", chains), func(b *testing.B) {
			var syncs atomic.Int64
			s := openBench(b, b.TempDir(), wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData {
					syncs.Add(1)
				}
				return nil
			})))
			defer s.Close()
			value := make([]byte, recordSize)
			for i := range value {
				value[i] = byte(i * i >> 3)
			}
			type turn struct {
				chain int
				next  store.Revision
			}
			turns := make(chan turn, chains)
			keys := make([][]byte, chains)
			for i := range chains {
				keys[i] = fmt.Appendf(nil, "twin/device-%06d", i)
				turns <- turn{i, 1}
			}
			syncs.Store(0)
			cpu := cpuTime(b)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				at := <-turns
				// The event is a change of 200 bytes.
				batch := store.Batch{
					Expect: []store.Expectation{{Key: keys[at.chain], Revision: at.next - 1}},
					Writes: []store.Write{{Key: keys[at.chain], Value: value, Revision: at.next}},
					Events: [][]byte{value[:200]},
				}
				s.Submit(batch, func(_ store.Position, err error) {
					if err != nil {
						b.Error(err)
					}
					turns <- turn{at.chain, at.next + 1}
				})
			}
			for range chains {
				<-turns
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "batches/s")
			b.ReportMetric(float64(b.N)/float64(max(1, syncs.Load())), "batches/fsync")
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/batch")
		})
	}
}

// BenchmarkGet reads a hot record through a View of its own.
func BenchmarkGet(b *testing.B) {
	s := openBench(b, "hub", vfs.NewMem())
	defer s.Close()
	keys := make([][]byte, 1000)
	for i := range keys {
		keys[i] = binary.BigEndian.AppendUint64(nil, uint64(i))
		commitBench(b, s, store.Batch{Writes: []store.Write{{Key: keys[i], Value: make([]byte, recordSize), Revision: 1}}})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v, err := s.View()
		if err != nil {
			b.Fatal(err)
		}
		if _, ok, err := v.Get(keys[i%len(keys)]); !ok || err != nil {
			b.Fatal(ok, err)
		}
		v.Close()
	}
}

func commitBench(b *testing.B, s *Store, batch store.Batch) {
	b.Helper()
	if _, err := store.CommitBatch(b.Context(), s, batch); err != nil {
		b.Fatal(err)
	}
}
