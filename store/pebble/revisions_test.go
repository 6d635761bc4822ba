package pebble

import (
	"encoding/binary"
	"testing"

	"github.com/hubtwin/hubtwin/store"
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
