package pebble

import "github.com/hubtwin/hubtwin/store"

// revisionBytes bounds one generation of recent revisions: some 70,000 keys of
// the hub's usual size.
const revisionBytes = 8 << 20

// revisionCost is about what an entry takes on top of its key.
const revisionCost = 80

// revisions remembers at which revision recently expected records stand, so that
// the committer need not look for a hot key on disk. It keeps two generations:
// when the young one is full it becomes the old one, and what was old and not
// asked for since is forgotten. Only the committer uses it.
//
// Within a group it is more than a cache: it knows what the group has done so far
// to the keys in it. That is why generations change between groups.
type revisions struct {
	young, old map[string]*store.Revision
	bytes      int // of the young ones
}

func newRevisions() *revisions {
	return &revisions{young: map[string]*store.Revision{}}
}

// age is called between groups.
func (r *revisions) age() {
	if r.bytes >= revisionBytes {
		r.old, r.young, r.bytes = r.young, map[string]*store.Revision{}, 0
	}
}

// get finds the revision of key; 0 means that there is no record, not ok that
// it is not known.
func (r *revisions) get(key []byte) (rev store.Revision, ok bool) {
	if p := r.young[string(key)]; p != nil {
		return *p, true
	}
	p := r.old[string(key)]
	if p == nil {
		return 0, false
	}
	r.set(key, *p)
	return *p, true
}

// update sets the revision of a key that is known; ok is false for others.
func (r *revisions) update(key []byte, rev store.Revision) (ok bool) {
	p := r.young[string(key)]
	if p == nil {
		p = r.old[string(key)]
	}
	if p == nil {
		return false
	}
	*p = rev
	return true
}

// clear notes that there is no record any more in a range.
func (r *revisions) clear(cleared store.Range) {
	for _, generation := range [...]map[string]*store.Revision{r.young, r.old} {
		for key, rev := range generation {
			if key >= string(cleared.Start) && key < string(cleared.End) {
				*rev = 0
			}
		}
	}
}

func (r *revisions) set(key []byte, rev store.Revision) {
	if p := r.young[string(key)]; p != nil {
		*p = rev
		return
	}
	r.young[string(key)] = &rev
	r.bytes += len(key) + revisionCost
}
