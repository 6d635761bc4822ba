package pebble

import (
	"encoding/binary"
	"maps"
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/queue"
)

// committer is the one goroutine that writes. It repeats:
//
//  1. wait until no follower is too far behind;
//  2. take all submissions that wait: a group;
//  3. decide them in order, and put what each commit writes, its events and
//     the new position into one batch of the engine;
//  4. write that batch to the engine's log and wait for the fsync;
//  5. take an engine snapshot and make it what Views show;
//  6. call the done functions, in order;
//  7. give the commits to the followers.
//
// The invariants, and what keeps them:
//
//   - Views show nothing that could be lost. The engine shows a batch to its own
//     readers before the fsync, so Views never read from it directly, only from
//     the snapshot of step 5, which follows the fsync of step 4.
//   - Views carry their exact position. Nobody else writes to the engine, so a
//     snapshot taken between groups is the state at the group's last position.
//   - An acknowledged batch is durable and visible: step 6 comes after both.
//   - A commit is whole or absent, and so is a group: the engine's log restores
//     a batch of the engine completely or not at all. A record and the event
//     that tells of it, and the position of both, can't come apart.
//   - Expectations see the writes of their own group: recent, or else written and
//     cleared have them, and none forgets any while the group lasts.
//   - After a failure nothing is acknowledged. What the failed group wrote may
//     or may not be on the disk; that it may be is why the next group must not
//     be decided: it would build on what recovery may not find.
//
// Two roads were not taken. Letting every writer commit for itself leaves the
// grouping to the engine, which does it well, but then expectations need locks
// per key, positions need a second order beside the engine's, and done
// functions must be put in line again. Building the next group during the fsync
// of this one (the engine can do both at once) was left out because it brings
// nothing once groups are large: the next group grows while this one syncs, and
// the work per batch, not the sync, is what remains.
type committer struct {
	store    *Store
	position store.Position // of the newest commit, durable or in work
	recent   *revisions
	batch    *engine.Batch

	// What this group has done to keys that recent does not know. Most of those
	// are written once and never asked for, like entries of a log: in recent they
	// would push out what is asked for.
	written map[string]store.Revision
	cleared []store.Range

	group   []queue.Submission
	fates   []fate // of the first of the group, one each
	told    int    // how many of the group have heard of their fate
	commits []store.Commit
	size    int // of the batches of commits
}

// fate is what a submission came to.
type fate struct {
	position store.Position
	err      error
}

func (c *committer) run() {
	defer close(c.store.ended)
	// Deferred, because the engine may end this very goroutine; see
	// engineLogger.
	defer c.refuse()
	for c.store.failure() == nil {
		c.store.out.WaitForRoom()
		if !c.take() {
			return
		}
		if err := c.commit(); err != nil {
			c.store.fail(err)
			return
		}
		c.tell()
	}
}

func (c *committer) take() (ok bool) {
	c.group, ok = c.store.in.Take(c.group)
	c.told, c.fates = 0, c.fates[:0]
	return ok
}

// refuse answers whatever is still undecided on a broken store, until it is
// closed.
func (c *committer) refuse() {
	err := c.store.failure()
	if err == nil {
		return
	}
	for {
		for ; c.told < len(c.group); c.told++ {
			c.group[c.told].Done(0, err)
		}
		if !c.take() {
			return
		}
	}
}

// commit decides the group and makes it durable and visible. Its error is a
// failure of the medium.
func (c *committer) commit() error {
	c.recent.age()
	c.batch.Reset()
	// Followers keep the slice, so each group has its own.
	c.commits, c.size = make([]store.Commit, 0, len(c.group)), 0
	clear(c.written)
	c.cleared = c.cleared[:0]
	for i := range c.group {
		refusal, err := c.decide(&c.group[i])
		if err != nil {
			return err
		}
		if refusal != nil {
			c.fates = append(c.fates, fate{0, refusal})
		} else {
			c.fates = append(c.fates, fate{c.position, nil})
		}
	}
	if c.batch.Empty() {
		return nil
	}
	if err := c.batch.Set(positionKey, binary.BigEndian.AppendUint64(nil, uint64(c.position)), nil); err != nil {
		return err
	}
	if err := c.store.write(c.batch); err != nil {
		return err
	}
	return c.store.pictures.show(c.position, c.store.db.NewSnapshot())
}

