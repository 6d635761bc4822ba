package index_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/internal/fleet"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

var benchTwins = flag.Int("twins", 20_000, "how many twins benchmarks work on")

// bench is an index of a synthetic fleet.
type bench struct {
	x  *index.Index
	at store.Position
}

var started = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// syntheticUpdate is the i-th twin of the fleet as it is stored.
func syntheticUpdate(b testing.TB, i int) index.Update {
	s := fleet.NewSynthetic(1, i)
	r, err := twin.ParseReplacement([]byte(`{"tags":`+string(s.Tags)+`,"properties":{"desired":`+string(s.Desired)+`}}`), twin.Rules{})
	if err != nil {
		b.Fatal(err)
	}
	tw, _, err := twin.New(started).Replace(r, started)
	if err != nil {
		b.Fatal(err)
	}
	id := device.ID{Device: s.ID}
	return index.Update{
		ID: id, Identity: &device.Identity{ID: id, Etag: "AAAAAAAAAAE=", Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS}},
		Twin: report(b, tw, string(s.Reported)).AppendBinary(nil),
	}
}

func report(b testing.TB, tw *twin.Twin, body string) *twin.Twin {
	p, err := twin.ParseReported([]byte(body), twin.Rules{})
	if err != nil {
		b.Fatal(err)
	}
	next, _, err := tw.Report(p, started.Add(time.Second))
	if err != nil {
		b.Fatal(err)
	}
	return next
}

func newBench(b *testing.B) *bench {
	n := *benchTwins
	updates := make([]index.Update, n)
	for i := range updates {
		updates[i] = syntheticUpdate(b, i)
	}
	slices.SortFunc(updates, func(x, y index.Update) int {
		if document.RowKey(x.ID) < document.RowKey(y.ID) {
			return -1
		}
		return 1
	})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	t := &bench{x: index.New(index.Config{})}
	began := time.Now()
	err := t.x.Load(b.Context(), 1, func(yield func(index.Row, error) bool) {
		for _, u := range updates {
			if !yield(index.Row{ID: u.ID, Read: func() (index.Update, error) { return u, nil }}, nil) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	t.at = 1
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.Logf("loaded %d twins in %v; %d B heap for each, %+v", n, took, (after.HeapAlloc-before.HeapAlloc)/uint64(n), t.x.Stats())
	return t
}

func BenchmarkQueries(b *testing.B) {
	t := newBench(b)
	for _, text := range []string{
		"SELECT * FROM devices WHERE tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'",
		"SELECT COUNT() AS n FROM devices WHERE tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'",
		"SELECT properties.reported.connectivity.type, COUNT() AS n FROM devices GROUP BY properties.reported.connectivity.type",
		"SELECT tags.location.plant, COUNT() AS n FROM devices GROUP BY tags.location.plant",
		"SELECT COUNT() AS n FROM devices WHERE properties.reported.battery < 20",
		"SELECT COUNT() AS n FROM devices WHERE properties.reported.temperature > 60 AND properties.reported.battery < 20",
		"SELECT tags.location.plant, AVG(properties.reported.temperature) AS t FROM devices GROUP BY tags.location.plant",
		"SELECT COUNT() AS n FROM devices WHERE STARTSWITH(properties.desired.firmware.version, '2.')",
		"SELECT COUNT() AS n FROM devices WHERE properties.desired.firmware.version != properties.reported.firmware.version",
		"SELECT * FROM devices WHERE tags.serial = 'none'",
		"SELECT COUNT() AS n FROM devices WHERE properties.reported.$metadata.$lastUpdated > '2026-01-01T00:00:00.5Z'",
		"SELECT COUNT() AS n FROM devices WHERE ARRAY_CONTAINS(properties.desired.features, 'mesh')",
		"SELECT COUNT() AS n FROM devices",
	} {
		q, err := query.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				s := t.x.Snapshot()
				if _, err := q.Run(b.Context(), s, 100, nil); err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		})
	}
}

// What a commit of one reported patch costs the index, with and without a query
// that holds a snapshot, which makes the writer copy.
func BenchmarkApply(b *testing.B) {
	t := newBench(b)
	for _, open := range []bool{false, true} {
		b.Run(fmt.Sprintf("snapshot=%v", open), func(b *testing.B) {
			var updates []index.Update
			for range 4096 {
				i := rand.IntN(*benchTwins)
				u := syntheticUpdate(b, i)
				tw, err := twin.Decode(u.Twin)
				if err != nil {
					b.Fatal(err)
				}
				tw = report(b, tw, fmt.Sprintf(`{"temperature":%d.%d,"battery":%d,"connectivity":{"type":"wifi"},"rssi":-%d}`, rand.IntN(90), rand.IntN(10), rand.IntN(100), rand.IntN(100)))
				updates = append(updates, index.Update{ID: u.ID, Twin: tw.AppendBinary(nil)})
			}
			n := 0
			var reader *index.Snapshot
			for b.Loop() {
				if open && n%8 == 0 { // a new query for every eight changes
					if reader != nil {
						reader.Close()
					}
					reader = t.x.Snapshot()
				}
				t.at++
				updates[n%len(updates)].Position = t.at
				t.x.Apply(t.at, updates[n%len(updates):n%len(updates)+1])
				n++
			}
			if reader != nil {
				reader.Close()
			}
		})
	}
}
