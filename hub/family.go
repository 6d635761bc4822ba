package hub

import (
	"context"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/store"
)

// A family is a device with those of its modules that one change is about. Its
// heads are held together, so that what is decided from several states is
// committed while they are as they were: a module is registered while its device
// is, and a device goes with all its modules or not at all.
//
// The head of the device is held first, whatever the change is about. Nobody
// holds a head and waits for another one but as part of a family, so no two
// changes wait for each other, in whatever order they come to the modules.
type family struct {
	heads *heads
	links []link // the device first
}

// familyStep computes the next states of a family, with the events that tell of
// them. It runs under the locks of the heads it reads, and may run again on what
// somebody else left.
type familyStep func(f *family) (events [][]byte, err error)

// device is the newest state of the device.
func (f *family) device() *state { return f.links[0].next }

// read gives the newest state of the device or one of its modules, and holds its
// head until the change is submitted.
func (f *family) read(id device.ID) (*state, error) {
	for i := range f.links {
		if f.links[i].head.id == id {
			return f.links[i].next, nil
		}
	}
	hd := f.heads.acquire(id)
	hd.mu.Lock()
	if err := f.heads.load(hd); err != nil {
		hd.mu.Unlock()
		hd.release()
		return nil, err
	}
	f.links = append(f.links, link{head: hd, old: hd.newest, next: hd.newest})
	return hd.newest, nil
}

// write makes next the newest state of an identity that was read.
func (f *family) write(id device.ID, next *state) {
	for i := range f.links {
		if f.links[i].head.id == id {
			f.links[i].next = next
		}
	}
}

func (f *family) close() {
	for _, l := range f.links {
		l.head.mu.Unlock()
		l.head.release()
	}
}

// changeFamily is change for the device dev and its modules. done is called with
// the position of the commit.
func (hs *heads) changeFamily(dev device.ID, f familyStep, done func(store.Position, error)) error {
	fam := &family{heads: hs}
	defer fam.close()
	if _, err := fam.read(dev); err != nil {
		return err
	}
	events, refusal := f(fam)
	return hs.commit(fam.links, events, refusal, func(_ []link, pos store.Position, err error) { done(pos, err) })
}

// updateFamily is changeFamily for callers that wait.
func (hs *heads) updateFamily(ctx context.Context, dev device.ID, f familyStep) error {
	return hs.decide(ctx, func(done func(error)) error {
		return hs.changeFamily(dev, f, func(_ store.Position, err error) { done(err) })
	})
}
