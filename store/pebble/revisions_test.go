package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/queue"
)

// A key that is asked for stays known; what nobody asks for is forgotten, so
// that memory stays bounded.
func TestRevisions(t *testing.T) {
	r := newRevisions()
	hot, cold := []byte("hot"), []byte("cold")
	r.set(hot, 1)
	r.set(cold, 2)
	key := make([]byte, 8)
	for i := range uint64(1_000_000) {
		binary.BigEndian.PutUint64(key, i)
		r.set(key, store.Revision(i))
		if i%1000 == 0 {
			if rev, ok := r.get(hot); !ok || rev != 1 {
				t.Fatalf("after %d others the hot key is at %d, known: %v", i, rev, ok)
			}
			r.age()
		}
	}
	if _, ok := r.get(cold); ok {
		t.Error("the cold key is still known")
	}
	if n, most := len(r.young)+len(r.old), 2*(revisionBytes/revisionCost+1000); n > most {
		t.Errorf("%d keys are known, at most %d may be", n, most)
	}
}

// What a group does to records that nobody has asked for yet is known to the rest
// of the group: recent has none of these keys, and the disk an older state.
func TestUnknownKeysOfAGroup(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	write := func(key string, rev store.Revision) store.Batch {
		return store.Batch{Writes: []store.Write{{Key: []byte(key), Value: []byte("v"), Revision: rev}}}
	}
	remove := func(key string) store.Batch { return store.Batch{Writes: []store.Write{{Key: []byte(key)}}} }
	clear := func(start, end string) store.Batch {
		return store.Batch{Clear: []store.Range{{Start: []byte(start), End: []byte(end)}}}
	}
	expect := func(key string, rev store.Revision) store.Batch {
		return store.Batch{Expect: []store.Expectation{{Key: []byte(key), Revision: rev}}}
	}
	for _, key := range []string{"cleared", "deleted", "cleared and written", "written and cleared"} {
		if _, err := store.CommitBatch(context.Background(), s, write(key, 5)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	// The committer waits in here while all the rest becomes one group.
	waiting, goOn := make(chan struct{}), make(chan struct{})
	s.Submit(store.Batch{}, func(store.Position, error) { close(waiting); <-goOn })
	<-waiting
	fates := make(chan error, 100)
	n := 0
	submit := func(b store.Batch) {
		n++
		s.Submit(b, func(_ store.Position, err error) { fates <- err })
	}
	submit(clear("cleared", "cleared!"))
	submit(clear("cleared and written", "cleared and written!"))
	submit(write("cleared and written", 7))
	submit(remove("deleted"))
	submit(write("new", 3))
	submit(write("written and cleared", 8))
	submit(clear("written", "x"))
	submit(expect("cleared", 0))
	submit(expect("cleared and written", 7))
	submit(expect("deleted", 0))
	submit(expect("new", 3))
	submit(expect("written and cleared", 0))
	// Now they are known; and changed once more.
	submit(clear("a", "z"))
	submit(expect("cleared and written", 0))
	submit(expect("new", 0))
	submit(write("new", 9))
	submit(expect("new", 9))
	wrong := n
	submit(expect("new", 3))
	close(goOn)
	for i := range n {
		switch err := <-fates; {
		case i < wrong && err != nil:
			t.Errorf("submission %d: %v", i, err)
		case i == wrong && !errors.Is(err, store.ErrConflict):
			t.Errorf("the last submission: %v, want ErrConflict", err)
		}
	}
}

// Records that are written and not asked for do not push out what is.
func TestWrittenOnce(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	c := &committer{store: s, recent: newRevisions(), written: map[string]store.Revision{}, batch: s.db.NewBatch()}
	defer c.batch.Close()
	for i := range 1000 {
		key := binary.BigEndian.AppendUint64(nil, uint64(i))
		b := store.Batch{Writes: []store.Write{{Key: key, Value: []byte{}, Revision: 1}}}
		if i%100 == 0 {
			b.Expect = []store.Expectation{{Key: key}}
		}
		if refusal, err := c.decide(&queue.Submission{Batch: b}); refusal != nil || err != nil {
			t.Fatal(refusal, err)
		}
	}
	if n := len(c.recent.young); n != 10 {
		t.Errorf("%d keys are known as if they had been expected, want 10", n)
	}
}
