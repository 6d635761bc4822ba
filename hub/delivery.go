package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/route"
)

// Bounds of what an endpoint is offered at a time: few receivers of webhooks take
// more than a megabyte.
const (
	maxOffer      = 100
	maxOfferBytes = 256 << 10 // of bodies, unless one alone has more
)

// Time between two attempts: it doubles, and half of it is left to chance.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// waiting is what the stream of an endpoint keeps. The time is longer than any
// event is offered, so what is too old goes to the dead letters and not away.
var waiting = eventlog.Retention{Age: eventlog.MaxAge}

// deliverer is the group that keeps the position of an endpoint.
const deliverer = "$delivery"

// deliveries carries events from the streams of custom endpoints to the endpoints.
// Each has a goroutine and a stream of its own, so one that is slow, or hangs,
// holds up nobody; what waits for it is bounded by its stream.
type deliveries struct {
	hubName string
	log     *slog.Logger
	events  *eventlog.Log
	outside route.Outside

	mu      sync.Mutex
	running []*delivery // in the order of the configuration
}

// delivery is that of one endpoint.
type delivery struct {
	of       *deliveries
	settings route.Custom
	log      *slog.Logger
	stop     context.CancelFunc
	done     chan struct{}

	// endpoint and dead are its goroutine's.
	endpoint route.Endpoint
	dead     *route.DeadLetters // nil if there is no place for them
	// next is the pause before the next attempt; 0 if the last one did not fail.
	next time.Duration
	// alone is how many events are offered one by one, because they were refused
	// together.
	alone int

	status *deliveryStatus
}

// deliveryStatus is shared with a delivery to the same endpoint with other settings.
type deliveryStatus struct {
	mu sync.Mutex
	EndpointStatus
	position uint64 // in the stream
}

// Health is the state of an endpoint, in the words of the service's endpoint
// health.
type Health string

// Healths of endpoints.
const (
	HealthUnknown   Health = "unknown"   // nothing was offered to it since the hub began
	HealthHealthy   Health = "healthy"   // it took what it was offered last
	HealthUnhealthy Health = "unhealthy" // it did not, and is offered it again
	HealthDead      Health = "dead"      // it did not, for so long that events go elsewhere
)

// EndpointStatus is how it goes with a custom endpoint. Counts are since the hub
// was opened.
type EndpointStatus struct {
	Name, Kind string
	Health     Health
	// LastError is why the last attempt failed that did, at LastErrorTime.
	LastError     string
	LastErrorTime time.Time
	LastSuccess   time.Time
	LastAttempt   time.Time
	Backlog       int64     // events that wait
	Oldest        time.Time // of those that are being offered; zero if none are
	Delivered     int64
	DeadLettered  int64
	// Dropped counts events that are nowhere any more: the stream had no place
	// for them, or there was no place for dead letters.
	Dropped int64
}

// EndpointStatus tells how it goes with the custom endpoints.
func (h *Hub) EndpointStatus(who auth.Principal) ([]EndpointStatus, error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return nil, err
	}
	return h.EndpointStats(), nil
}

// EndpointStats is EndpointStatus for whoever runs the hub.
func (h *Hub) EndpointStats() []EndpointStatus {
	d := h.deliveries
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]EndpointStatus, 0, len(d.running))
	for _, r := range d.running {
		list = append(list, r.status.now(d.events))
	}
	return list
}

func (s *deliveryStatus) now(events *eventlog.Log) EndpointStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if info, err := events.Info(s.Name); err == nil {
		s.Backlog = max(0, int64(info[0].Next-max(s.position, info[0].First)))
	}
	return s.EndpointStatus
}

// makeStreams makes the streams of endpoints. New ones, which are not among old,
// begin with nothing.
func (d *deliveries) makeStreams(endpoints, old []route.Custom) error {
	for _, c := range endpoints {
		if !slices.ContainsFunc(old, func(o route.Custom) bool { return o.Name == c.Name }) {
			if err := d.events.Remove(c.Name); err != nil {
				return err
			}
		}
		if err := d.events.Make(c.Name, waiting); err != nil {
			return err
		}
	}
	return nil
}

