package index_test

import (
	"fmt"
	"testing"

	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store"
)

// A query for some ids looks at their chunks only, and finds all modules of a
// device, however many chunks they fill.
func TestIDs(t *testing.T) {
	index.SetBounds(t, 4, 128)
	x := ready(t, index.Config{})
	at := store.Position(0)
	for d := range 20 {
		for m := range 10 {
			at++
			u := update(t, at, fmt.Sprintf("d%02d", d), map[string]any{})
			u.ID.Module = fmt.Sprintf("m%d", m)
			if err := x.Apply(at, []index.Update{u}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for where, rows := range map[string]int{
		"deviceId = 'd07'": 10,
		"deviceId = 'd'":   0,
		"deviceId = 'd99'": 0,
		"deviceId = ''":    0,
		"deviceId IN ['d19', 'd00', 'x', 'd07', 'd07']":  30,
		"moduleId = 'm3' AND deviceId IN ['d01', 'd02']": 2,
		"deviceId = 'd07' AND deviceId = 'd08'":          0,
		"deviceId NIN ['d07']":                           190,
		"NOT deviceId = 'd07'":                           190,
		"deviceId = 'd07' OR deviceId = 'd08'":           20,
	} {
		decodedOf(t, x, "SELECT * FROM devices.modules WHERE "+where, rows)
	}
}
