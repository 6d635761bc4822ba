package index

import (
	"fmt"
	"slices"
	"testing"
)

// SetBounds makes chunks and dictionaries small, so that few twins meet every
// form.
func SetBounds(t testing.TB, rows, values int) {
	oldRows, oldValues := chunkRows, dictionaryValues
	chunkRows, dictionaryValues = rows, values
	t.Cleanup(func() { chunkRows, dictionaryValues = oldRows, oldValues })
}

// Check tells what is wrong with the index, from within.
func (x *Index) Check() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	columns, docs := 0, 0
	for i := range x.collections {
		c := &x.collections[i]
		rows, last := 0, ""
		for _, k := range c.chunks {
			if len(k.keys) == 0 || len(k.keys) > chunkRows || k.docs.n != len(k.keys) {
				return fmt.Errorf("chunk of %d keys and %d documents", len(k.keys), k.docs.n)
			}
			if !slices.IsSorted(k.keys) || k.keys[0] <= last && last != "" {
				return fmt.Errorf("keys %q after %q", k.keys, last)
			}
			last = k.keys[len(k.keys)-1]
			rows += len(k.keys)
			columns += k.columnBytes()
			for row := range k.keys {
				docs += len(k.keys[row]) + len(k.docs.at(row)) + rowBytes
			}
			for n, column := range k.columns {
				if column == nil {
					continue
				}
				if c.paths.numbers[n] == nil {
					return fmt.Errorf("column %d of a refused path", n)
				}
				if err := column.check(len(k.keys)); err != nil {
					return fmt.Errorf("column %d: %w", n, err)
				}
			}
		}
		indexed := 0
		for _, p := range c.paths.numbers[c.paths.own:] {
			if p != nil {
				indexed++
			}
		}
		if indexed != c.paths.indexed {
			return fmt.Errorf("%d paths with columns, counted as %d", indexed, c.paths.indexed)
		}
		if rows != c.rows {
			return fmt.Errorf("%d rows, counted as %d", rows, c.rows)
		}
	}
	if int64(columns) != x.columnBytes || int64(docs) != x.docBytes {
		return fmt.Errorf("columns of %d bytes, counted as %d; documents %d, %d", columns, x.columnBytes, docs, x.docBytes)
	}
	if x.columnBytes > x.config.MaxBytes && len(x.expenses()) > 0 {
		return fmt.Errorf("columns of %d bytes, at most %d may be", x.columnBytes, x.config.MaxBytes)
	}
	return nil
}

func (c *column) check(rows int) error {
	if c.plain() {
		if len(c.cells) != rows {
			return fmt.Errorf("%d cells for %d rows", len(c.cells), rows)
		}
		return nil
	}
	counts := make([]uint16, len(c.values))
	var codes [maxRows]uint8
	c.fillCodes(&codes)
	texts := 0
	for row := range codes {
		if int(codes[row]) != c.code(row) || row >= rows && codes[row] != 0 {
			return fmt.Errorf("row %d has code %d, %d", row, codes[row], c.code(row))
		}
		if row < rows {
			counts[codes[row]]++
		}
	}
	for _, v := range c.values {
		texts += len(v.text)
	}
	if !slices.Equal(counts, c.counts) || len(c.hashes) != len(c.values) || texts != c.texts {
		return fmt.Errorf("counts %d, kept as %d; texts %d, %d", counts, c.counts, texts, c.texts)
	}
	return nil
}
