// Package storetest is the contract of package store as tests.
//
// [Run] is what every store must pass; [History] drives two stores with the
// same random history and compares all that can be observed. Both work on
// stores that begin empty. What is special to a store (crashes, disks that
// fail) is tested beside it.
package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/hubtwin/hubtwin/store"
)

// Run proves the contract on stores that open makes. Each is empty, and closed
// by the test.
func Run(t *testing.T, open func(t testing.TB) store.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"an empty store", emptyStore},
		{"a record is written, replaced and deleted", recordLife},
		{"a view stays as it is", viewStays},
		{"a closed view says so", closedView},
		{"many goroutines read one view", sharedView},
		{"scan bounds", scanBounds},
		{"a scan that is left early", scanLeft},
		{"expectations", expectations},
		{"a chain of changes without waiting", chain},
		{"a broken chain", brokenChain},
		{"a conflict changes nothing", conflictChangesNothing},
		{"the last write to a key counts", lastWriteCounts},
		{"ranges are cleared", clearRanges},
		{"a cleared record is one that is not there", clearAndExpect},
		{"the last record of a range", lastRecord},
		{"barriers", barriers},
		{"limits", limits},
		{"large values", largeValues},
		{"done is called once, in order, after Views show it", doneOrder},
		{"positions grow by one", positions},
		{"events", events},
		{"trimmed events", trim},
		{"followers read every commit once", followers},
		{"a follower waits", followerWaits},
		{"a closed follower", closedFollower},
		{"writers wait for a follower that is behind", slowFollower},
		{"the store closes under a follower that is behind", closeUnderSlowFollower},
		{"Close decides everything", closeDecides},
		{"a closed store", closedStore},
		{"concurrent counters", counters},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			defer closeStore(t, s)
			test.run(t, s)
		})
	}
}

func closeStore(t testing.TB, s store.Store) {
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// set is a write of value under key at revision rev.
func set(key, value string, rev store.Revision) store.Write {
	return store.Write{Key: []byte(key), Value: []byte(value), Revision: rev}
}

func expect(key string, rev store.Revision) store.Expectation {
	return store.Expectation{Key: []byte(key), Revision: rev}
}

func writes(w ...store.Write) store.Batch { return store.Batch{Writes: w} }

// commit is CommitBatch for batches that must succeed.
func commit(t testing.TB, s store.Store, b store.Batch) store.Position {
	t.Helper()
	pos, err := store.CommitBatch(context.Background(), s, b)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return pos
}

// look opens a view that is closed with the test or by the test.
func look(t testing.TB, s store.Store) store.View {
	t.Helper()
	v, err := s.View()
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return v
}

// dump is a view's records, one "key=value@revision" each.
func dump(t testing.TB, v store.View, start, end []byte) []string {
	t.Helper()
	got := []string{}
	for e, err := range v.Scan(start, end) {
		if err != nil {
			t.Fatalf("Scan: %v", err)
		}
		got = append(got, fmt.Sprintf("%s=%s@%d", e.Key, e.Value, e.Revision))
	}
	return got
}

// dumpEvents is a view's event log, one "position.index=body" each.
func dumpEvents(t testing.TB, v store.View, after store.Position) []string {
	t.Helper()
	got := []string{}
	for e, err := range v.Events(after) {
		if err != nil {
			t.Fatalf("Events: %v", err)
		}
		got = append(got, fmt.Sprintf("%d.%d=%s", e.Position, e.Index, e.Body))
	}
	return got
}

// content is all records of the store right now.
func content(t testing.TB, s store.Store) []string {
	t.Helper()
	v := look(t, s)
	defer v.Close()
	return dump(t, v, nil, nil)
}
