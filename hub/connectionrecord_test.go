package hub

import (
	"encoding/json"
	"testing"
	"time"
)

// A stored connection comes back as it was, from either form.
func TestConnectionRecord(t *testing.T) {
	at := time.Date(2024, 3, 1, 8, 0, 5, 123456789, time.UTC)
	for _, r := range []connectionRecord{
		{},
		{Connected: true, Epoch: 7, Since: at, Activity: at.Add(time.Hour), ModelID: "dtmi:com:ex;1"},
		{Epoch: 1 << 60, Since: at},
	} {
		stored := r.append(nil)
		if got, err := decodeConnection(stored); got != r || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, r)
		}
		old, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeConnection(old); got != r || err != nil {
			t.Errorf("from JSON: got %+v, %v, want %+v", got, err, r)
		}
		for n := range len(stored) - len(r.ModelID) {
			if _, err := decodeConnection(stored[:n]); err == nil {
				t.Errorf("%d of %d bytes are taken for a record", n, len(stored))
			}
		}
	}
	for _, bad := range []string{"{", "\x02\x00", "\x01\x02"} {
		if _, err := decodeConnection([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a record", bad)
		}
	}
}
