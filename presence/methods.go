package presence

import (
	"slices"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// MaxMethods is how many direct methods of one identity may be under way, and
// how many more may wait for it to connect (MTH-10). A device with one call a
// second could not answer more than 30 of them within the default time.
const MaxMethods = 50

// MaxWaiters is how many may wait, for all identities together.
const MaxWaiters = 10_000

// MethodCall is a direct method on its way to a device.
type MethodCall struct {
	Name    string // fit for one level of an MQTT topic
	Payload []byte // JSON text, never empty
}

// MethodAnswer is what a device says to a call, as it says it: neither part has
// been looked at.
type MethodAnswer struct {
	Status  int
	Payload []byte // empty if the device sent none
}

// Waiter waits until it is worth a try to reach an identity.
type Waiter struct {
	// C has a value when something has changed since the last one was taken:
	// the identity is there now, or has subscribed, or its identity was changed.
	C     chan struct{}
	table *Table
	id    device.ID
}

// Wait makes a waiter for id, which the caller must Close. Whoever looks for the
// device after Wait, and then takes from C, misses nothing. The failures are
// MaximumInflightMethodExceeded if [MaxMethods] wait for this id, and
// ServerBusy if [MaxWaiters] wait at all.
func (t *Table) Wait(id device.ID) (*Waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.waiting >= MaxWaiters:
		return nil, fault.New(fault.ServerBusy, "%d calls wait for devices, which is the limit", MaxWaiters)
	case len(t.waiters[id]) >= MaxMethods:
		return nil, fault.New(fault.MaximumInflightMethodExceeded, "%d calls wait for %q to connect, which is the limit", MaxMethods, id)
	}
	if t.waiters == nil {
		t.waiters = map[device.ID][]*Waiter{}
	}
	w := &Waiter{make(chan struct{}, 1), t, id}
	t.waiters[id] = append(t.waiters[id], w)
	t.waiting++
	return w, nil
}

// Wake wakes all that wait for id.
func (t *Table) Wake(id device.ID) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, w := range t.waiters[id] {
		select {
		case w.C <- struct{}{}:
		default: // It has not taken the last one yet.
		}
	}
}

// Close ends the wait. It may be called once.
func (w *Waiter) Close() {
	t := w.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting--
	rest := slices.DeleteFunc(t.waiters[w.id], func(other *Waiter) bool { return other == w })
	if len(rest) == 0 {
		delete(t.waiters, w.id)
		return
	}
	t.waiters[w.id] = rest
}
