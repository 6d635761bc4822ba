package eventlog

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hubtwin/hubtwin/store"
)

// trimEvery is how often old entries are looked for.
const trimEvery = 20 * time.Second

// Run forgets entries that are too old or too many, until ctx ends.
func (l *Log) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if err := l.Trim(ctx, now); err != nil && ctx.Err() == nil {
				log.Error("trim the event log", slog.Any("error", err))
			}
		}
	}
}

// Trim forgets what is too old at a time, and what is too much.
func (l *Log) Trim(ctx context.Context, now time.Time) error {
	l.mu.RLock()
	var all []*stream
	for _, s := range l.streams {
		all = append(all, s)
	}
	l.mu.RUnlock()
	for _, s := range all {
		keep := *s.keep.Load()
		for _, p := range s.parts {
			if err := l.trim(ctx, p, keep, now); err != nil {
				return fmt.Errorf("stream %q, partition %d: %w", s.name, p.number, err)
			}
		}
	}
	return nil
}

// Release forgets the entries of a stream with one partition before a sequence
// number: whoever reads it has dealt with them. It does so in steps of some
// size: each is a range deletion.
func (l *Log) Release(ctx context.Context, stream string, before uint64) error {
	const step = 4096
	s, err := l.stream(stream)
	if err != nil {
		return err
	}
	p := s.parts[0]
	if before < p.first.Load()+step {
		return nil
	}
	return l.forget(ctx, p, min(before, p.durable.Load()))
}

func (l *Log) trim(ctx context.Context, p *partition, keep Retention, now time.Time) error {
	v, err := l.store.View()
	if err != nil {
		return err
	}
	defer v.Close()
	p.mu.Lock()
	end := p.offset
	p.mu.Unlock()
	oldest := now.Add(-keep.Age)
	var tooMuch uint64
	if end > uint64(keep.Bytes) {
		tooMuch = end - uint64(keep.Bytes)
	}
	before, err := p.since(v, func(r Record) bool { return !r.Time.Before(oldest) && r.Offset >= tooMuch })
	if err != nil || before == p.first.Load() {
		return err
	}
	return l.forget(ctx, p, before)
}

// forget deletes the entries before a sequence number. A partition that has none
// left remembers where it goes on.
func (l *Log) forget(ctx context.Context, p *partition, before uint64) error {
	name := p.stream.name
	b := store.Batch{Clear: []store.Range{{Start: keyPartition(name, p.number), End: keyEntry(name, p.number, before)}}}
	p.mu.Lock()
	state := partitionState{p.next, p.offset, p.last}
	p.mu.Unlock()
	// Of a batch that is on its way the state says more than is durable, which
	// leaves a gap after a crash and nothing else.
	b.Writes = []store.Write{{Key: keyState(name, p.number), Value: state.encode(), Revision: firstRevision}}
	// Readers must know before the entries are gone.
	p.first.Store(before)
	_, err := store.CommitBatch(ctx, l.store, b)
	return err
}
