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
// most, each partition's in order, and those of different partitions in the order
// of their times, as far as they are returned together. Gaps says what was
// forgotten before; it comes before the records. Next ends with ctx, or with
// ErrNoStream when the stream is removed.
func (r *Reader) Next(ctx context.Context) (records []Record, gaps []Gap, err error) {
	for {
		more := r.stream.more()
		records, gaps, err = r.poll()
		if err != nil || len(records) > 0 || len(gaps) > 0 {
			return records, gaps, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-more:
		}
	}
}

// poll reads what is there.
func (r *Reader) poll() (records []Record, gaps []Gap, err error) {
	if r.stream.removed.Load() {
		return nil, nil, noStream(r.stream.name)
	}
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
	// What is durable now may be more than the View has; then the reader is woken
	// again.
	at, end := r.position[p.number], p.durable.Load()
	if at >= end {
		return records, size, nil
	}
	for e, err := range v.Scan(p.key(at, 0), p.key(end, 0)) {
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