// replace lets deliveries to endpoints run, and ends all others. Those whose
// settings stay go on. What waits for an endpoint that is gone is forgotten. Only
// one call may be under way.
func (d *deliveries) replace(endpoints []route.Custom) {
	next := make([]*delivery, len(endpoints))
	statuses := make([]*deliveryStatus, len(endpoints))
	var gone []*delivery
	// All that must end has ended before anything begins: endpoints may have
	// exchanged what they write to.
	for _, r := range d.running {
		i := slices.IndexFunc(endpoints, func(c route.Custom) bool { return c.Name == r.settings.Name })
		switch {
		case i >= 0 && endpoints[i].Equal(r.settings):
			next[i] = r
			continue
		case i >= 0:
			statuses[i] = r.status
		default:
			gone = append(gone, r)
		}
		r.end()
	}
	for i, c := range endpoints {
		if next[i] == nil {
			next[i] = d.begin(c, cmp.Or(statuses[i], new(deliveryStatus)))
		}
	}
	d.mu.Lock()
	d.running = next
	d.mu.Unlock()
	for _, r := range gone {
		if err := d.events.Remove(r.settings.Name); err != nil {
			d.log.Error("forget what waits for an endpoint", slog.String("endpoint", r.settings.Name), slog.Any("error", err))
		}
	}
}

// close ends all deliveries. They go on when the hub is opened again.
func (d *deliveries) close() {
	for _, r := range d.running {
		r.stop()
	}
	for _, r := range d.running {
		r.end()
	}
}

func (d *deliveries) begin(c route.Custom, status *deliveryStatus) *delivery {
	ctx, stop := context.WithCancel(context.Background())
	r := &delivery{
		of: d, settings: c, log: d.log.With(slog.String("endpoint", c.Name)),
		stop: stop, done: make(chan struct{}), status: status,
	}
	status.mu.Lock()
	status.Name, status.Kind, status.Health, status.LastError = c.Name, c.Kind, HealthUnknown, ""
	status.mu.Unlock()
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
	return r
}

func (r *delivery) end() {
	r.stop()
	<-r.done
}

// run delivers until ctx ends.
func (r *delivery) run(ctx context.Context) {
	r.endpoint, r.dead = r.of.outside.Open(r.settings, r.of.hubName), r.of.outside.OpenDeadLetters(r.settings.Name)
	defer func() {
		if err := r.endpoint.Close(); err != nil {
			r.log.Warn("close the endpoint", slog.Any("error", err))
		}
	}()
	for ctx.Err() == nil {
		if err := r.deliver(ctx); ctx.Err() == nil {
			r.log.Error("read what waits for the endpoint", slog.Any("error", err))
			pause(ctx, lastPause)
		}
	}
	if r.dead != nil {
		if err := r.dead.Close(); err != nil {
			r.log.Warn("close the dead letters", slog.Any("error", err))
		}
	}
}

// deliver reads the stream from where the endpoint was, and offers what it finds,
// until that fails or ctx ends.
func (r *delivery) deliver(ctx context.Context) error {
	name := r.settings.Name
	at, err := r.of.events.Kept(name, deliverer)
	if err == nil && at == nil {
		at, err = r.of.events.Start(name)
	}
	if err != nil {
		return err
	}
	reader, err := r.of.events.Read(name, at)
	if err != nil {
		return err
	}
	r.status.set(func(s *deliveryStatus) { s.position = at[0] })
	for {
		records, gaps, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		for _, g := range gaps {
			r.drop(int(g.To-g.From), "they are too many, or too old, for what may wait for an endpoint")
		}
		for events := r.decode(records); len(events) > 0; {
			n, err := r.offer(ctx, events[:r.offerSize(events)])
			if err != nil {
				return err
			}
			if err := r.keep(ctx, events[n-1].Sequence+1); err != nil {
				return err
			}
			events = events[n:]
		}
	}
}

func (r *delivery) decode(records []eventlog.Record) []message.Stored {
	events := make([]message.Stored, 0, len(records))
	for _, record := range records {
		e := message.Stored{Partition: record.Partition, Sequence: record.Sequence, Offset: record.Offset}
		if err := e.Decode(record.Body); err != nil {
			r.drop(1, err.Error())
			continue
		}
		e.Enqueued = record.Time
		events = append(events, e)
	}
	return events
}

// offerSize is how many events make one offer.
func (r *delivery) offerSize(events []message.Stored) int {
	if r.alone > 0 {
		r.alone--
		return 1
	}
	size := 0
	for n := range events {
		if size += len(events[n].Body); n == maxOffer || n > 0 && size > maxOfferBytes {
			return n
		}
	}
	return len(events)
}

