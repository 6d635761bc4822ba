package index

import (
	"bytes"
	"slices"
	"unsafe"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/twin"
)

// Update is what a commit did to one identity. What is nil stays as it was.
type Update struct {
	ID         device.ID
	Position   store.Position // of the commit
	Deleted    bool           // with all that was known of it; the rest of the Update is new
	Identity   *device.Identity
	Connection *document.Connection
	Messages   *int   // that wait in the queue
	Twin       []byte // stored form; not kept
}

// merge adds what a later commit did.
func (u *Update) merge(later Update) {
	u.Position = later.Position
	if later.Deleted {
		*u = later
		return
	}
	if later.Identity != nil {
		u.Identity = later.Identity
	}
	if later.Connection != nil {
		u.Connection = later.Connection
	}
	if later.Messages != nil {
		u.Messages = later.Messages
	}
	if later.Twin != nil {
		u.Twin = later.Twin
	}
}

// A writer changes chunks. Those that a snapshot may read it copies first, and
// the parts of them likewise; all others it changes in place.
type writer struct {
	paths  *paths
	epoch  uint64 // of what the writer makes
	read   uint64 // the newest epoch that a snapshot reads
	copies texts
	keep   func(text string) string // of the users' values
	sizes  []int                    // see note
	bytes  int                      // by which columns have grown
	docs   int                      // by which keys and stored documents have grown

	was, is twin.Decoder
	row     []byte
	old     []byte // texts of the hub's own values
	text    []byte
}

// frozen tells whether a snapshot may read what was made in epoch.
func (w *writer) frozen(epoch uint64) bool { return epoch <= w.read }

// insert puts a new row into k, which has room and is the writer's own.
func (w *writer) insert(k *chunk, row int, key string) {
	w.ownKeys(k)
	k.keys = slices.Insert(k.keys, row, key)
	k.docs.insert(w, row)
	w.docs += len(key) + rowBytes
	w.changeColumns(k, func(c *column) { c.open(row) })
}

// rowBytes is what a row costs apart from its key, document and values.
const rowBytes = 32

// remove takes a row out of k, which is the writer's own.
func (w *writer) remove(k *chunk, row int) {
	w.docs -= len(k.keys[row]) + len(k.docs.at(row)) + rowBytes
	w.ownKeys(k)
	k.keys = slices.Delete(k.keys, row, row+1)
	k.docs.remove(w, row)
	w.changeColumns(k, func(c *column) { c.close(row) })
}

// ownKeys makes the keys of k the writer's.
func (w *writer) ownKeys(k *chunk) {
	if w.frozen(k.keysEpoch) {
		k.keys = append(make([]string, 0, roundUp(len(k.keys))), k.keys...)
		k.keysEpoch = w.epoch
	}
}

// changeColumns changes all columns of k, whose keys are those of afterwards, and
// drops the ones that are empty then.
func (w *writer) changeColumns(k *chunk, change func(*column)) {
	for n, c := range k.columns {
		if c == nil {
			continue
		}
		c = w.own(k, n)
		before := c.size()
		change(c)
		w.bytes += c.size() - before
		w.dropEmpty(k, n)
	}
}

// own makes the column n of k the writer's.
func (w *writer) own(k *chunk, n int) *column {
	c := k.columns[n]
	if w.frozen(c.epoch) {
		w.bytes -= c.size()
		c = c.copy(w.epoch)
		w.bytes += c.size()
		k.columns[n] = c
	}
	return c
}

func (w *writer) dropEmpty(k *chunk, n int) {
	if c := k.columns[n]; c.empty(len(k.keys)) {
		w.bytes -= c.size()
		k.columns[n] = nil
	}
}

// column gives the column of a path for writing.
func (w *writer) column(k *chunk, p *path) *column {
	for p.number >= len(k.columns) {
		k.columns = append(k.columns, nil)
	}
	if k.columns[p.number] != nil {
		return w.own(k, p.number)
	}
	c := w.newColumn(p, len(k.keys))
	w.bytes += c.size()
	k.columns[p.number] = c
	return c
}

