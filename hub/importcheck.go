package hub

import (
	"context"
	"hash/maphash"
	"iter"
	"sync"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/twin"
)

// checker is the first pass of an import that is all or nothing: what can be
// known of a line without carrying it out. Ids that come twice are wrong there,
// for what a second line may do depends on the first.
type checker struct {
	*importer

	mu sync.RWMutex
	// seen are the ids of the lines so far, and whether they may create them. An
	// id is two hashes: that two ids share both will not happen.
	seen   map[[2]uint64]bool
	second maphash.Seed
	// modules is how many modules of a device the lines so far create.
	modules map[[2]uint64]int
	parents []device.Line // whose parents are not there, and may be in later lines
}

// check finds every line that is wrong. It returns ErrNothingImported if there
// is one.
func (im *importer) check(ctx context.Context, lines iter.Seq2[device.Line, error]) error {
	c := &checker{importer: im, seen: map[[2]uint64]bool{}, second: maphash.MakeSeed(), modules: map[[2]uint64]int{}}
	if err := im.each(ctx, c.noting(lines), c.checkLine); err != nil {
		return err
	}
	for _, l := range c.parents {
		if dev, _ := device.ScopeDevice(l.Item.Identity.ParentScope()); !c.creates(dev) {
			im.fail(l, fault.New(fault.InvalidDeviceScope, "no edge device has the scope %q", l.Item.Identity.ParentScope()))
		}
	}
	if im.Progress.Failed.Load() > 0 {
		return ErrNothingImported
	}
	return nil
}

func (c *checker) name(id device.ID) [2]uint64 {
	return [2]uint64{maphash.Comparable(c.seed, id), maphash.Comparable(c.second, id)}
}

// creates tells whether a line so far may create the identity.
func (c *checker) creates(id device.ID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.seen[c.name(id)]
}

// noting notes the ids of lines as they pass.
func (c *checker) noting(lines iter.Seq2[device.Line, error]) iter.Seq2[device.Line, error] {
	return func(yield func(device.Line, error) bool) {
		for l, err := range lines {
			if err == nil && l.Item.Err == nil {
				l.Item.Err = c.note(l)
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

func (c *checker) note(l device.Line) error {
	id := l.Item.Identity.ID
	name := c.name(id)
	mode, _, ok := itemPut(l.Item)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, twice := c.seen[name]; twice {
		return fault.New(fault.DeviceDefinedMultipleTimes, "an earlier line is about %q too", id)
	}
	if len(c.seen) == MaxAllOrNothing {
		return fault.New(fault.TooManyDevices, "an import that is all or nothing has at most %d lines", MaxAllOrNothing)
	}
	c.seen[name] = ok && mode != putExisting
	return nil
}

func (c *checker) checkLine(ctx context.Context, l device.Line) error {
	err := c.checkItem(l)
	if err != nil {
		return c.refused(ctx, l, err)
	}
	c.Progress.Checked.Add(1)
	return nil
}

func (c *checker) checkItem(l device.Line) error {
	item := l.Item
	if item.Err != nil {
		return item.Err
	}
	old, err := c.hub.heads.read(item.Identity.ID)
	if err != nil {
		return err
	}
	if mode, cond, ok := itemPut(item); ok {
		return c.checkPut(l, old, mode, cond)
	}
	id := item.Identity.ID
	if restores(item) && !old.registered() && c.creates(id.Parent()) {
		_, err := c.restoring(item) // The module comes with its device.
		return err
	}
	switch item.Mode {
	case device.BulkDelete:
		return c.checkDelete(id, old, Any)
	case device.BulkDeleteIfMatchEtag:
		return c.checkDelete(id, old, mustMatch(item.Etag))
	}
	return c.checkPatch(item, old)
}

func (c *checker) checkPut(l device.Line, old *state, mode putMode, cond Condition) error {
	want := l.Item.Identity
	if err := c.mayWrite(want.ID, old); err != nil {
		return err
	}
	if err := mode.admits(want.ID, old, cond); err != nil {
		return err
	}
	content, err := c.content(l.Item)
	switch {
	case err != nil:
		return err
	case content == nil:
	case old.registered():
		_, _, err = old.twin.Replace(content, now())
	default:
		_, _, err = twin.Restore(content, now())
	}
	switch {
	case err != nil:
		return err
	case !want.ID.IsModule():
		return c.checkParent(l)
	case !old.registered():
		return c.countModule(want.ID)
	}
	return nil
}

func (c *checker) checkDelete(id device.ID, old *state, cond Condition) error {
	if err := c.mayWrite(id, old); err != nil {
		return err
	}
	return putExisting.admits(id, old, cond)
}

// mayWrite is the rule of that name, where the device of a module may also come
// with an earlier line.
func (c *checker) mayWrite(id device.ID, old *state) error {
	dev, err := c.hub.heads.read(id.Parent())
	if err != nil {
		return err
	}
	err = mayWrite(id, old, dev)
	if fault.Is(err, fault.DeviceNotFound) && c.creates(id.Parent()) {
		return nil
	}
	return err
}

// countModule counts a module that a line creates.
func (c *checker) countModule(id device.ID) error {
	dev, err := c.hub.heads.read(id.Parent())
	if err != nil {
		return err
	}
	name := c.name(id.Parent())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.modules[name]++
	return mayHave(id.Device, ownModules(dev.modules)+c.modules[name])
}

// checkParent looks for the edge device that is named as a parent. It may come
// in a later line.
func (c *checker) checkParent(l device.Line) error {
	if l.Item.Identity.ParentScope() == "" {
		return nil
	}
	edge, err := c.hub.parentOf(l.Item.Identity)
	if err != nil || edge != nil && edge.IoTEdge {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.parents) == maxLate {
		return errTooManyLate
	}
	l.Item.Tags, l.Item.Desired, l.Item.Reported = nil, nil, nil
	c.parents = append(c.parents, l)
	return nil
}

func (c *checker) checkPatch(item device.BulkItem, old *state) error {
	if !old.registered() {
		return twinNotFound(item.Identity.ID)
	}
	if item.Mode == device.BulkUpdateTwinIfMatchEtag && !mustMatch(item.TwinEtag).holds(old.twin.Etag()) {
		return twinMoved(item.Identity.ID, old.twin.Etag())
	}
	p, err := itemPatch(item, c.Rules)
	if err == nil {
		_, _, err = old.twin.Merge(p, now())
	}
	return err
}
