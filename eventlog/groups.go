package eventlog

import (
	"context"
	"fmt"
	"strings"

	"github.com/hubtwin/hubtwin/store"
)

// MaxGroups is how many groups may keep a position in one stream.
const MaxGroups = 20

// ErrGroups is given when one more would.
var ErrGroups = fmt.Errorf("the stream has %d consumer groups, and no more may be", MaxGroups)

// Keep notes where a group of readers is, and returns when that is durable. The
// name is like that of a stream, or begins with $ besides. It is ErrPosition if p
// is none of the stream.
func (l *Log) Keep(ctx context.Context, stream, group string, p Position) error {
	if !streamName.MatchString(strings.TrimPrefix(group, "$")) {
		return fmt.Errorf("consumer group %.80q: a name has 1 to 64 of A-Z a-z 0-9 . _ -", group)
	}
	if _, err := l.ParsePosition(stream, p.String()); err != nil {
		return err
	}
	return l.changeGroup(ctx, stream, store.Write{
		Key: keyGroup(stream, group), Value: []byte(p.String()), Revision: firstRevision,
	}, func(known map[string]Position) error {
		if _, ok := known[group]; !ok && len(known) >= MaxGroups {
			return ErrGroups
		}
		return nil
	})
}

// Forget removes a group, if it is there.
func (l *Log) Forget(ctx context.Context, stream, group string) error {
	return l.changeGroup(ctx, stream, store.Write{Key: keyGroup(stream, group)}, func(map[string]Position) error { return nil })
}

// changeGroup commits a write, one at a time in each stream, if what is known
// may be changed.
func (l *Log) changeGroup(ctx context.Context, stream string, w store.Write, may func(known map[string]Position) error) error {
	s, err := l.stream(stream)
	if err != nil {
		return err
	}
	s.groups.Lock()
	known, err := l.Groups(stream)
	switch {
	case err != nil:
	case s.removed.Load():
		err = noStream(stream)
	default:
		err = may(known)
	}
	if err != nil {
		s.groups.Unlock()
		return err
	}
	decided := make(chan error, 1)
	l.store.Submit(store.Batch{Writes: []store.Write{w}}, func(_ store.Position, err error) {
		// Not before: the next one counts what is durable, even if the caller
		// of this one has gone.
		s.groups.Unlock()
		decided <- err
	})
	select {
	case err := <-decided:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
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