// decide adds what a submission changes to the engine's batch, or gives the
// reason why it is refused.
func (c *committer) decide(s *queue.Submission) (refusal, err error) {
	b := &s.Batch
	switch {
	case s.Invalid != nil:
		return s.Invalid, nil
	case s.Trim != 0:
		return nil, c.trim(s.Trim)
	}
	for i := range b.Expect {
		switch rev, err := c.revision(b.Expect[i].Key); {
		case err != nil:
			return nil, err
		case rev != b.Expect[i].Revision:
			return store.ErrConflict, nil
		}
	}
	if b.Barrier() {
		return nil, nil
	}
	c.position++
	c.commits = append(c.commits, store.Commit{Position: c.position, Clear: b.Clear, Writes: b.Writes, Events: b.Events})
	c.size += s.Size
	for _, r := range b.Clear {
		if err := c.clear(r); err != nil {
			return nil, err
		}
	}
	for i := range b.Writes {
		if err := c.put(&b.Writes[i]); err != nil {
			return nil, err
		}
	}
	for i, body := range b.Events {
		op := c.batch.SetDeferred(eventKeySize, len(body))
		putEventKey(op.Key, c.position, i)
		copy(op.Value, body)
		if err := op.Finish(); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// revision finds where a record stands, the writes of this group included. Its
// slow path reads what was committed before this group: the rest is in memory.
func (c *committer) revision(key []byte) (store.Revision, error) {
	if rev, ok := c.recent.get(key); ok {
		return rev, nil
	}
	rev, ok := c.written[string(key)]
	if !ok && !c.clears(key) {
		r, _, err := get(c.store.db, key)
		if err != nil {
			return 0, err
		}
		rev = r.Revision
	}
	c.recent.set(key, rev)
	return rev, nil
}

// clears tells whether this group has deleted what was on disk under key.
func (c *committer) clears(key []byte) bool {
	return slices.ContainsFunc(c.cleared, func(r store.Range) bool { return r.Holds(key) })
}

func (c *committer) put(w *store.Write) error {
	if w.Value == nil {
		c.note(w.Key, 0)
		op := c.batch.DeleteDeferred(1 + len(w.Key))
		op.Key[0] = recordTable
		copy(op.Key[1:], w.Key)
		return op.Finish()
	}
	c.note(w.Key, w.Revision)
	op := c.batch.SetDeferred(1+len(w.Key), revisionSize+len(w.Value))
	op.Key[0] = recordTable
	copy(op.Key[1:], w.Key)
	binary.BigEndian.PutUint64(op.Value, uint64(w.Revision))
	copy(op.Value[revisionSize:], w.Value)
	return op.Finish()
}

func (c *committer) note(key []byte, rev store.Revision) {
	if !c.recent.update(key, rev) {
		c.written[string(key)] = rev
	}
}

// clear deletes the records of a range.
func (c *committer) clear(r store.Range) error {
	c.recent.clear(r)
	maps.DeleteFunc(c.written, func(key string, _ store.Revision) bool { return r.Holds([]byte(key)) })
	c.cleared = append(c.cleared, r)
	return c.batch.DeleteRange(recordKey(r.Start), recordKey(r.End), nil)
}

// trim deletes events of commits that came before it; later ones can't be
// meant.
func (c *committer) trim(upTo store.Position) error {
	return c.batch.DeleteRange(eventsFrom(0), eventsFrom(min(upTo, c.position)+1), nil)
}

// tell lets everyone in the group know, then the followers.
func (c *committer) tell() {
	for ; c.told < len(c.group); c.told++ {
		f := c.fates[c.told]
		c.group[c.told].Done(f.position, f.err)
	}
	c.store.out.Append(c.commits, c.size)
}
