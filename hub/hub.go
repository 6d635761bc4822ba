package hub

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/blob"
	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/presence"
	"github.com/hubtwin/hubtwin/route"
	"github.com/hubtwin/hubtwin/store"
)

// Config is what a hub needs.
type Config struct {
	Store store.Store
	Log   *slog.Logger
	// Name is what the hub calls itself in events; "" means "localhost".
	Name string
	// CacheBytes bounds the memory for decoded twins; 0 means 256 MiB.
	CacheBytes int64
	// KeepEvents is how many of the newest commits keep their events in the
	// event log; 0 means 1,000,000.
	KeepEvents uint64
	// Blobs is where devices upload files to; nil for nowhere.
	Blobs *blob.Store
	// Events says what the event log keeps.
	Events eventlog.Config
	// Outside is what endpoints of routes may reach.
	Outside route.Outside
	// Index bounds the query index. Its Activity is the hub's business.
	Index index.Config
	// ObserveQuery, unless nil, is told of each query, how it ended and how long
	// it took. It is called from many goroutines.
	ObserveQuery func(QueryOutcome, time.Duration)
	// ObserveMethod, unless nil, is told of each direct method whose caller had
	// the right to call. It is called from many goroutines.
	ObserveMethod func(MethodObservation)
	// Messages are the rules for messages to devices; the zero value means
	// c2d.DefaultRules.
	Messages c2d.Rules
	// MaxFeedback bounds the records of feedback that wait for a back end; 0
	// means 100,000. The oldest go first.
	MaxFeedback int
}

// Hub carries out use cases. All methods may be called from many goroutines.
// Errors that a caller can act on are *fault.Error.
type Hub struct {
	store  store.Store
	log    *slog.Logger
	heads  *heads
	events *eventlog.Log
	out    *outgoing

	blobs   *blob.Store // nil if there is none
	uploads sync.Mutex  // held while one begins
	table   presence.Table
	states  connectionStates // of the table
	keep    uint64
	secret  [32]byte // seals continuation tokens
	epoch   uint64   // counts the runs of the hub on this store

	policies    map[string]auth.Policy
	authorities authorities

	changingRouting sync.Mutex // held around deliveries.replace as well
	deliveries      *deliveries

	index        *index.Index
	loss         sync.Once     // of the index
	heavy        chan struct{} // places of queries that go on for long
	observeQuery func(QueryOutcome, time.Duration)

	observeMethod func(MethodObservation)
	leaving       chan struct{} // closed by HangUp
	hangUp        sync.Once
	rules         c2d.Rules
	messages      messageCounters
	locks         locks
	expiry        expiry
	feedback      feedback

	trim      chan store.Position // holds the newest commit that the trimmer has not heard of
	stop      context.CancelFunc
	followers sync.WaitGroup
}

