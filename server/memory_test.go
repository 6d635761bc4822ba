package server

import "testing"

// A hub that is mostly index gets by with little garbage beside it; one without
// has the usual.
func TestGarbagePercent(t *testing.T) {
	const mb = 1 << 20
	for _, test := range []struct {
		live, index int64
		want        int
	}{
		{0, 0, 100},
		{10 * mb, 0, 100},
		{1300 * mb, 1200 * mb, 26},
		{200 * mb, 100 * mb, 60},
		{100 * mb, 120 * mb, indexShare}, // as of an older collection
	} {
		if got := garbagePercent(test.live, test.index); got != test.want {
			t.Errorf("%d MB live, %d MB index: %d, want %d", test.live/mb, test.index/mb, got, test.want)
		}
	}
}
