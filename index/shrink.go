package index

import (
	"cmp"
	"slices"
)

// allChunks gives the chunks of a collection, in any order while it is loading.
func (x *Index) allChunks(c int) []*chunk {
	if x.loading != nil {
		return x.loading.built[c]
	}
	return x.collections[c].chunks
}

// expense is what the columns of a path take, and for how many rows.
type expense struct {
	collection int
	path       *path
	bytes      int
	rows       int
}

// shrink takes their columns from the paths that cost most for each row that
// has a value, until a tenth of the bound is free again: so many stray paths
// with a few rows each go first, then those whose values are nearly all
// different, and last those that postings serve best. From then on every new
// path is refused, for those rows that had it before have no column for it. What
// is left when the users' paths have no columns any more is the hub's own, and
// stays.
func (x *Index) shrink() {
	if x.bare {
		return
	}
	for i := range x.collections {
		x.collections[i].paths.refuseNew()
	}
	list := x.expenses()
	slices.SortFunc(list, func(a, b expense) int {
		return cmp.Compare(int64(b.bytes)*int64(a.rows), int64(a.bytes)*int64(b.rows))
	})
	left := x.columnBytes
	x.bare = true
	for _, e := range list {
		if left <= x.config.MaxBytes/10*9 {
			x.bare = false
			break
		}
		x.collections[e.collection].paths.refuse(e.path)
		left -= int64(e.bytes)
	}
	for i := range x.collections {
		x.dropRefused(i)
	}
}

// expenses lists the paths of the users that may have columns.
func (x *Index) expenses() (all []expense) {
	for i := range x.collections {
		ps := x.collections[i].paths
		ps.mu.RLock()
		list := make([]expense, len(ps.numbers))
		for n, p := range ps.numbers {
			list[n] = expense{collection: i, path: p}
		}
		ps.mu.RUnlock()
		for _, k := range x.allChunks(i) {
			for n, c := range k.columns {
				if c != nil && n < len(list) {
					list[n].bytes += c.size()
					list[n].rows += c.rows(len(k.keys))
				}
			}
		}
		for _, e := range list[ps.own:] {
			if e.path != nil {
				e.rows = max(e.rows, 1)
				all = append(all, e)
			}
		}
	}
	return all
}

// dropRefused removes the columns of refused paths from all chunks.
func (x *Index) dropRefused(i int) {
	c := &x.collections[i]
	if x.loading != nil {
		w := &writer{paths: c.paths, epoch: 1}
		for _, k := range x.loading.built[i] {
			w.dropRefused(k)
		}
		x.columnBytes += int64(w.bytes)
		return
	}
	w := x.writer(c)
	for at := range c.chunks {
		w.dropRefused(x.ownChunk(c, w, at))
	}
	x.columnBytes += int64(w.bytes)
	w.bytes = 0
}

// dropRefused removes the columns of refused paths from k, which is the
// writer's own.
func (w *writer) dropRefused(k *chunk) {
	w.paths.mu.RLock()
	defer w.paths.mu.RUnlock()
	for n, c := range k.columns {
		if c != nil && w.paths.numbers[n] == nil {
			w.bytes -= c.size()
			k.columns[n] = nil
		}
	}
}

// rows is how many rows of n have a value.
func (c *column) rows(n int) int {
	if !c.plain() {
		return n - int(c.counts[0])
	}
	rows := 0
	for _, cell := range c.cells {
		if cell != undefinedCell {
			rows++
		}
	}
	return rows
}
