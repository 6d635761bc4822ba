package index_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// Groups are those of the straight evaluator where the codes of dictionaries
// differ from chunk to chunk, use all their bits, and stand beside arrays.
func TestGroupsAgainstStraight(t *testing.T) {
	for _, bounds := range [][2]int{{8, 6}, {1024, 128}} {
		index.SetBounds(t, bounds[0], bounds[1])
		x := ready(t, index.Config{})
		docs := straight{}
		for i := range 300 {
			at := store.Position(i + 1)
			tags := map[string]any{
				"a": (i * 37) % 120, "b": fmt.Sprint("b", i*31%97), "c": []any{true, "x", 1.5, []int{i % 2}}[i*i%7%4],
				"n": float64(i) / 7, "one": json.Number([]string{"1", "1.0", "10e-1"}[i*i%3]), "few": (i / 5) % 3, "much": map[string]any{"m": i},
			}
			if i%4 == 0 {
				delete(tags, []string{"a", "b", "n", "few"}[i/4%4])
			}
			u := update(t, at, fmt.Sprintf("d%03d", i*37%300), tags)
			if err := x.Apply(at, []index.Update{u}); err != nil {
				t.Fatal(err)
			}
			tw, err := twin.Decode(u.Twin)
			if err != nil {
				t.Fatal(err)
			}
			d := &document.Document{ID: device.ID{Device: u.ID.Device}, Twin: tw}
			d.Head.SetIdentity(u.Identity)
			docs[document.RowKey(d.ID)] = d
		}
		for _, by := range []string{
			"", "tags.a", "tags.b", "tags.c", "tags.few", "tags.one", "tags.few, tags.one", "tags.few, tags.c", "tags.few, tags.b", "tags.a, tags.b", "tags.b, tags.a, tags.few",
			"tags.a" + strings.Repeat(", tags.few", 10),
			"tags.none, tags.few", "tags.much, tags.few", "status", "deviceId", "statusUpdateTime",
		} {
			for _, where := range []string{"", " WHERE tags.n > 20", " WHERE tags.few != 1 OR ARRAY_CONTAINS(tags.c, 1)"} {
				text := "SELECT COUNT() AS rows, COUNT(tags.n) AS n, SUM(tags.n) AS sum, AVG(tags.a) AS avg, MIN(tags.n) AS least, MAX(tags.c) AS most, COUNT(statusUpdateTime) AS times FROM devices" + where
				few := "SELECT COUNT() AS rows FROM devices" + where
				if by != "" {
					text = strings.Replace(text, "SELECT", "SELECT "+by+",", 1) + " GROUP BY " + by
					few = strings.Replace(few, "SELECT", "SELECT "+by+",", 1) + " GROUP BY " + by
				}
				for _, text := range []string{text, few} {
					s := x.Snapshot()
					q := parse(t, text)
					got, err := answer(t.Context(), s, q, 1000)
					if err != nil {
						t.Fatal(err)
					}
					want, err := answer(t.Context(), docs, q, 1000)
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s\ngot  %.300s\nwant %.300s", text, got, want)
					}
					s.Close()
				}
			}
		}
	}
}
