package index_test

import (
	"fmt"
	"testing"

	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store"
)

// A prefix is sought in the characters of a path, not in what is computed of
// them.
func TestPrefixOfExpression(t *testing.T) {
	x := ready(t, index.Config{})
	for i := range 300 {
		at := store.Position(i + 1)
		x.Apply(at, []index.Update{update(t, at, fmt.Sprintf("d%03d", i), map[string]any{"few": "abc", "many": fmt.Sprint("abc", i)})})
	}
	for where, rows := range map[string]int{
		"STARTSWITH(tags.few, 'a')":               300,
		"STARTSWITH(tags.many, 'abc1')":           111,
		"STARTSWITH(-tags.few, 'a')":              0,
		"STARTSWITH(-tags.many, 'a')":             0,
		"STARTSWITH(tags.many + 1, 'a')":          0,
		"STARTSWITH(IS_DEFINED(tags.many), 'a')":  0,
		"NOT STARTSWITH(IS_STRING(tags.few), '')": 0,
	} {
		if n := plan(t, x, "SELECT * FROM devices WHERE "+where).Rows; n != rows {
			t.Errorf("%s gives %d rows, want %d", where, n, rows)
		}
	}
}
