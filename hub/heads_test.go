package hub

import (
	"fmt"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/store/memory"
)

// TestTheCacheIsBounded uses every id once: what a head costs must count though
// nobody asks for it again.
func TestTheCacheIsBounded(t *testing.T) {
	s := memory.New()
	defer s.Close()
	const budget = 1 << 20
	hs := newHeads(s, budget)
	inUse := hs.acquire(device.ID{Device: "in use"})
	if _, err := hs.readHead(inUse); err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		if _, err := hs.read(device.ID{Device: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var cost, kept int64
	for i := range hs.shards {
		cost += hs.shards[i].cost.Load()
		for _, hd := range hs.shards[i].heads {
			kept += int64(hd.durable.Load().footprint())
		}
	}
	if cost != kept {
		t.Errorf("the heads are taken to cost %d bytes, and cost %d", cost, kept)
	}
	// Each shard may be one head above its part.
	if most := int64(budget + len(hs.shards)*new(state).footprint()); cost > most {
		t.Errorf("the cache takes %d bytes, at most %d may be", cost, most)
	}
	if cost < budget/2 {
		t.Errorf("the cache keeps %d of %d bytes", cost, budget)
	}
	if hs.acquire(inUse.id) != inUse {
		t.Error("a head in use was dropped")
	}
}