// Open readies a hub on c.Store: it makes what a new store lacks (shared access
// policies with fresh keys, a secret) and starts the followers. Close it before
// the store.
func Open(ctx context.Context, c Config) (*Hub, error) {
	if c.CacheBytes == 0 {
		c.CacheBytes = 256 << 20
	}
	if c.KeepEvents == 0 {
		c.KeepEvents = 1_000_000
	}
	if c.ObserveQuery == nil {
		c.ObserveQuery = func(QueryOutcome, time.Duration) {}
	}
	if c.ObserveMethod == nil {
		c.ObserveMethod = func(MethodObservation) {}
	}
	if c.Messages == (c2d.Rules{}) {
		c.Messages = c2d.DefaultRules()
	}
	if c.MaxFeedback == 0 {
		c.MaxFeedback = 100_000
	}
	if err := checkRules(c.Messages); err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	if c.Name == "" {
		c.Name = "localhost"
	}
	h := &Hub{
		out:   &outgoing{hubName: c.Name, log: c.Log},
		store: c.Store, log: c.Log, keep: c.KeepEvents, blobs: c.Blobs, observeQuery: c.ObserveQuery,
		heads: newHeads(c.Store, c.CacheBytes),
		trim:  make(chan store.Position, 1),

		observeMethod: c.ObserveMethod, leaving: make(chan struct{}),
		rules: c.Messages, expiry: expiry{sooner: make(chan struct{}, 1)},
	}
	if err := h.openSettings(ctx); err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	var err error
	if h.events, err = eventlog.Open(c.Store, c.Events); err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	if err := h.events.Make(FileNotifications, eventlog.Retention{Age: notificationTime}); err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	if err := h.feedback.open(c.Store, c.MaxFeedback); err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	h.heads.out, h.heads.events = h.out, h.events
	h.deliveries = &deliveries{hubName: c.Name, log: c.Log, events: h.events, outside: c.Outside}
	h.states = connectionStates{
		table: &h.table, out: h.out, run: h.epoch, changed: map[device.ID]stateChange{}, sooner: make(chan struct{}, 1),
	}
	if err := h.openRouting(); err != nil {
		return nil, fmt.Errorf("open hub: routing: %w", err)
	}
	follower, err := c.Store.Follow()
	if err != nil {
		return nil, fmt.Errorf("open hub: follow commits: %w", err)
	}
	projection, err := c.Store.Follow()
	if err != nil {
		follower.Close()
		return nil, fmt.Errorf("open hub: follow commits: %w", err)
	}
	c.Index.Activity = h.lastActivity
	h.index = index.New(c.Index)
	h.heavy = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	h.followers.Go(func() { h.follow(run, follower) })
	h.followers.Go(func() { h.project(run, projection) })
	h.followers.Go(func() { h.trimEvents(run) })
	h.followers.Go(func() { h.events.Run(run, h.log) })
	h.followers.Go(func() { h.sweepUploads(run) })
	h.followers.Go(func() { h.expireMessages(run) })
	h.followers.Go(func() { h.gatherFeedback(run) })
	h.followers.Go(func() { h.tellStates(run) })
	h.deliveries.replace(h.out.routing.Load().config.Custom())
	return h, nil
}

// Close ends the followers and the deliveries. The front ends must have ended before.
func (h *Hub) Close() {
	h.stop()
	h.deliveries.close()
	h.followers.Wait()
}

// openSettings reads the hub's own records, or writes them on first start, and
// counts the run.
func (h *Hub) openSettings(ctx context.Context) error {
	v, err := h.store.View()
	if err != nil {
		return err
	}
	defer v.Close()

	var b store.Batch
	secret, ok, err := v.Get(keySecret)
	if err != nil {
		return err
	}
	if ok {
		copy(h.secret[:], secret.Value)
	} else {
		rand.Read(h.secret[:])
		b.Writes = append(b.Writes, store.Write{Key: keySecret, Value: h.secret[:], Revision: store.NewRevision()})
	}

	epoch, ok, err := v.Get(keyEpoch)
	if err != nil {
		return err
	}
	if ok && len(epoch.Value) == 8 {
		h.epoch = binary.BigEndian.Uint64(epoch.Value)
	}
	h.epoch++
	b.Expect = append(b.Expect, store.Expectation{Key: keyEpoch, Revision: epoch.Revision})
	b.Writes = append(b.Writes, store.Write{
		Key: keyEpoch, Value: binary.BigEndian.AppendUint64(nil, h.epoch), Revision: store.NewRevision(),
	})

	if err := h.readPolicies(v); err != nil {
		return err
	}
	if err := h.readAuthorities(v); err != nil {
		return err
	}
	if len(h.policies) == 0 {
		h.makePolicies(&b)
	}
	_, err = store.CommitBatch(ctx, h.store, b)
	return err
}

// now is the time of what happens now, in the resolution of the wire.
func now() time.Time { return time.Now().UTC().Truncate(100 * time.Nanosecond) }
