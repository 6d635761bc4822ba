package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hubtwin/hubtwin/store"
)

// Entries are forgotten in steps: a partition is left alone until it is over a
// bound by a slack-th of it, and then made to keep the bound. Each step is one
// range deletion, and engines bear few of them better than many.
const slack = 16

const (
	// trimEvery is how often old entries are looked for.
	trimEvery = 20 * time.Second
	// leastGrowth is after how many bytes at least a partition is looked at
	// before that, so that a small bound does not make it a busy loop.
	leastGrowth = 64 << 10
	// releaseStep is how many entries Release forgets at least.
	releaseStep = 4096
)

// Run forgets entries that are too old or too many, until ctx ends.
func (l *Log) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.crowded:
		case <-tick.C:
		}
		if err := l.Trim(ctx, time.Now()); err != nil && ctx.Err() == nil {
			log.Error("trim the event log", slog.Any("error", err))
		}
	}
}

// Trim forgets what is too old at a time, and what is too much. What fails in one
// partition does not keep it from others.
func (l *Log) Trim(ctx context.Context, now time.Time) error {
	l.mu.RLock()
	var all []*stream
	for _, s := range l.streams {
		all = append(all, s)
	}
	l.mu.RUnlock()
	var failed []error
	for _, s := range all {
		for _, p := range s.parts {
			if err := l.trim(ctx, p, now); err != nil {
				failed = append(failed, fmt.Errorf("stream %q, partition %d: %w", s.name, p.number, err))
			}
		}
	}
	return errors.Join(failed...)
}

// Release forgets the entries of a stream with one partition before a sequence
// number, if they are many: whoever reads it has dealt with them.
func (l *Log) Release(ctx context.Context, stream string, before uint64) error {
	s, err := l.stream(stream)
	if err != nil {
		return err
	}
	if len(s.parts) != 1 {
		return fmt.Errorf("stream %q has many readers, none of which can release its entries", stream)
	}
	p := s.parts[0]
	before = min(before, p.durable.Load())
	if before < p.first.Load()+releaseStep {
		return nil
	}
	return l.forget(ctx, p, before)
}

func (l *Log) trim(ctx context.Context, p *partition, now time.Time) error {
	before, err := l.excess(p, now)
	if err != nil {
		return err
	}
	return l.forget(ctx, p, before)
}

// excess is the first entry that a partition should keep.
func (l *Log) excess(p *partition, now time.Time) (uint64, error) {
	v, err := l.store.View()
	if err != nil {
		return 0, err
	}
	defer v.Close()
	p.mu.Lock()
	end := p.offset
	p.mu.Unlock()
	first := p.first.Load()
	oldest, ok, err := p.at(v, first)
	if err != nil || !ok {
		return first, err
	}
	keep := *p.stream.keep.Load()
	bytes := uint64(keep.Bytes)
	if now.Sub(oldest.Time) <= keep.Age+keep.Age/slack && end-oldest.Offset <= bytes+bytes/slack {
		return first, nil
	}
	return p.since(v, func(r Record) bool {
		return now.Sub(r.Time) <= keep.Age && end-r.Offset <= bytes
	})
}

// forget deletes the entries before a sequence number, and notes where the
// partition goes on.
func (l *Log) forget(ctx context.Context, p *partition, before uint64) error {
	decided := make(chan error, 1)
	if !p.submitForget(l.store, before, decided) {
		return nil
	}
	select {
	case err := <-decided:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// submitForget tells whether there was anything to delete. It holds the lock, for
// a note that is older than another one must not be committed after it.
func (p *partition) submitForget(st store.Store, before uint64, decided chan<- error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	// What is before first has been deleted. To begin there keeps the deleted
	// ranges apart, where nested ones would cost an engine their square.
	first := p.first.Load()
	if before <= first || p.stream.removed.Load() {
		return false
	}
	// Readers must know before the entries are gone.
	p.first.Store(before)
	st.Submit(store.Batch{
		Clear: []store.Range{{Start: p.key(first, 0), End: p.key(before, 0)}},
		Writes: []store.Write{{
			Key: p.stateKey(), Value: partitionState{p.next, p.offset, p.last}.encode(), Revision: firstRevision,
		}},
	}, func(_ store.Position, err error) { decided <- err })
	return true
}
