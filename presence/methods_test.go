package presence_test

import (
	"fmt"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/presence"
)

func TestWaitersAreWoken(t *testing.T) {
	var table presence.Table
	a, b := device.ID{Device: "a"}, device.ID{Device: "b"}
	table.Wake(a) // nobody waits
	first, _ := table.Wait(a)
	second, _ := table.Wait(a)
	other, _ := table.Wait(b)
	table.Wake(a)
	table.Wake(a) // once is enough
	for i, w := range []*presence.Waiter{first, second, other} {
		if woken := len(w.C); woken != map[bool]int{true: 1, false: 0}[w != other] {
			t.Errorf("waiter %d is woken %d times", i, woken)
		}
	}
	<-first.C
	<-second.C
	first.Close()
	table.Wake(a)
	if len(first.C) != 0 || len(second.C) != 1 {
		t.Error("the one that has closed is woken, and not the other one")
	}
}

// TestWaitersAreBounded, for each identity and together; who leaves makes room.
func TestWaitersAreBounded(t *testing.T) {
	var table presence.Table
	var all []*presence.Waiter
	for n := range presence.MaxWaiters {
		w, err := table.Wait(device.ID{Device: fmt.Sprint(n / presence.MaxMethods)})
		if err != nil {
			t.Fatal(n, err)
		}
		all = append(all, w)
	}
	if _, err := table.Wait(device.ID{Device: "more"}); !fault.Is(err, fault.ServerBusy) {
		t.Errorf("one more than may wait: %v", err)
	}
	last := all[len(all)-1]
	last.Close()
	if _, err := table.Wait(device.ID{Device: "0"}); !fault.Is(err, fault.MaximumInflightMethodExceeded) {
		t.Errorf("one more than may wait for one device: %v", err)
	}
	if _, err := table.Wait(device.ID{Device: "more"}); err != nil {
		t.Errorf("in the place of one that has left: %v", err)
	}
}
