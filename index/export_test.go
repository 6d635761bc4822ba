package index

import "testing"

// SetBounds makes chunks and dictionaries small, so that few twins meet every
// form.
func SetBounds(t testing.TB, rows, values int) {
	oldRows, oldValues := chunkRows, dictionaryValues
	chunkRows, dictionaryValues = rows, values
	t.Cleanup(func() { chunkRows, dictionaryValues = oldRows, oldValues })
}
