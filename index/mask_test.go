package index

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A mask does what a list of Booleans does.
func TestMask(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := make([]bool, maxRows)
		var m mask
		row := rapid.IntRange(0, maxRows-1)
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			at := row.Draw(t, "row")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				rows[at] = true
				m.add(at)
			case 1:
				rows[at] = false
				m.drop(at)
			case 2:
				rows = slices.Insert(rows, at, false)[:maxRows]
				m.open(at)
			case 3:
				rows = append(slices.Delete(rows, at, at+1), false)
				m.close(at)
			}
			count, first := 0, maxRows
			for i := maxRows - 1; i >= 0; i-- {
				if rows[i] != m.has(i) {
					t.Fatalf("row %d is %v, should be %v", i, m.has(i), rows[i])
				}
				if rows[i] {
					count, first = count+1, i
				}
			}
			if m.count() != count || m.first() != first || m.empty() != (count == 0) {
				t.Fatalf("%d rows, the first is %d; should be %d, %d", m.count(), m.first(), count, first)
			}
			from, to := row.Draw(t, "from"), row.Draw(t, "to")
			if from <= to {
				r := rowRange(from, to)
				if r.count() != to-from || to > from && (r.first() != from || !r.has(to-1)) {
					t.Fatalf("range %d-%d is %v", from, to, r)
				}
			}
		}
	})
}
