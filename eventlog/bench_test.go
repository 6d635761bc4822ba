package eventlog_test

import (
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/store"
)

// BenchmarkSubmit is what the log costs: plain writes records of the size of
// entries, under new keys too.
func BenchmarkSubmit(b *testing.B) {
	body := make([]byte, 200)
	b.Run("plain", func(b *testing.B) {
		st := openPebble(b, b.TempDir())
		defer st.Close()
		var n atomic.Uint64
		inFlight(b, func(_ string, done func(store.Position, error)) {
			key := binary.BigEndian.AppendUint64([]byte("x-events-01"), n.Add(1))
			st.Submit(store.Batch{Writes: []store.Write{{Key: key, Value: make([]byte, 16+len(body)), Revision: 1}}}, done)
		})
	})
	b.Run("log", func(b *testing.B) {
		st := openPebble(b, b.TempDir())
		defer st.Close()
		l := open(b, st, eventlog.Config{})
		inFlight(b, func(device string, done func(store.Position, error)) {
			l.Submit(store.Batch{}, []eventlog.Entry{{Stream: eventlog.Events, Key: device, Time: start, Body: body}}, done)
		})
	})
}

// inFlight lets 500 submitters have four submissions under way each.
func inFlight(b *testing.B, submit func(device string, done func(store.Position, error))) {
	b.ReportAllocs()
	b.SetParallelism(500/2 + 1)
	var devices atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		device := "device-" + strconv.Itoa(int(devices.Add(1)))
		told := make(chan error, 4)
		done := func(_ store.Position, err error) { told <- err }
		flying := 0
		for pb.Next() {
			submit(device, done)
			if flying++; flying == cap(told) {
				<-told
				flying--
			}
		}
		for range flying {
			if err := <-told; err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRead reads entries of 200 bytes; an operation is one of them.
func BenchmarkRead(b *testing.B) {
	st := openPebble(b, b.TempDir())
	defer st.Close()
	l := open(b, st, eventlog.Config{})
	const kept = 100_000
	var entries []eventlog.Entry
	for i := range kept {
		entries = append(entries, eventlog.Entry{
			Stream: eventlog.Events, Key: strconv.Itoa(i), Time: start.Add(time.Duration(i)), Body: make([]byte, 200),
		})
		if len(entries) == 1000 {
			if err := submit(b, l, store.Batch{}, entries...); err != nil {
				b.Fatal(err)
			}
			entries = nil
		}
	}
	var r *eventlog.Reader
	b.ReportAllocs()
	b.ResetTimer()
	for read, n := 0, 0; n < b.N; {
		if read%kept == 0 {
			var err error
			if r, err = l.Read(eventlog.Events, make(eventlog.Position, l.Partitions())); err != nil {
				b.Fatal(err)
			}
		}
		list, _, err := r.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		read, n = read+len(list), n+len(list)
	}
}
