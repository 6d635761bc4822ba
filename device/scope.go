package device

import (
	"strconv"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// An edge device has a scope, a name that the hub makes once and never changes:
//
//	ms-azure-iot-edge://<deviceId>-<ticks>
//
// Another device becomes its child by naming that scope: a leaf device in
// deviceScope, an edge device (whose deviceScope is its own) in parentScopes.
// (service-rest-api sheet, 1.5)
const scopeScheme = "ms-azure-iot-edge://"

func newScope(deviceID string, now time.Time) string {
	return scopeScheme + deviceID + "-" + strconv.FormatInt(ticks(now), 10)
}

// ParentScope is the scope of the parent that i names, or "".
func (i *Identity) ParentScope() string {
	switch {
	case i.ID.IsModule():
		return ""
	case !i.IoTEdge:
		return i.DeviceScope
	case len(i.ParentScopes) > 0:
		return i.ParentScopes[0]
	}
	return ""
}

// SetScopes puts other scopes in the place of those that i names: own in that of
// an edge device's own, and parent, unless it is "", in that of its parent's.
func (i *Identity) SetScopes(own, parent string) {
	if i.IoTEdge {
		i.DeviceScope = own
	}
	switch {
	case parent == "":
	case i.IoTEdge:
		i.ParentScopes = []string{parent}
	default:
		i.DeviceScope = parent
	}
}

// ScopeDevice is the device that a scope belongs to, by its spelling alone. It
// is how the caller of [Create] and [Replace] finds the parent.
func ScopeDevice(scope string) (ID, bool) {
	name, ok := strings.CutPrefix(scope, scopeScheme)
	dash := strings.LastIndexByte(name, '-')
	if !ok || dash < 0 {
		return ID{}, false
	}
	id := ID{Device: name[:dash]}
	return id, id.Validate() == nil
}

// settleScopes decides the scopes of next, which replaces old (nil when next is
// being created). Parent is the device that next.ParentScope names, or nil if
// there is none.
func settleScopes(old *Identity, next *Identity, parent *Identity, now time.Time) error {
	wasEdge := old != nil && old.IoTEdge
	if next.ID.IsModule() || wasEdge && !next.IoTEdge {
		// An edge device that becomes a leaf loses its parent in the same
		// write; attaching it again takes a second one.
		next.DeviceScope, next.ParentScopes = "", nil
		return nil
	}
	if err := checkParent(next, parent); err != nil {
		return err
	}
	switch {
	case !next.IoTEdge:
		// parentScopes alone says nothing; it mirrors deviceScope.
		next.ParentScopes = nil
		if next.DeviceScope != "" {
			next.ParentScopes = []string{next.DeviceScope}
		}
	case old == nil:
		next.DeviceScope = newScope(next.ID.Device, now)
	case wasEdge:
		if next.DeviceScope != old.DeviceScope {
			return fault.New(fault.InvalidDeviceScope, "Device scope is immutable: send back %q", old.DeviceScope)
		}
	case next.DeviceScope != "":
		return fault.New(fault.InvalidDeviceScope, "a device that becomes an edge device gets its scope from the hub: send an empty deviceScope")
	default:
		next.DeviceScope = newScope(next.ID.Device, now)
	}
	return nil
}

// checkParent refuses a parent that does not exist, is no edge device, is the
// device itself, or is its child. Longer circles are not looked for: nothing
// walks up the chain.
func checkParent(next, parent *Identity) error {
	scope := next.ParentScope()
	switch {
	case scope == "":
		return nil
	case parent == nil || !parent.IoTEdge || parent.DeviceScope != scope:
		return fault.New(fault.InvalidDeviceScope, "no edge device has the scope %q", clip(scope))
	case parent.ID == next.ID:
		return fault.New(fault.InvalidDeviceScope, "a device can't be its own parent")
	}
	if up, _ := ScopeDevice(parent.ParentScope()); up == next.ID {
		return fault.New(fault.InvalidDeviceScope, "%q is already a child of %q", parent.ID, next.ID)
	}
	return nil
}

// ticksToUnix is the count of 100 ns ticks from year 1 to 1970.
const ticksToUnix = 621355968000000000

// ticks counts 100 ns from the year 1, as .NET does. The zero time is 0.
func ticks(t time.Time) int64 {
	return t.Unix()*1e7 + int64(t.Nanosecond())/100 + ticksToUnix
}

func fromTicks(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	n -= ticksToUnix
	return time.Unix(n/1e7, n%1e7*100).UTC()
}
