package index

import (
	"strings"
	"sync"

	"github.com/hubtwin/hubtwin/document"
)

// path is a node in the tree of all paths that documents of a collection have.
type path struct {
	number int  // of its columns; without if only documents have its values
	times  bool // its values are times that the hub gives; see column
	opaque bool // documents may have values below that no column has, except where a path is listed
	below  map[string]*path
}

const without = -1

// paths numbers the paths of a collection. Their number is bounded, for users
// invent them: a path beyond the bound is refused, and from then on only
// documents know of it. It stays so until the next start, because the rows of
// before have no column for it.
type paths struct {
	most int // of the users' paths may have columns

	// The hub's own.
	device, module                  *path
	tags, desired, reported         *path
	statusUpdated, lastActivity     *path
	desiredUpdated, reportedUpdated *path
	head, twin                      []fixed // those that depend on the head of a document, and on its twin
	own                             int     // their numbers are lower

	mu      sync.RWMutex
	root    *path
	numbers []*path // by number; nil where the path was refused later
	indexed int
	refused int
	full    bool // refuse all: memory has run out
	closed  bool // refused paths have become too many to remember: any unknown path may be one
}

// fixed is one of the hub's own paths.
type fixed struct {
	keys []string
	*path
}

// newPaths has the paths that every document of the hub has.
func newPaths(most int) *paths {
	ps := &paths{most: most, root: &path{number: without}}
	ps.statusUpdated = ps.fixTimes("statusUpdateTime")
	ps.lastActivity = ps.fixTimes("lastActivityTime")
	ps.desiredUpdated = ps.fixTimes("properties", "desired", "$metadata", "$lastUpdated")
	ps.reportedUpdated = ps.fixTimes("properties", "reported", "$metadata", "$lastUpdated")
	ps.device = ps.walk("deviceId") // has no column: it is in the keys
	ps.module = ps.fixAll([][]string{{"moduleId"}})[0].path
	ps.head = ps.fixAll(document.HeadPaths)
	ps.twin = ps.fixAll(document.TwinPaths)
	ps.tags = ps.walk("tags")
	ps.desired = ps.walk("properties", "desired")
	ps.reported = ps.walk("properties", "reported")
	for _, section := range []*path{ps.desired, ps.reported} {
		section.below["$metadata"].opaque = true
	}
	ps.own = len(ps.numbers)
	return ps
}

// fixAll numbers paths of the hub's own that have no number yet.
func (ps *paths) fixAll(list [][]string) (all []fixed) {
	for _, keys := range list {
		p := ps.walk(keys...)
		if p.number == without {
			ps.give(p)
			all = append(all, fixed{keys, p})
		}
	}
	return all
}

func (ps *paths) fixTimes(keys ...string) *path {
	p := ps.walk(keys...)
	p.times = true
	ps.give(p)
	return p
}

func (ps *paths) give(p *path) {
	p.number = len(ps.numbers)
	ps.numbers = append(ps.numbers, p)
}

// walk gives a path of the hub's own. Objects on the way have no columns.
func (ps *paths) walk(keys ...string) *path {
	at := ps.root
	for _, key := range keys {
		next := at.below[key]
		if next == nil {
			next = &path{number: without}
			at.put(key, next)
		}
		at = next
	}
	return at
}

func (p *path) put(key string, below *path) {
	if p.below == nil {
		p.below = map[string]*path{}
	}
	p.below[key] = below
}

// maxRefused is how many refused paths are remembered for each that may have
// columns.
const maxRefused = 4

// add makes a path below p, which a document has just brought: key is a part of
// that document, and copied so as not to keep all of it. The path is nil when it
// cannot even be remembered. The caller holds mu for writing.
func (ps *paths) add(p *path, key string) *path {
	if known := p.below[key]; known != nil {
		return known
	}
	if ps.closed {
		return nil
	}
	n := &path{number: without}
	switch {
	case ps.indexed < ps.most && !ps.full:
		ps.give(n)
		ps.indexed++
	case ps.refused < maxRefused*ps.most:
		ps.refused++
	default:
		ps.closed = true
		return nil
	}
	p.put(strings.Clone(key), n)
	return n
}

// refuseNew makes add refuse all paths from now on.
func (ps *paths) refuseNew() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.full = true
}

// refuse takes its columns from a path of the users.
func (ps *paths) refuse(p *path) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.numbers[p.number] = nil
	p.number = without
	ps.indexed--
	ps.refused++
}

// place says where the values at a path are.
type place struct {
	where  where
	number int // of the columns
}

type where uint8

const (
	nowhere     where = iota // no document has a value there
	inColumns                // as columns hold them
	inTimes                  // in columns of times
	inKeys                   // the device id
	inDocuments              // in documents only
)

// find says where the values at a path are, for a snapshot that has been taken.
func (ps *paths) find(keys []string) place {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	at := ps.root
	for _, key := range keys {
		next := at.below[key]
		if next == nil {
			if at.opaque || ps.closed && fromUsers(keys) {
				return place{where: inDocuments}
			}
			return place{where: nowhere}
		}
		at = next
	}
	switch {
	case at == ps.device:
		return place{where: inKeys}
	case at.number == without:
		return place{where: inDocuments}
	case at.times:
		return place{inTimes, at.number}
	default:
		return place{inColumns, at.number}
	}
}

// fromUsers tells whether a path lies in a part of the document where its users
// choose the names.
func fromUsers(keys []string) bool {
	return keys[0] == "tags" || len(keys) > 2 && keys[0] == "properties" && (keys[1] == "desired" || keys[1] == "reported")
}
