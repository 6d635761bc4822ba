package server

import "testing"

// A hub that is mostly index gets by with little garbage beside it; one without
// has the usual.
func TestGarbagePercent(t *testing.T) {
	const mb = 1 << 20
	for _, test := range []struct {
		live, index int64
		loading     bool
		want        int
	}{
		{0, 0, false, 100},
		{10 * mb, 0, false, 100},
		{1300 * mb, 1200 * mb, false, 26},
		{200 * mb, 100 * mb, false, 60},
		{100 * mb, 120 * mb, false, indexShare}, // as of an older collection
		{0, 0, true, 100},
		{64 * mb, 32 * mb, true, 400},
		{1280 * mb, 1280 * mb, true, 20},
		{512 * mb, 0, true, 100},
	} {
		if got := garbagePercent(test.live, test.index, test.loading); got != test.want {
			t.Errorf("%d MB live, %d MB index: %d, want %d", test.live/mb, test.index/mb, got, test.want)
		}
	}
}