// newColumn makes a column of n rows. A builder of many chunks knows what the
// path has been like, and spares most of the growing.
func (w *writer) newColumn(p *path, n int) *column {
	switch {
	case p.times:
		return newTimes(w.epoch, n)
	case p.number >= len(w.sizes):
		return newColumn(w.epoch, n, 4)
	case w.sizes[p.number] == plainSize:
		return newPlain(w.epoch, n)
	}
	return newColumn(w.epoch, n, w.sizes[p.number]+2)
}

const (
	plainSize = -1 // no dictionary
	// tryAgain is how many chunks may follow one plain column with others.
	tryAgain = 16
)

// note keeps the sizes of k's dictionaries for the chunk after it, which is
// number n.
func (w *writer) note(k *chunk, n int) {
	w.sizes = w.sizes[:0]
	for _, c := range k.columns {
		switch {
		case c == nil || c.plain() && n%tryAgain == 0:
			w.sizes = append(w.sizes, 2)
		case c.plain():
			w.sizes = append(w.sizes, plainSize)
		default:
			w.sizes = append(w.sizes, len(c.values))
		}
	}
}

// set puts the value at a path of a row, "" for none.
func (w *writer) set(k *chunk, row int, p *path, text string, keep func(string) string) {
	if p.number == without || text == "" && k.column(p.number) == nil {
		return
	}
	c := w.column(k, p)
	before := c.size()
	c.set(row, text, keep)
	w.bytes += c.size() - before
	if text == "" {
		w.dropEmpty(k, p.number)
	}
}

// setTime puts a time of the hub's own. The time askTime is for the document to
// say.
func (w *writer) setTime(k *chunk, row int, p *path, ticks int64) {
	if c := k.column(p.number); c == nil || c.cells[row] != cell(ticks) {
		w.column(k, p).cells[row] = cell(ticks)
	}
}

// askTime stands for a time that only the document knows.
const askTime = -1

// update applies u to the row of k that it is about; k is the writer's own.
// New rows have been inserted, and are empty.
func (w *writer) update(k *chunk, row int, u *Update) error {
	was, now := document.Document{ID: u.ID}, document.Document{ID: u.ID}
	old := k.docs.at(row)
	fresh := old == ""
	var stored string
	if !fresh {
		var err error
		if stored, err = read(&was, &w.was, old); err != nil {
			return err
		}
		now.Head = was.Head
	}
	if u.Identity != nil {
		now.Head.SetIdentity(u.Identity)
	}
	if u.Connection != nil {
		now.Head.SetConnection(*u.Connection)
	}
	if u.Messages != nil {
		now.Head.CloudToDeviceMessageCount = *u.Messages
	}
	w.row = document.AppendHead(w.row[:0], &now.Head)
	if u.Twin != nil {
		w.row = append(w.row, u.Twin...)
	} else {
		w.row = append(w.row, stored...)
	}
	doc := string(w.row)
	if _, err := read(&now, &w.is, doc); err != nil {
		return err
	}
	w.docs += len(doc) - len(old)
	k.docs.set(w, row, doc)
	w.show(k, row, &was, &now, fresh, u.Twin != nil)
	return nil
}

// restore sets the values of a row whose document is there already.
func (w *writer) restore(k *chunk, row int) error {
	now := document.Document{ID: idOf(k.keys[row])}
	if _, err := read(&now, &w.is, k.docs.at(row)); err != nil {
		return err
	}
	w.show(k, row, &document.Document{}, &now, true, true)
	return nil
}

// read takes a stored document apart: d refers to texts of stored from then on.
func read(d *document.Document, decoder *twin.Decoder, stored string) (twin string, err error) {
	if d.Head, twin, err = document.DecodeHead(stored); err != nil {
		return "", err
	}
	d.Twin, err = decoder.Decode(twin)
	return twin, err
}

var moduleID = []string{"moduleId"}

