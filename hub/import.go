package hub

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/twin"
)

// The bounds of an import.
const (
	// MaxAllOrNothing is the greatest number of lines of an import that is all or
	// nothing: to find ids that come twice it remembers each, in some 40 bytes.
	MaxAllOrNothing = 5_000_000

	importWorkers = 256      // lines under way at once
	importBytes   = 32 << 20 // of those and of lines that wait for them
	maxLate       = 100_000  // lines that wait for an edge device further down
)

// ImportOptions say how an import goes. The zero value takes every line for
// itself.
type ImportOptions struct {
	// AllOrNothing has all lines checked before any is carried out, and none
	// carried out if one is wrong. Once they are being carried out, nothing is
	// taken back: a line may still fail, because somebody else has changed the
	// registry meanwhile, and if the store fails, the lines before are there.
	AllOrNothing bool
	// Rules are those for twin data.
	Rules twin.Rules
	// Failed, unless nil, is told of each line that failed, of one at a time and
	// in no order of their numbers. The import waits for it.
	Failed func(ImportError)
	// Progress, unless nil, is kept current.
	Progress *ImportProgress
}

// ImportError is a line that failed.
type ImportError struct {
	Line int64
	BulkError
}

// ImportProgress is how far an import is. It may be read at any time.
type ImportProgress struct {
	Checked atomic.Int64 // lines checked, of an import that is all or nothing
	Applied atomic.Int64 // lines carried out, which are durable
	Failed  atomic.Int64 // lines that failed
}

// ErrNothingImported is given by an import that is all or nothing if a line was
// wrong.
var ErrNothingImported = errors.New("hub: lines are wrong, so nothing was imported")

// Import carries out the lines that open gives: bulk items, with reported
// properties and metadata where they have them (REST sheet, 6.4). An import that
// is all or nothing opens them twice.
//
// Lines about one device and its modules are carried out in their order, others
// beside each other; a line is done when it is durable. A line that names an edge
// device as its parent, which comes only later, waits until the end. Scopes are
// those of this hub: what counts in a line is the device that a scope names.
//
// A line that fails is told of, and counted, and the rest goes on. The error is
// that of the lines, once those before it are done; the end of ctx;
// ErrNothingImported; or a failure of the hub itself, after which no further lines
// are tried.
func (h *Hub) Import(ctx context.Context, who auth.Principal, open func() (iter.Seq2[device.Line, error], error), o ImportOptions) error {
	if err := who.May(auth.RegistryWrite); err != nil {
		return err
	}
	if o.Progress == nil {
		o.Progress = new(ImportProgress)
	}
	im := &importer{hub: h, ImportOptions: o, seed: maphash.MakeSeed()}
	if o.AllOrNothing {
		lines, err := open()
		if err != nil {
			return err
		}
		if err := im.check(ctx, lines); err != nil {
			return err
		}
	}
	lines, err := open()
	if err != nil {
		return err
	}
	return im.apply(ctx, lines)
}

// importer is one import.
type importer struct {
	hub *Hub
	ImportOptions
	seed maphash.Seed

	failing sync.Mutex // held while Failed is called

	late lateLines
	last bool // no line is put off any more
}

// fail tells of a line that failed.
func (im *importer) fail(l device.Line, err error) {
	im.failing.Lock()
	defer im.failing.Unlock()
	im.Progress.Failed.Add(1)
	if im.Failed != nil {
		im.Failed(ImportError{l.Number, BulkError{ID: l.Item.Identity.ID, Operation: l.Item.Mode, Fault: fault.Of(err)}})
	}
}

// apply carries out the lines, and then, in rounds, those that were put off: each
// round attaches devices to those of the round before.
func (im *importer) apply(ctx context.Context, lines iter.Seq2[device.Line, error]) error {
	for before := math.MaxInt; ; {
		if err := im.each(ctx, lines, im.applyLine); err != nil {
			return err
		}
		late := im.late.takeAll()
		if len(late) == 0 {
			return nil
		}
		im.last = len(late) == before
		before = len(late)
		lines = func(yield func(device.Line, error) bool) {
			for _, l := range late {
				if !yield(l, nil) {
					return
				}
			}
		}
	}
}

// applyLine carries out a line. The error ends the import.
func (im *importer) applyLine(ctx context.Context, l device.Line) error {
	if im.late.owns(l.Item.Identity.ID.Device) {
		return im.putOff(ctx, l)
	}
	switch err := im.try(ctx, l); {
	case err == nil:
		im.Progress.Applied.Add(1)
		return nil
	case l.Item.Identity.ParentScope() != "" && fault.Is(err, fault.InvalidDeviceScope) && !im.last:
		return im.putOff(ctx, l)
	default:
		return im.refused(ctx, l, err)
	}
}

// putOff lets a line wait until all others are done.
func (im *importer) putOff(ctx context.Context, l device.Line) error {
	if im.late.add(l) {
		return nil
	}
	return im.refused(ctx, l, errTooManyLate)
}

var errTooManyLate = fault.New(fault.InvalidDeviceScope, "too many lines name a parent that comes after them; put edge devices first")

