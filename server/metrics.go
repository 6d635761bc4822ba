package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/index"
)

// newRegistry makes the metrics of one hub: those of its query index and of its
// queries, messages, methods and routes, of the process and of the Go runtime. It is
// no global registry, so that hubs in one process, as tests have them, stay apart.
func newRegistry(a admin) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		indexCollector{a.index},
		messageCollector{a.messages},
		routingCollector{a.routing},
		a.queries.total,
		a.queries.seconds,
		a.methods.success, a.methods.failure, a.methods.requestSize, a.methods.responseSize, a.methods.seconds,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// queryMetrics counts and times the queries of a hub.
type queryMetrics struct {
	total   *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newQueryMetrics() *queryMetrics {
	m := &queryMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hubtwin_queries_total",
			Help: "Queries by how they ended; each page counts. \"failed\" includes those that the hub was too busy for.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hubtwin_query_seconds",
			Help:    "How long the hub took for a page that it gave, waiting included. Network and HTTP are not.",
			Buckets: []float64{1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30},
		}),
	}
	for _, o := range hub.QueryOutcomes {
		m.total.WithLabelValues(string(o)) // shows 0 until the first
	}
	return m
}

func (m *queryMetrics) observe(o hub.QueryOutcome, took time.Duration) {
	m.total.WithLabelValues(string(o)).Inc()
	if o == hub.QueryOK {
		m.seconds.Observe(took.Seconds())
	}
}

// methodMetrics counts and times the direct methods of a hub. Names are those of
// Azure Monitor with underscores (c2d.methods.success), so that dashboards need
// few changes.
type methodMetrics struct {
	success, failure                   prometheus.Counter
	requestSize, responseSize, seconds prometheus.Histogram
}

func newMethodMetrics() *methodMetrics {
	sizes := prometheus.ExponentialBuckets(64, 4, 6) // to 64 KB; the limit is 128
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "hubtwin_c2d_methods_" + name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hubtwin_c2d_methods_" + name, Help: help, Buckets: buckets})
	}
	return &methodMetrics{
		success:      counter("success_total", "Direct methods that a device answered, with whatever status."),
		failure:      counter("failure_total", "Direct methods that failed: bad requests, devices that were not there, or did not answer."),
		requestSize:  histogram("request_size_bytes", "Payloads of direct methods.", sizes),
		responseSize: histogram("response_size_bytes", "Payloads of devices' answers.", sizes),
		seconds:      histogram("seconds", "How long answered calls took, the wait for the device to connect included.", []float64{1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300}),
	}
}

func (m *methodMetrics) observe(o hub.MethodObservation) {
	m.requestSize.Observe(float64(o.Request))
	if o.Err != nil {
		m.failure.Inc()
		return
	}
	m.success.Inc()
	m.responseSize.Observe(float64(o.Answer))
	m.seconds.Observe(o.Took.Seconds())
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

// messageCollector reads what became of messages to devices. Names are those of
// Azure Monitor, but for those that it lacks.
type messageCollector struct{ stats func() hub.MessageStats }

var messageCounters = []struct {
	desc  *prometheus.Desc
	value func(hub.MessageStats) int64
}{
	{counter("c2d_commands_ingress_success_total", "Messages to devices that back ends have sent."), func(s hub.MessageStats) int64 { return s.Sent }},
	{counter("c2d_commands_egress_complete_success_total", "Messages that devices have completed."), func(s hub.MessageStats) int64 { return s.Completed }},
	{counter("c2d_commands_egress_abandon_success_total", "How often devices have abandoned a message."), func(s hub.MessageStats) int64 { return s.Abandoned }},
	{counter("c2d_commands_egress_reject_success_total", "Messages that devices have rejected."), func(s hub.MessageStats) int64 { return s.Rejected }},
	{counter("c2d_messages_expired_total", "Messages to devices that have expired."), func(s hub.MessageStats) int64 { return s.Expired }},
	{counter("c2d_messages_delivery_count_exceeded_total", "Messages that devices have abandoned too often."), func(s hub.MessageStats) int64 { return s.DeliveryCountExceeded }},
	{counter("c2d_messages_purged_total", "Messages to devices that were purged."), func(s hub.MessageStats) int64 { return s.Purged }},
	{counter("c2d_feedback_dropped_total", "Records of feedback that were dropped because nobody fetched them."), func(s hub.MessageStats) int64 { return s.FeedbackDropped }},
}

func counter(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("hubtwin_"+name, help, nil, nil)
}

// Describe is part of [prometheus.Collector].
func (messageCollector) Describe(all chan<- *prometheus.Desc) {
	for _, c := range messageCounters {
		all <- c.desc
	}
}

// Collect is part of [prometheus.Collector].
func (m messageCollector) Collect(all chan<- prometheus.Metric) {
	s := m.stats()
	for _, c := range messageCounters {
		all <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(c.value(s)))
	}
}