// show sets the values in which now differs from was.
func (w *writer) show(k *chunk, row int, was, now *document.Document, fresh, twinToo bool) {
	w.paths.mu.RLock()
	defer w.paths.mu.RUnlock()
	if fresh {
		id, _ := now.Lookup(moduleID)
		w.set(k, row, w.paths.module, id, asItIs)
	}
	if fresh || was.Head != now.Head {
		w.head(k, row, was, now, fresh)
	}
	if twinToo {
		w.twin(k, row, was, now, fresh)
	}
}

// head sets the values that depend on identity and connection.
func (w *writer) head(k *chunk, row int, was, now *document.Document, fresh bool) {
	w.fixed(k, row, w.paths.head, was, now, fresh)
	activity := now.Head.LastActivity
	if now.Head.Connected {
		activity = askTime // it moves without commits
	}
	w.setTime(k, row, w.paths.lastActivity, activity)
	w.setTime(k, row, w.paths.statusUpdated, now.Head.StatusUpdated)
}

// fixed sets those of the hub's own paths that have changed.
func (w *writer) fixed(k *chunk, row int, list []fixed, was, now *document.Document, fresh bool) {
	for _, p := range list {
		w.text = now.AppendValue(w.text[:0], p.keys)
		if !fresh {
			if w.old = was.AppendValue(w.old[:0], p.keys); bytes.Equal(w.old, w.text) {
				continue
			}
		}
		// Columns copy what they keep, and most of these texts are in one
		// document only.
		w.set(k, row, p.path, unsafe.String(unsafe.SliceData(w.text), len(w.text)), w.copies.keep)
	}
}

// twin sets the values that depend on the twin.
func (w *writer) twin(k *chunk, row int, was, now *document.Document, fresh bool) {
	w.fixed(k, row, w.paths.twin, was, now, fresh)
	w.setTime(k, row, w.paths.desiredUpdated, now.Twin.DesiredUpdated())
	w.setTime(k, row, w.paths.reportedUpdated, now.Twin.ReportedUpdated())
	var tags, desired, reported twin.Object
	if !fresh {
		tags, desired, reported = was.Twin.Tags(), was.Twin.Desired(), was.Twin.Reported()
	}
	w.object(k, row, w.paths.tags, tags, now.Twin.Tags())
	w.object(k, row, w.paths.desired, desired, now.Twin.Desired())
	w.object(k, row, w.paths.reported, reported, now.Twin.Reported())
}

// split makes a chunk of the upper half of k, which is the writer's own.
func (w *writer) split(k *chunk) (*chunk, error) {
	half := len(k.keys) / 2
	upper := &chunk{
		epoch: w.epoch, keysEpoch: w.epoch,
		keys: slices.Clone(k.keys[half:]),
	}
	for row := half; row < len(k.keys); row++ {
		upper.docs.append(w, k.docs.at(row))
	}
	k.docs.truncate(w, half)
	k.keys, k.keysEpoch = slices.Clone(k.keys[:half]), w.epoch
	w.changeColumns(k, func(c *column) { c.truncate(half) })
	return upper, w.restoreFrom(upper, 0)
}

// restoreFrom sets the values of all rows from row on.
func (w *writer) restoreFrom(k *chunk, row int) error {
	for ; row < len(k.keys); row++ {
		if err := w.restore(k, row); err != nil {
			return err
		}
	}
	return nil
}

// join puts the rows of upper, which stands behind k, into k. k is the writer's
// own.
func (w *writer) join(k, upper *chunk) error {
	from := len(k.keys)
	k.keys, k.keysEpoch = slices.Concat(k.keys, upper.keys), w.epoch
	for row := range upper.keys {
		k.docs.append(w, upper.docs.at(row))
	}
	w.changeColumns(k, func(c *column) {
		for row := from; row < len(k.keys); row++ {
			c.open(row)
		}
	})
	w.bytes -= upper.columnBytes()
	return w.restoreFrom(k, from)
}
