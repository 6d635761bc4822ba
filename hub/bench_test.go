package hub_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store/pebble"
	"github.com/hubtwin/hubtwin/twin"
)

// BenchmarkReport measures durable reported patches of about 220 bytes into twins
// of about 1 KB, on a real disk, without a front end.
func BenchmarkReport(b *testing.B) {
	for _, load := range []struct{ devices, inFlight int }{{64, 1}, {500, 4}} {
		b.Run(fmt.Sprintf("devices=%d/inflight=%d", load.devices, load.inFlight), func(b *testing.B) {
			s, err := pebble.Open(b.TempDir(), pebble.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			h := open(b, s)
			defer h.Close()
			filler := `{"firmware":{"version":"1.4.2","channel":"stable"},"site":{"name":"Redmond43","line":7,"cell":"B-12"},"limits":{"low":-40.5,"high":125.25},"notes":"` + string(make400()) + `"}`
			conns := make([]*hub.Connection, load.devices)
			for i := range conns {
				name := fmt.Sprintf("device-%04d", i)
				conns[i] = connect(b, h, register(b, h, name), newRecorder(), true)
				defer conns[i].Close()
				if _, err := report(b, conns[i], filler); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			for i, c := range conns {
				all.Go(func() {
					slots := make(chan struct{}, load.inFlight)
					for n := i; n < b.N; n += load.devices {
						slots <- struct{}{}
						body := fmt.Appendf(nil, `{"connectivity":{"type":"cellular","signal":-71,"operator":"Telenor"},"battery":{"level":%d,"charging":false},"temperature":{"value":21.5,"unit":"C"},"uptime":%d,"status":"ok"}`, n%100, n)
						c.Report(body, twin.Rules{}, hub.AnyVersion, func(_ int64, err error) {
							if err != nil {
								b.Error(err)
							}
							<-slots
						})
					}
					for range load.inFlight {
						slots <- struct{}{}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "patches/s")
		})
	}
}

func make400() []byte {
	text := make([]byte, 400)
	for i := range text {
		text[i] = 'a' + byte(i%26)
	}
	return text
}
