package hub_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

// BenchmarkReportWithRoutes measures what routes cost a reported patch: on a store
// in memory, where a patch costs least, with one device and 64 patches in flight.
func BenchmarkReportWithRoutes(b *testing.B) {
	for _, c := range []struct{ name, routing string }{
		{"none", `{}`},
		{"another source", `{"routes":[{"name":"r","source":"DeviceLifecycleEvents","endpointNames":["events"]}]}`},
		{"all twin changes", `{"routes":[{"name":"r","source":"TwinChangeEvents","endpointNames":["events"]}]}`},
		{"a condition that fails", `{"routes":[{"name":"r","source":"TwinChangeEvents","condition":"$body.properties.reported.battery.level > 1000 AND $twin.tags.site = 'Oslo'","endpointNames":["events"]}]}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := memory.New()
			defer m.Close()
			h := open(b, m)
			defer h.Close()
			d := connect(b, h, register(b, h, "d1"), newRecorder(), true)
			defer d.Close()
			setRouting(b, h, c.routing)
			var slots sync.WaitGroup
			free := make(chan struct{}, 64)
			b.ReportAllocs()
			b.ResetTimer()
			for n := range b.N {
				free <- struct{}{}
				slots.Add(1)
				d.Report(fmt.Appendf(nil, `{"battery":{"level":%d,"charging":false},"temperature":{"value":21.5,"unit":"C"}}`, n%100), twin.Rules{}, hub.AnyVersion, func(_ int64, err error) {
					if err != nil {
						b.Error(err)
					}
					<-free
					slots.Done()
				})
			}
			slots.Wait()
		})
	}
}
