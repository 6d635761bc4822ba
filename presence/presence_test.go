package presence_test

import (
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/presence"
)

func TestTable(t *testing.T) {
	var table presence.Table
	since := time.Unix(1_700_000_000, 0).UTC()
	id := device.ID{Device: "d"}
	first, second := &presence.Link{ID: id, Since: since}, &presence.Link{ID: id, Since: since}
	if table.Find(id) != nil || table.Len() != 0 || table.Leave(first) {
		t.Error("a new table is not empty")
	}
	if d := table.Enter(first); d != nil {
		t.Errorf("the first link displaces %v", d)
	}
	if got := first.LastActivity(); !got.Equal(since) {
		t.Errorf("last activity %v, want the time of the connect", got)
	}
	if d := table.Enter(first); d != first || first.Displaced() {
		t.Error("a link that enters again displaces itself")
	}
	if d := table.Enter(second); d != first || !first.Displaced() || second.Displaced() {
		t.Error("the second link does not displace the first")
	}
	if table.Leave(first) || table.Find(id) != second || table.Len() != 1 {
		t.Error("the displaced link took out the one in its place")
	}
	if !table.Leave(second) || table.Find(id) != nil || table.Len() != 0 {
		t.Error("a link has not left")
	}
}
