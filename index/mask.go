package index

import "math/bits"

const (
	// maxRows is the most rows of a chunk. Every mask has a bit for each.
	maxRows = 1024
	words   = maxRows / 64
)

// mask is a set of rows of one chunk.
type mask [words]uint64

// firstRows is the mask of rows 0 … n-1.
func firstRows(n int) (m mask) {
	for w := range n / 64 {
		m[w] = ^uint64(0)
	}
	if n%64 > 0 {
		m[n/64] = 1<<(n%64) - 1
	}
	return m
}

// rowRange is the mask of rows from … to-1.
func rowRange(from, to int) mask {
	m, below := firstRows(to), firstRows(from)
	m.without(&below)
	return m
}

func (m *mask) has(row int) bool { return m[row/64]>>(row%64)&1 != 0 }
func (m *mask) add(row int)      { m[row/64] |= 1 << (row % 64) }
func (m *mask) drop(row int)     { m[row/64] &^= 1 << (row % 64) }

func (m *mask) and(o *mask) {
	for w := range m {
		m[w] &= o[w]
	}
}

func (m *mask) or(o *mask) {
	for w := range m {
		m[w] |= o[w]
	}
}

func (m *mask) without(o *mask) {
	for w := range m {
		m[w] &^= o[w]
	}
}

func (m *mask) empty() bool {
	var any uint64
	for _, w := range m {
		any |= w
	}
	return any == 0
}

func (m *mask) count() (n int) {
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// first is the lowest row, or maxRows if there is none.
func (m *mask) first() int {
	for w, word := range m {
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return maxRows
}

// rows walks the rows in order.
func (m *mask) rows(yield func(int) bool) {
	for w, word := range m {
		for ; word != 0; word &= word - 1 {
			if !yield(w*64 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// open moves the rows from row on up by one. The new row is not in the set.
func (m *mask) open(row int) {
	w, below := row/64, uint64(1)<<(row%64)-1
	carry := m[w] >> 63
	m[w] = m[w]&below | m[w]&^below<<1
	for w++; w < words; w++ {
		carry, m[w] = m[w]>>63, m[w]<<1|carry
	}
}

// close takes row out and moves those behind it down by one.
func (m *mask) close(row int) {
	w, below := row/64, uint64(1)<<(row%64)-1
	m[w] = m[w]&below | m[w]>>1&^below
	for ; w+1 < words; w++ {
		m[w] |= m[w+1] << 63
		m[w+1] >>= 1
	}
}
