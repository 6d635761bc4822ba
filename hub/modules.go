package hub

import (
	"context"
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/twin"
)

// MaxModules is how many modules a device may have, beside those that the hub
// makes itself (REST sheet, section 2).
const MaxModules = 50

// mayKeep answers nil if the principal may read or write the identity id: with the
// right need, or as the device that it is a module of (device sheet, 7.5).
func mayKeep(who auth.Principal, id device.ID, need auth.Permission) error {
	if id.IsModule() && who.ID == id.Parent() {
		return who.MayActAs(who.ID)
	}
	return who.May(need)
}

// Modules lists the modules of a device, in the order of their ids. The device may
// ask for them itself.
func (h *Hub) Modules(_ context.Context, who auth.Principal, dev device.ID) ([]IdentityDocument, error) {
	if err := who.MayActAs(dev); err != nil {
		if err := who.May(auth.RegistryRead); err != nil {
			return nil, err
		}
	}
	s, err := h.heads.read(dev)
	if err != nil {
		return nil, err
	}
	if !s.registered() {
		return nil, notRegistered(dev)
	}
	list := make([]IdentityDocument, 0, len(s.modules))
	for _, name := range s.modules {
		id := device.ID{Device: dev.Device, Module: name}
		m, err := h.heads.read(id)
		if err != nil {
			return nil, err
		}
		if m.registered() { // still, or already
			list = append(list, h.identityDocument(id, m))
		}
	}
	return list, nil
}

// mayWrite tells whether a caller may write the identity id, of which old is
// known, and dev of its device: a module needs a device, and those whose ids
// begin with $ are the hub's own (REST sheet, section 2).
func mayWrite(id device.ID, old, dev *state) error {
	switch {
	case !id.IsModule():
		return nil
	case id.IsSystem() && old.registered():
		return fault.New(fault.SystemModuleModifyUnauthorized, "Unauthorized: %q is a module that the hub makes and removes itself", id)
	case id.IsSystem():
		return fault.New(fault.ArgumentInvalid, "%q: module ids that begin with $ are kept for the system", id)
	case !dev.registered():
		return notRegistered(id.Parent())
	}
	return nil
}

// consequences does what follows from a write of the identity id, which was old before:
// a device knows its modules, and they share its fate (REST sheet, 1.4 and 1.5).
// It gives the events that tell of it.
func (f *family) consequences(id device.ID, old *state) (events [][]byte, err error) {
	next, err := f.read(id)
	if err != nil {
		return nil, err
	}
	at := now()
	if id.IsModule() {
		return nil, f.enlist(id, next.registered())
	}
	if !next.registered() {
		return f.removeModules(id, old.modules, at)
	}
	if events, err = f.systemModules(id, next.identity.IoTEdge, at); err != nil {
		return nil, err
	}
	if next.identity.Status == device.Disabled {
		for _, name := range f.device().modules {
			m := device.ID{Device: id.Device, Module: name}
			events = append(events, Event{Kind: IdentityUpdated, ID: m, Time: at, Revoked: true}.encode())
		}
	}
	return events, nil
}

// enlist makes the device know a module, or forget it.
func (f *family) enlist(id device.ID, there bool) error {
	dev := f.device()
	at, known := slices.BinarySearch(dev.modules, id.Module)
	if there == known {
		return nil
	}
	next := *dev
	next.modules = slices.Clone(dev.modules)
	if there {
		next.modules = slices.Insert(next.modules, at, id.Module)
	} else {
		next.modules = slices.Delete(next.modules, at, at+1)
	}
	f.write(id.Parent(), &next)
	if there && !id.IsSystem() {
		return mayHave(id.Device, ownModules(next.modules))
	}
	return nil
}

// mayHave tells whether a device may have n modules, those that the hub makes
// not counted.
func mayHave(dev string, n int) error {
	if n > MaxModules {
		return fault.New(fault.TooManyModulesOnDevice, "device %q has %d modules, which is as many as it may have", dev, MaxModules)
	}
	return nil
}

// ownModules counts those that the hub has not made itself.
func ownModules(names []string) (n int) {
	for _, name := range names {
		if !(device.ID{Module: name}).IsSystem() {
			n++
		}
	}
	return n
}

// systemModules makes the modules that an edge device has, or removes them, unless
// it is so already.
func (f *family) systemModules(dev device.ID, there bool, at time.Time) (events [][]byte, err error) {
	for _, m := range device.SystemModules(dev.Device, at) {
		if slices.Contains(f.device().modules, m.ID.Module) == there {
			continue
		}
		old, err := f.read(m.ID)
		if err != nil {
			return nil, err
		}
		var event []byte
		if there {
			var s *state
			s, event = born(m, twin.New(at), at)
			f.write(m.ID, s)
		} else {
			event = f.remove(m.ID, old, at)
		}
		events = append(events, event)
		if err := f.enlist(m.ID, there); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// maxRemoved bounds the records of twins in the commit that removes a device with
// its modules, in bytes; twins of the usual size take a fraction. The modules
// beyond are removed like the others, and nobody hears of it: a device must not
// become one that can't be removed.
const maxRemoved = 4 << 20

func (f *family) removeModules(dev device.ID, names []string, at time.Time) (events [][]byte, err error) {
	size := 0
	for _, name := range names {
		id := device.ID{Device: dev.Device, Module: name}
		old, err := f.read(id)
		if err != nil {
			return nil, err
		}
		event := f.remove(id, old, at)
		if size += len(event); size > maxRemoved {
			event = Event{Kind: IdentityDeleted, ID: id, Time: at, Revoked: true}.encode()
		}
		events = append(events, event)
	}
	return events, nil
}

// remove takes an identity out of the registry with all that belongs to it, and
// gives the event that tells of it.
func (f *family) remove(id device.ID, old *state, at time.Time) []byte {
	f.write(id, new(state))
	return Event{Kind: IdentityDeleted, ID: id, Time: at, Revoked: true, Record: old.twin.AppendRecord(nil)}.encode()
}