// keep notes that all events before next are settled.
func (r *delivery) keep(ctx context.Context, next uint64) error {
	if err := r.of.events.Keep(ctx, r.settings.Name, deliverer, eventlog.Position{next}); err != nil {
		return fmt.Errorf("keep the position: %w", err)
	}
	r.status.set(func(s *deliveryStatus) { s.position, s.Oldest = next, time.Time{} })
	return r.of.events.Release(ctx, r.settings.Name, next)
}

// offer offers events until some are settled, the first n of them: the endpoint
// has taken them, or they are dead letters. The error is ctx's.
func (r *delivery) offer(ctx context.Context, events []message.Stored) (n int, err error) {
	reason := r.status.lastError()
	for {
		// An endpoint gets at least one attempt, also after the hub was off for long.
		if n := r.expired(events); r.next > 0 && n > 0 && r.bury(events[:n], reason) {
			return n, nil
		}
		err := r.attempt(ctx, events)
		refused := errors.Is(err, route.ErrRefused)
		switch {
		case err == nil:
			return len(events), nil
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case refused && len(events) > 1:
			// All but the first one, which is offered by itself right now.
			r.alone, events = len(events)-1, events[:1]
			continue
		case refused && r.bury(events, err.Error()):
			return 1, nil
		}
		reason = err.Error()
		if err := pause(ctx, max(r.next, firstPause)); err != nil {
			return 0, err
		}
	}
}

// expired is how many events, from the first one on, were offered for long enough.
func (r *delivery) expired(events []message.Stored) int {
	limit := time.Now().Add(-r.settings.For)
	for n := range events {
		if events[n].Enqueued.After(limit) {
			return n
		}
	}
	return len(events)
}

// attempt offers events once.
func (r *delivery) attempt(ctx context.Context, events []message.Stored) error {
	begun := now()
	r.status.set(func(s *deliveryStatus) { s.LastAttempt, s.Oldest = begun, events[0].Enqueued })
	err := r.endpoint.Deliver(ctx, events)
	if ctx.Err() != nil && err != nil {
		return err // it says nothing about the endpoint
	}
	// Who refuses events is there, and may take others.
	failing := err != nil && !errors.Is(err, route.ErrRefused)
	switch {
	case failing && r.next == 0:
		r.next = firstPause
		r.log.Warn("the endpoint takes no events; the hub goes on trying", slog.Any("error", err))
	case failing:
		r.next = min(2*r.next, lastPause)
	case r.next > 0:
		r.next = 0
		r.log.Info("the endpoint takes events again")
	}
	r.status.set(func(s *deliveryStatus) {
		switch {
		case err == nil:
			s.Delivered += int64(len(events))
			s.LastSuccess, s.Health = now(), HealthHealthy
			return
		case !failing:
			s.Health = HealthHealthy
		case s.Health != HealthDead:
			s.Health = HealthUnhealthy
		}
		s.LastError, s.LastErrorTime = err.Error(), now()
	})
	return err
}

// bury makes dead letters of events, and tells whether that is settled.
func (r *delivery) bury(events []message.Stored, reason string) bool {
	if r.next > 0 {
		r.status.set(func(s *deliveryStatus) { s.Health = HealthDead })
	}
	if r.dead == nil {
		r.drop(len(events), "there is no place for dead letters: "+reason)
		return true
	}
	if err := r.dead.Add(events, reason, time.Now()); err != nil {
		r.log.Error("write dead letters", slog.Any("error", err))
		r.status.set(func(s *deliveryStatus) { s.LastError, s.LastErrorTime = err.Error(), now() })
		return false
	}
	r.log.Warn("events are dead letters now", slog.Int("events", len(events)), slog.String("reason", reason))
	r.status.set(func(s *deliveryStatus) { s.DeadLettered += int64(len(events)) })
	return true
}

// drop counts events that are nowhere any more.
func (r *delivery) drop(n int, reason string) {
	r.log.Error("events for the endpoint are lost", slog.Int("events", n), slog.String("reason", reason))
	r.status.set(func(s *deliveryStatus) { s.Dropped += int64(n) })
}

// pause waits for half of a time to all of it.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *deliveryStatus) set(f func(*deliveryStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *deliveryStatus) lastError() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.LastError
}
