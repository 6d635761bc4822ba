package index

import (
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/device"
)

// chunk is a run of rows of one collection, in the order of their keys.
type chunk struct {
	epoch     uint64 // see writer.frozen
	keysEpoch uint64 // of keys, which most changes leave as they are

	keys    []string  // document.RowKey
	docs    docs      // stored form: a head and then a twin
	columns []*column // by path number; nil where no row has a value
}

// chunkRows is the most rows of a chunk; tests make it smaller.
var chunkRows = maxRows

// fillRows is how many rows a chunk has after Load, or when one begins behind
// all others: room is left for what comes between.
func fillRows() int { return chunkRows - chunkRows/16 }

// joinRows is how few rows two neighbours may have together before they become
// one.
func joinRows() int { return chunkRows / 2 }

// copy is k for a writer; keys and columns are still shared.
func (k *chunk) copy(epoch uint64) *chunk {
	return &chunk{
		epoch:     epoch,
		keysEpoch: k.keysEpoch,
		keys:      k.keys,
		docs:      k.docs.copy(),
		columns:   append([]*column(nil), k.columns...),
	}
}

// find is the place of key, and whether it is there.
func (k *chunk) find(key string) (row int, ok bool) { return slices.BinarySearch(k.keys, key) }

func (k *chunk) column(path int) *column {
	if path < len(k.columns) {
		return k.columns[path]
	}
	return nil
}

// columnBytes is about what the columns take.
func (k *chunk) columnBytes() (n int) {
	for _, c := range k.columns {
		if c != nil {
			n += c.size()
		}
	}
	return n
}

// idOf is the identity whose key is given.
func idOf(key string) device.ID {
	dev, mod, _ := strings.Cut(key, "\x00")
	return device.ID{Device: dev, Module: mod}
}
