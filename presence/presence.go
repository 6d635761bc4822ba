// Package presence knows who is connected and how to reach them: to tell them of
// a change, to call a method of theirs, to end their connection.
//
// A front end enters a connection into the [Table] when a device has proved who
// it is, and takes it out when the socket ends. There is at most one connection
// for an identity: entering a second one hands back the first, to be closed.
// The table is memory only; that a device is connected is also a committed
// fact, which the hub writes.
package presence

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/device"
)

// Device is a connected device or module as its front end sees it. Its methods
// return at once: a connection has a bounded outbox, and overflow closes it.
type Device interface {
	// Desired tells the device of a change of its desired properties: the
	// merge patch with its $version, and the same version as a number. It is
	// called in version order, from one goroutine, and only for changes
	// committed after position `since` the device may see; the connection
	// drops it if the device has not subscribed.
	Desired(change DesiredChange)
	// Invoke calls a direct method, or gives the reason why it was not sent:
	// DeviceNotOnline if the device has not subscribed to it, and
	// MaximumInflightMethodExceeded if too much is under way. Without an
	// error it calls answered once, from any goroutine: with what the device
	// says, or with the reason when the connection ends first. answered must
	// not block. withdraw says that nobody waits any more; answered may be on
	// its way then, and is not called later.
	Invoke(call MethodCall, answered func(MethodAnswer, error)) (withdraw func(), err error)
	// Wake says that messages wait for the device, or may be had now that were
	// another's: the connection fetches them from the hub, in its own time. It
	// is called from many goroutines.
	Wake()
	// Close ends the connection. The reason goes to the log: MQTT 3.1.1 has no
	// way to tell the device.
	Close(reason error)
}

// DesiredChange is a committed change of desired properties.
type DesiredChange struct {
	Position uint64 // of the commit
	Version  int64  // the new $version of the desired properties
	Patch    []byte // the merge patch, with its member $version
}

// Link is an entry of the table: one connection of one identity.
type Link struct {
	ID     device.ID
	Device Device
	Since  time.Time
	// Authority is the thumbprint of the certificate authority by which the device
	// proved itself; "" if it did so in another way.
	Authority string
	active    atomic.Int64 // Unix nanoseconds of the last activity
	// position of the commit by which the connection began, 0 before it.
	position  atomic.Uint64
	displaced atomic.Bool
	used      atomic.Bool
}

// Begin notes the position of the commit by which the connection began.
func (l *Link) Begin(position uint64) { l.position.Store(position) }

// Position is that of the commit by which the connection began, or 0.
func (l *Link) Position() uint64 { return l.position.Load() }

// Displaced tells whether another connection has taken the link's place.
func (l *Link) Displaced() bool { return l.displaced.Load() }

// Use notes that the device uses the connection for more than its twin, and tells
// whether it is the first to do so.
func (l *Link) Use() bool { return !l.used.Swap(true) }

// Used tells whether the device has used the connection.
func (l *Link) Used() bool { return l.used.Load() }

// Touch notes that the device sent or received something.
func (l *Link) Touch(now time.Time) { l.active.Store(now.UnixNano()) }

// LastActivity is the time of the last Touch, or of the connect.
func (l *Link) LastActivity() time.Time { return time.Unix(0, l.active.Load()).UTC() }

// Table maps identities to their connections. The zero Table is empty and ready.
type Table struct {
	mu      sync.RWMutex
	links   map[device.ID]*Link
	waiters map[device.ID][]*Waiter
	waiting int // in waiters
}

// Enter puts l in the table and returns the link it displaces, or nil.
func (t *Table) Enter(l *Link) (displaced *Link) {
	l.Touch(l.Since)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.links == nil {
		t.links = map[device.ID]*Link{}
	}
	displaced = t.links[l.ID]
	if displaced != nil && displaced != l {
		displaced.displaced.Store(true)
	}
	t.links[l.ID] = l
	return displaced
}

// Leave takes l out, unless another link has displaced it; it tells whether l
// was there.
func (t *Table) Leave(l *Link) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.links[l.ID] != l {
		return false
	}
	delete(t.links, l.ID)
	return true
}

// Find gives the link of id, or nil.
func (t *Table) Find(id device.ID) *Link {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.links[id]
}

// Links lists all connections, in no order.
func (t *Table) Links() []*Link {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.links))
}

// Len is the number of connections.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.links)
}
