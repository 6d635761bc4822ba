package twin

// part is what a body says about one section.
type part struct {
	given   bool // the body names the section
	clear   bool // its value is null: every key goes
	members []node
	kept    kept
}

// kept is what a section of an import had where it came from: the stamp and
// $version of the section; zero for none. Its members carry their own stamps.
type kept struct {
	stamp
	number int64
}

// merge applies p to the section and gives the difference: removals as null,
// stored values, and the non-empty differences of objects that were merged.
// It is nil when nothing happened. Nodes that change get stamp; the section's
// own version and stamp are the caller's.
func (s *section) merge(p part, stamp stamp) []node {
	if !p.given {
		return nil
	}
	if p.clear {
		return s.clear()
	}
	m := merger{stamp: stamp, cost: s.cost}
	next, diff := m.merge(s.members, p.members)
	if len(diff) == 0 {
		return nil
	}
	s.members, s.cost = next, m.cost
	return diff
}

// clear removes every member and gives the difference.
func (s *section) clear() []node {
	if len(s.members) == 0 {
		return nil
	}
	diff := make([]node, 0, len(s.members))
	for i := range s.members {
		diff = append(diff, node{key: s.members[i].key, raw: null})
	}
	s.members, s.cost = nil, cost{}
	return diff
}

// replace puts the members of p in the place of the section's own.
func (s *section) replace(p part, stamp stamp) {
	m := merger{stamp: stamp}
	s.members, _ = m.merge(nil, p.members)
	s.cost = m.cost
}

// merger carries what all the levels of one merge share.
type merger struct {
	stamp stamp
	cost  cost // of the section, kept current
}

// merge lays patch over the members of one object. It gives new members, and
// the difference, which is empty when nothing happened. Neither old nor patch
// is touched: readers may hold the one, and another twin may need the other.
func (m *merger) merge(old, patch []node) (next, diff []node) {
	var room [2 * few]int
	places, fresh := locate(old, patch, room[:0])
	next = append(make([]node, 0, len(old)+fresh), old...)
	d := difference{patch: patch}
	removed := 0
	for i := range patch {
		p, at := &patch[i], places[i]
		switch {
		case p.isNull() && at < 0:
			d.omit(i)
		case p.isNull():
			m.cost.sub(next[at].cost())
			next[at].raw = null // swept below
			removed++
			d.keep(i)
		case p.isObject() && at >= 0 && next[at].isObject():
			kids, sub := m.merge(next[at].kids, p.kids)
			if len(sub) == 0 {
				d.omit(i)
				continue
			}
			next[at].kids, next[at].stamp = kids, m.stamp
			d.descend(i, sub)
		default:
			stored, whole := m.store(p)
			if at < 0 {
				next = append(next, stored)
			} else {
				m.cost.sub(next[at].cost())
				next[at] = stored
			}
			if whole {
				d.keep(i)
			} else {
				d.descend(i, stored.kids)
			}
		}
	}
	if removed > 0 {
		next = sweep(next, removed)
	}
	return next, d.members()
}

// locate appends the place among old of each member of patch, -1 for none, and
// counts the members that have no place and are not null.
func locate(old, patch []node, places []int) (_ []int, fresh int) {
	f := finder{members: old}
	for i := range patch {
		at := f.find(patch[i].key)
		if at < 0 && !patch[i].isNull() {
			fresh++
		}
		places = append(places, at)
	}
	return places, fresh
}

// store copies a member of a patch for keeping: stamped, unless it comes with a
// stamp of its own, and without the nulls below it. whole says that there were
// none.
func (m *merger) store(p *node) (n node, whole bool) {
	n, whole = node{key: p.key, raw: p.raw, stamp: m.stamp}, true
	if p.at != 0 {
		n.stamp = p.stamp
	}
	m.cost.add(n.ownCost())
	if len(p.kids) == 0 {
		return n, whole
	}
	n.kids = make([]node, 0, len(p.kids))
	for i := range p.kids {
		if p.kids[i].isNull() {
			whole = false
			continue
		}
		kid, all := m.store(&p.kids[i])
		n.kids = append(n.kids, kid)
		whole = whole && all
	}
	return n, whole
}

// sweep copies members without the removed ones, whose text is null.
func sweep(members []node, removed int) []node {
	kept := make([]node, 0, len(members)-removed)
	for i := range members {
		if !members[i].isNull() {
			kept = append(kept, members[i])
		}
	}
	return kept
}

// difference collects what a merge did on one level. Mostly that is just what
// the patch says, so it copies nothing until it must differ.
type difference struct {
	patch []node
	own   []node // members so far, once they differ from the patch's
	split bool
}

func (d *difference) keep(i int) {
	if d.split {
		d.own = append(d.own, d.patch[i])
	}
}

func (d *difference) omit(i int) { d.part(i) }

// descend takes member i with other members below it than the patch has.
func (d *difference) descend(i int, kids []node) {
	if same(kids, d.patch[i].kids) {
		d.keep(i)
		return
	}
	d.part(i)
	d.own = append(d.own, node{key: d.patch[i].key, kids: kids})
}

// part makes the difference a list of its own that holds the first i members.
func (d *difference) part(i int) {
	if !d.split {
		d.own = append(make([]node, 0, len(d.patch)), d.patch[:i]...)
		d.split = true
	}
}

func (d *difference) members() []node {
	if d.split {
		return d.own
	}
	return d.patch
}

// same says whether a and b are one slice.
func same(a, b []node) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// vanished is the difference of a replacement: all of new, and for every key
// that only old has a null, on every level where an object meets an object.
// Whether values are equal does not matter (twin-semantics 7.2).
func vanished(old, new []node) []node {
	f := finder{members: old}
	stays := make([]bool, len(old))
	d := difference{patch: new}
	for i := range new {
		at := f.find(new[i].key)
		if at < 0 {
			d.keep(i)
			continue
		}
		stays[at] = true
		if new[i].isObject() && old[at].isObject() {
			d.descend(i, vanished(old[at].kids, new[i].kids))
		} else {
			d.keep(i)
		}
	}
	for i := range old {
		if !stays[i] {
			d.part(len(new))
			d.own = append(d.own, node{key: old[i].key, raw: null})
		}
	}
	return d.members()
}

// notNil turns nil into an empty difference, for changes that always count.
func notNil(members []node) []node {
	if members == nil {
		return []node{}
	}
	return members
}
