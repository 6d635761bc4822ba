package index

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// docs does what a list does, and a copy stays what it was.
func TestDocs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type moment struct {
			docs docs
			want []string
		}
		w := &writer{epoch: 1}
		var d docs
		var want []string
		var open []moment
		for i := range rapid.IntRange(0, 4*docsInPart).Draw(t, "rows") {
			d.append(w, fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		for step := range rapid.IntRange(0, 30).Draw(t, "steps") {
			row := rapid.IntRange(0, len(want)).Draw(t, "row")
			switch kind := rapid.IntRange(0, 9).Draw(t, "step"); {
			case kind < 3:
				d.insert(w, row)
				want = slices.Insert(want, row, "")
			case kind < 6 && row < len(want):
				d.remove(w, row)
				want = slices.Delete(want, row, row+1)
			case kind < 8 && row < len(want):
				d.set(w, row, fmt.Sprint("step", step))
				want[row] = fmt.Sprint("step", step)
			case kind == 8:
				d.truncate(w, row)
				want = want[:row]
			default:
				open = append(open, moment{d, slices.Clone(want)})
				w.read, w.epoch = w.epoch, w.epoch+1
				d = d.copy()
			}
			for _, m := range append(open, moment{d, want}) {
				got := make([]string, 0, m.docs.n)
				for row := range m.docs.n {
					got = append(got, m.docs.at(row))
				}
				if !slices.Equal(got, m.want) {
					t.Fatalf("got  %q\nwant %q", got, m.want)
				}
			}
		}
	})
}