// refused tells of a line that failed, unless the hub itself did.
func (im *importer) refused(ctx context.Context, l device.Line, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	im.fail(l, err)
	if fault.Of(err).Code.Status() >= 500 {
		return fmt.Errorf("line %d: %w", l.Number, err)
	}
	return nil
}

func (im *importer) try(ctx context.Context, l device.Line) error {
	if l.Item.Err == nil {
		if err := im.settleScopes(&l.Item.Identity); err != nil {
			return err
		}
		if restores(l.Item) {
			return im.restore(ctx, l.Item)
		}
	}
	return im.hub.bulkItem(ctx, l.Item, im.Rules, func() (*twin.Replacement, error) { return im.content(l.Item) })
}

// restores tells whether a line is what an export says of a system module. The hub
// makes such a module, so the line may only update its twin (REST sheet, 6.4).
func restores(item device.BulkItem) bool {
	return item.Identity.ID.IsSystem() && item.Mode == device.BulkUpdateTwin
}

// restore carries out such a line. A twin that nobody has written since the hub
// made it becomes the one that was exported, with reported properties and times;
// any other one is updated.
func (im *importer) restore(ctx context.Context, item device.BulkItem) error {
	apply, err := im.restoring(item)
	if err == nil {
		_, err = im.hub.changeTwin(ctx, item.Identity.ID, Any, apply)
	}
	return err
}

func (im *importer) restoring(item device.BulkItem) (twinChange, error) {
	p, err := itemPatch(item, im.Rules)
	if err != nil {
		return nil, err
	}
	content, err := im.content(item)
	return func(t *twin.Twin, at time.Time) (*twin.Twin, *twin.Change, error) {
		if content != nil && t.Untouched() {
			return twin.Restore(content, at)
		}
		return t.Merge(p, at)
	}, err
}

// content is the twin of a line, or nil.
func (im *importer) content(item device.BulkItem) (*twin.Replacement, error) {
	if item.Tags == nil && item.Desired == nil && item.Reported == nil {
		return nil, nil
	}
	return twin.ParseImport(item.Tags, item.Desired, item.Reported, im.Rules)
}

// settleScopes puts the scopes that devices have in this hub in the place of
// those they had in another one.
func (im *importer) settleScopes(want *device.Identity) error {
	own, parent := "", ""
	if want.IoTEdge {
		s, err := im.hub.heads.read(want.ID)
		if err != nil {
			return err
		}
		if s.registered() && s.identity.IoTEdge {
			own = s.identity.DeviceScope
		}
	}
	edge, err := im.hub.parentOf(*want)
	if err != nil {
		return err
	}
	if edge != nil && edge.IoTEdge {
		parent = edge.DeviceScope
	}
	want.SetScopes(own, parent)
	return nil
}

// lateLines are lines that wait until all others are done.
type lateLines struct {
	mu    sync.Mutex
	any   atomic.Bool
	lines []device.Line
	bytes int
	owner map[string]bool // devices that they are about
}

// owns tells whether an earlier line about the device waits: later ones must
// stay behind it.
func (w *lateLines) owns(dev string) bool {
	if !w.any.Load() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owner[dev]
}

// add takes a line, if there is room.
func (w *lateLines) add(l device.Line) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == maxLate || w.bytes+l.Size > importBytes {
		return false
	}
	if w.owner == nil {
		w.owner = map[string]bool{}
	}
	w.lines, w.bytes = append(w.lines, l), w.bytes+l.Size
	w.owner[l.Item.Identity.ID.Device] = true
	w.any.Store(true)
	return true
}

// takeAll gives the lines that wait, and forgets them.
func (w *lateLines) takeAll() []device.Line {
	lines := w.lines
	w.lines, w.bytes, w.owner = nil, 0, nil
	w.any.Store(false)
	return lines
}

// each gives do the lines, many at once, those of one device in their order. The
// first error of do ends it.
func (im *importer) each(ctx context.Context, lines iter.Seq2[device.Line, error], do func(context.Context, device.Line) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	room := newRoom(importBytes)
	var queues [importWorkers]chan device.Line
	var workers sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan device.Line, 4)
		workers.Go(func() {
			for l := range queues[i] {
				if ctx.Err() == nil {
					if err := do(ctx, l); err != nil {
						stop(err)
					}
				}
				room.give(l.Size)
			}
		})
	}
	var broken error // of the lines: those before are still good
	for l, err := range lines {
		if broken = err; err != nil || ctx.Err() != nil {
			break
		}
		room.take(l.Size)
		queues[maphash.String(im.seed, l.Item.Identity.ID.Device)%importWorkers] <- l
	}
	for _, q := range queues {
		close(q)
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return broken
}

// room bounds the bytes of lines that are under way.
type room struct {
	mu    sync.Mutex
	freed *sync.Cond
	free  int
	size  int
}

func newRoom(size int) *room {
	r := &room{free: size, size: size}
	r.freed = sync.NewCond(&r.mu)
	return r
}

// take waits for n bytes; for all there are if they are fewer.
func (r *room) take(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.free < n && r.free < r.size {
		r.freed.Wait()
	}
	r.free -= n
}

func (r *room) give(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += n
	r.freed.Signal()
}
