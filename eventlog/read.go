package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/store"
)

// Record is an entry as it is read.
type Record struct {
	Partition int
	Sequence  uint64 // of the entry in its partition; grows by one, except after refused batches
	Offset    uint64 // bytes of the partition before it, since it was made
	Time      time.Time
	Body      []byte
}

func (r Record) end() uint64 { return r.Offset + uint64(headerSize+len(r.Body)) }

// Position is where a reader of a stream is: the sequence number of the next
// entry of each partition.
type Position []uint64

// String is the form in which positions travel: numbers joined by dots.
func (p Position) String() string {
	b := make([]byte, 0, 8*len(p))
	for i, n := range p {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, n, 10)
	}
	return string(b)
}

// ErrPosition is wrapped by the error for a text that is no position of the
// stream.
var ErrPosition = errors.New("not a position of this stream")

// ParsePosition reads what String wrote.
func (l *Log) ParsePosition(stream, text string) (Position, error) {
	s, err := l.stream(stream)
	if err != nil {
		return nil, err
	}
	fields := strings.SplitN(text, ".", MaxPartitions+1)
	if len(fields) != len(s.parts) {
		return nil, fmt.Errorf("%w: it has %d partitions", ErrPosition, len(s.parts))
	}
	p := make(Position, len(fields))
	for i, f := range fields {
		if p[i], err = strconv.ParseUint(f, 10, 63); err != nil {
			return nil, fmt.Errorf("%w: %.30q is no sequence number", ErrPosition, f)
		}
	}
	return p, nil
}

// Start is the position of the oldest entries that are kept.
func (l *Log) Start(stream string) (Position, error) {
	return l.positions(stream, func(p *partition) uint64 { return p.first.Load() })
}

// End is the position after all entries of now.
func (l *Log) End(stream string) (Position, error) {
	return l.positions(stream, func(p *partition) uint64 { return p.durable.Load() })
}

func (l *Log) positions(stream string, of func(*partition) uint64) (Position, error) {
	s, err := l.stream(stream)
	if err != nil {
		return nil, err
	}
	list := make(Position, len(s.parts))
	for i, p := range s.parts {
		list[i] = of(p)
	}
	return list, nil
}

