package twin

// node is a member of an object: a key with a scalar, an array or an object.
type node struct {
	key  string // decoded
	raw  string // JSON text of a scalar or an array, without white space; "" for an object
	kids []node // members of an object, in the order of their arrival
	stamp
}

// stamp is what metadata says about a node.
type stamp struct {
	at      int64 // $lastUpdated, in ticks; 0 in tags
	version int64 // $lastUpdatedVersion; 0 where there is none: outside desired, and before the first write
}

// null is the text that removes. A stored node never has it.
const null = "null"

func (n *node) isObject() bool { return n.raw == "" }
func (n *node) isNull() bool   { return n.raw == null }

// few is the number of members up to which comparing keys one by one is
// quicker than a map.
const few = 24

// finder finds the members of one object by key. It looks first behind the
// member it found last, for patches mostly follow the order of their document.
// Once that has failed too often it builds a map, so that a patch of many keys
// costs time in proportion to patch and document, never to their product.
type finder struct {
	members []node
	next    int
	spent   int // comparisons that a map would have saved
	index   map[string]int
}

// find is the place of key among the members, or -1.
func (f *finder) find(key string) int {
	if f.index != nil {
		if i, ok := f.index[key]; ok {
			return i
		}
		return -1
	}
	for i := f.next; i < len(f.members); i++ {
		if f.members[i].key == key {
			return f.found(i, i-f.next)
		}
	}
	for i := range f.next {
		if f.members[i].key == key {
			return f.found(i, len(f.members)-f.next+i)
		}
	}
	f.charge(len(f.members))
	return -1
}

func (f *finder) found(place, compared int) int {
	f.next = place + 1
	f.charge(compared)
	return place
}

func (f *finder) charge(compared int) {
	f.spent += compared
	if f.spent <= few*few+4*len(f.members) {
		return
	}
	f.index = make(map[string]int, len(f.members))
	for i := range f.members {
		f.index[f.members[i].key] = i
	}
}

// unique leaves one member for each key: the last value, at the first one's
// place. It works inside members.
func unique(members []node) []node {
	if len(members) <= few {
		return uniqueFew(members)
	}
	places := make(map[string]int, len(members))
	kept := members[:0]
	for i := range members {
		if at, ok := places[members[i].key]; ok {
			kept[at] = members[i]
			continue
		}
		places[members[i].key] = len(kept)
		kept = append(kept, members[i])
	}
	return kept
}

func uniqueFew(members []node) []node {
	kept := members[:0]
next:
	for i := range members {
		for k := range kept {
			if kept[k].key == members[i].key {
				kept[k] = members[i]
				continue next
			}
		}
		kept = append(kept, members[i])
	}
	return kept
}

// cost is what nodes count against the limits.
type cost struct {
	size int // by the formula of twin-semantics section 5
	text int // bytes of JSON text, but for escapes in keys
}

func (c *cost) add(d cost) { c.size += d.size; c.text += d.text }
func (c *cost) sub(d cost) { c.size -= d.size; c.text -= d.text }

// cost counts n, its key and everything below it.
func (n *node) cost() cost {
	c := n.ownCost()
	for i := range n.kids {
		c.add(n.kids[i].cost())
	}
	return c
}

// ownCost counts n without what is below it. Its key costs its whole length,
// since control characters cannot stand in keys.
func (n *node) ownCost() cost {
	c := cost{size: len(n.key), text: n.ownText()}
	if !n.isObject() {
		c.size += weigh(n.raw)
	}
	return c
}

func (n *node) ownText() int {
	const quotesColonComma, braces = 4, 2
	if n.isObject() {
		return len(n.key) + quotesColonComma + braces
	}
	return len(n.key) + quotesColonComma + len(n.raw)
}
