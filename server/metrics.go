package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/hubtwin/hubtwin/index"
)

// newRegistry makes the metrics of one hub: those of its query index, of the
// process and of the Go runtime. It is no global registry, so that hubs in one
// process, as tests have them, stay apart.
func newRegistry(stats func() index.Stats) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		indexCollector{stats},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// indexCollector reads the query index once for each scrape, so that the numbers
// of one answer belong together.
type indexCollector struct{ stats func() index.Stats }

var (
	indexReady    = gauge("index_ready", "1 once the query index is built, 0 while queries wait for it.")
	indexRows     = gauge("index_rows", "Twins in the query index.", "collection")
	indexBytes    = gauge("index_bytes", "Memory of the query index, about: its columns, and the twins with their keys.", "part")
	indexPaths    = gauge("index_paths", "Paths that have columns in the query index.")
	indexRefused  = gauge("index_paths_refused", "Paths that have no columns because of a limit. Conditions on them are decided on the twins.")
	indexPosition = gauge("index_position", "Newest commit that the query index has.")
)

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("hubtwin_"+name, help, labels, nil)
}

// Describe is part of [prometheus.Collector].
func (indexCollector) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{indexReady, indexRows, indexBytes, indexPaths, indexRefused, indexPosition} {
		all <- d
	}
}

// Collect is part of [prometheus.Collector].
func (c indexCollector) Collect(all chan<- prometheus.Metric) {
	s := c.stats()
	ready := 0.0
	if s.Ready {
		ready = 1
	}
	set := func(d *prometheus.Desc, value float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	set(indexReady, ready)
	set(indexRows, float64(s.Devices), "devices")
	set(indexRows, float64(s.Modules), "modules")
	set(indexBytes, float64(s.ColumnBytes), "columns")
	set(indexBytes, float64(s.DocumentBytes), "documents")
	set(indexPaths, float64(s.Paths))
	set(indexRefused, float64(s.PathsRefused))
	set(indexPosition, float64(s.Position))
}