// Since is the position of the first entries that were enqueued at t or later.
func (l *Log) Since(stream string, t time.Time) (Position, error) {
	s, err := l.stream(stream)
	if err != nil {
		return nil, err
	}
	v, err := l.store.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	list := make(Position, len(s.parts))
	for i, p := range s.parts {
		if list[i], err = p.since(v, func(r Record) bool { return !r.Time.Before(t) }); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// since is the first entry that is late, which is true for all that follow it.
func (p *partition) since(v store.View, late func(Record) bool) (uint64, error) {
	from, to := p.first.Load(), p.durable.Load()
	for from < to {
		middle := from + (to-from)/2
		r, ok, err := p.at(v, middle)
		switch {
		case err != nil:
			return 0, err
		case !ok || r.Sequence >= to || late(r):
			to = middle
		default:
			from = r.Sequence + 1
		}
	}
	return from, nil
}

// at finds the first entry from a sequence number on.
func (p *partition) at(v store.View, from uint64) (r Record, ok bool, err error) {
	end := prefixRange(keyPartition(p.stream.name, p.number)).End
	for e, err := range v.Scan(keyEntry(p.stream.name, p.number, from), end) {
		if err != nil {
			return r, false, err
		}
		r, err = decodeEntry(e.Key, e.Value)
		return r, err == nil, err
	}
	return r, false, nil
}

// Gap is entries that were forgotten before they were read.
type Gap struct {
	Partition int
	From, To  uint64 // sequence numbers; To is the first one after the gap
}

// Reader reads a stream from a position. It is for one goroutine.
type Reader struct {
	log      *Log
	stream   *stream
	position Position
	first    int // the partition that is asked first, so that none is left out
}

// Read makes a reader. It is ErrPosition if from has not as many partitions as
// the stream.
func (l *Log) Read(stream string, from Position) (*Reader, error) {
	s, err := l.stream(stream)
	if err != nil {
		return nil, err
	}
	if len(from) != len(s.parts) {
		return nil, fmt.Errorf("%w: it has %d partitions", ErrPosition, len(s.parts))
	}
	r := &Reader{log: l, stream: s, position: slices.Clone(from)}
	for i, p := range s.parts {
		// From beyond the end, which a restored backup may leave behind.
		r.position[i] = min(r.position[i], p.durable.Load())
	}
	return r, nil
}

// Position is that after everything that Next returned.
func (r *Reader) Position() Position { return slices.Clone(r.position) }

// Bounds of what Next returns at a time.
const (
	maxRecords = 500
	maxBytes   = 1 << 20
)

// Next waits until there are entries, and returns the next ones: a few hundred at
// most, of each partition in order, and between partitions in the order of their
// times. Gaps says what was forgotten before. It ends with ctx.
func (r *Reader) Next(ctx context.Context) (records []Record, gaps []Gap, err error) {
	for {
		changed, stopWaiting := r.wait()
		records, gaps, err = r.poll()
		if err != nil || len(records) > 0 || len(gaps) > 0 {
			stopWaiting()
			return records, gaps, err
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-changed:
		}
		stopWaiting()
		if err != nil {
			return nil, nil, err
		}
	}
}

// wait gives what is closed by whatever becomes readable from now on.
func (r *Reader) wait() (changed chan struct{}, stop func()) {
	s := r.stream
	s.waiting.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed, func() { s.waiting.Add(-1) }
}

// poll reads what is there.
func (r *Reader) poll() (records []Record, gaps []Gap, err error) {
	v, err := r.log.store.View()
	if err != nil {
		return nil, nil, err
	}
	defer v.Close()
	bytes := 0
	for i := range r.stream.parts {
		p := r.stream.parts[(r.first+i)%len(r.stream.parts)]
		if first := p.first.Load(); r.position[p.number] < first {
			gaps = append(gaps, Gap{p.number, r.position[p.number], first})
			r.position[p.number] = first
		}
		if bytes >= maxBytes || len(records) >= maxRecords {
			continue
		}
		if records, bytes, err = r.part(v, p, records, bytes); err != nil {
			return nil, nil, err
		}
	}
	r.first = (r.first + 1) % len(r.stream.parts)
	slices.SortStableFunc(records, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return records, gaps, nil
}

// part reads what is there of one partition.
func (r *Reader) part(v store.View, p *partition, records []Record, size int) ([]Record, int, error) {
	// The view may be older than what is durable now; never newer than that is.
	at, end := r.position[p.number], p.durable.Load()
	if at >= end {
		return records, size, nil
	}
	for e, err := range v.Scan(keyEntry(p.stream.name, p.number, at), keyEntry(p.stream.name, p.number, end)) {
		if err != nil {
			return nil, 0, err
		}
		record, err := decodeEntry(e.Key, bytes.Clone(e.Value))
		if err != nil {
			return nil, 0, err
		}
		records = append(records, record)
		r.position[p.number] = record.Sequence + 1
		if size += len(record.Body); size >= maxBytes || len(records) >= maxRecords {
			break
		}
	}
	return records, size, nil
}

// MaxGroups is how many groups may keep a position in one stream.
const MaxGroups = 20

// ErrGroups is given when one more would.
var ErrGroups = fmt.Errorf("the stream has %d consumer groups, and no more may be", MaxGroups)

// Keep notes where a group of readers is, and returns when that is durable.
func (l *Log) Keep(ctx context.Context, stream, group string, p Position) error {
	if _, err := l.stream(stream); err != nil {
		return err
	}
	if !streamName.MatchString(strings.TrimPrefix(group, "$")) {
		return fmt.Errorf("consumer group %q: a name has 1 to 64 of A-Z a-z 0-9 . _ -", group)
	}
	known, err := l.Groups(stream)
	if err != nil {
		return err
	}
	if _, ok := known[group]; !ok && len(known) >= MaxGroups {
		return ErrGroups
	}
	_, err = store.CommitBatch(ctx, l.store, store.Batch{Writes: []store.Write{{
		Key: keyGroup(stream, group), Value: []byte(p.String()), Revision: firstRevision,
	}}})
	return err
}

// Kept is where a group is; nil if nobody has noted that.
func (l *Log) Kept(stream, group string) (Position, error) {
	known, err := l.Groups(stream)
	return known[group], err
}

// Groups lists the groups of a stream and where they are.
func (l *Log) Groups(stream string) (map[string]Position, error) {
	v, err := l.store.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	all := prefixRange(keyGroup(stream, ""))
	list := map[string]Position{}
	for e, err := range v.Scan(all.Start, all.End) {
		if err != nil {
			return nil, err
		}
		p, err := l.ParsePosition(stream, string(e.Value))
		if err != nil {
			return nil, err
		}
		list[string(e.Key[len(all.Start):])] = p
	}
	return list, nil
}

// Forget removes a group.
func (l *Log) Forget(ctx context.Context, stream, group string) error {
	_, err := store.CommitBatch(ctx, l.store, store.Batch{Writes: []store.Write{{Key: keyGroup(stream, group)}}})
	return err
}