// routingStats is what became of messages of devices, and how it goes with the
// custom endpoints.
type routingStats struct {
	egress    hub.EgressStats
	endpoints []hub.EndpointStatus
}

// routingCollector reads routingStats. Names are those of Azure Monitor, as far as
// it has them.
type routingCollector struct{ stats func() routingStats }

var egressCounters = []struct {
	desc  *prometheus.Desc
	value func(hub.EgressStats) int64
}{
	{counter("d2c_telemetry_egress_success_total", "Messages of devices that went to an endpoint because of a route."), func(s hub.EgressStats) int64 { return s.Success }},
	{counter("d2c_telemetry_egress_fallback_total", "Messages of devices that went where the fallback route leads."), func(s hub.EgressStats) int64 { return s.Fallback }},
	{counter("d2c_telemetry_egress_orphaned_total", "Messages of devices that no route wanted."), func(s hub.EgressStats) int64 { return s.Orphaned }},
	{counter("d2c_telemetry_egress_invalid_total", "Events that were too large with their enrichments, for each endpoint."), func(s hub.EgressStats) int64 { return s.Invalid }},
	{counter("d2c_telemetry_egress_dropped_total", "Events that were dropped before they got to an endpoint's stream, for each endpoint."), func(s hub.EgressStats) int64 { return s.Dropped }},
}

var (
	routingDeliveries = prometheus.NewDesc("hubtwin_routing_deliveries_total",
		"Events for custom endpoints by what became of them.", []string{"endpoint", "result"}, nil)
	routingBacklog = gauge("routing_backlog", "Events that wait for a custom endpoint.", "endpoint")
	routingHealthy = gauge("routing_endpoint_healthy", "1 if a custom endpoint took what it was offered last, or was offered nothing yet.", "endpoint")
)

// Describe is part of [prometheus.Collector].
func (routingCollector) Describe(all chan<- *prometheus.Desc) {
	for _, c := range egressCounters {
		all <- c.desc
	}
	for _, d := range []*prometheus.Desc{routingDeliveries, routingBacklog, routingHealthy} {
		all <- d
	}
}

// Collect is part of [prometheus.Collector].
func (c routingCollector) Collect(all chan<- prometheus.Metric) {
	s := c.stats()
	for _, c := range egressCounters {
		all <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(c.value(s.egress)))
	}
	for _, e := range s.endpoints {
		for result, n := range map[string]int64{"success": e.Delivered, "deadLettered": e.DeadLettered, "dropped": e.Dropped} {
			all <- prometheus.MustNewConstMetric(routingDeliveries, prometheus.CounterValue, float64(n), e.Name, result)
		}
		all <- prometheus.MustNewConstMetric(routingBacklog, prometheus.GaugeValue, float64(e.Backlog), e.Name)
		healthy := 0.0
		if e.Health == hub.HealthHealthy || e.Health == hub.HealthUnknown {
			healthy = 1
		}
		all <- prometheus.MustNewConstMetric(routingHealthy, prometheus.GaugeValue, healthy, e.Name)
	}
}
