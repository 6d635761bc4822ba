package twin

import "strconv"

// Lookup finds the value at path, for queries. A path begins with tags, with
// properties and desired, or with properties and reported; $version and
// $metadata lie where the rendered twin has them, and below a metadata node
// $lastUpdated and $lastUpdatedVersion. Tags that are empty are not there.
//
// The value is JSON text. Scalars and arrays are given as they were written,
// without allocation; objects, times and versions are rendered anew.
func (t *Twin) Lookup(path []string) (json string, ok bool) {
	if len(path) == 0 {
		return "", false
	}
	switch path[0] {
	case "tags":
		if len(t.tags.members) == 0 {
			return "", false
		}
		return lookup(t.tags.members, path[1:])
	case "properties":
		return t.lookupProperties(path[1:])
	}
	return "", false
}

func (t *Twin) lookupProperties(path []string) (json string, ok bool) {
	if len(path) == 0 {
		return string(t.appendProperties(nil)), true
	}
	switch path[0] {
	case "desired":
		return t.desired.lookup(path[1:])
	case "reported":
		return t.reported.lookup(path[1:])
	}
	return "", false
}

func (s *section) lookup(path []string) (json string, ok bool) {
	if len(path) == 0 {
		return string(s.append(nil)), true
	}
	switch path[0] {
	case "$version":
		return strconv.FormatInt(s.version, 10), len(path) == 1
	case "$metadata":
		return lookupMetadata(s.stamp, s.members, path[1:])
	}
	return lookup(s.members, path)
}

// lookup finds the value at path below members.
func lookup(members []node, path []string) (json string, ok bool) {
	for depth, key := range path {
		n := child(members, key)
		switch {
		case n == nil:
			return "", false
		case n.isObject():
			members = n.kids
		default:
			return n.raw, depth == len(path)-1
		}
	}
	return string(appendObject(nil, members)), true
}

func lookupMetadata(s stamp, members []node, path []string) (json string, ok bool) {
	for depth, key := range path {
		last := depth == len(path)-1
		switch key {
		case "$lastUpdated":
			return `"` + string(AppendTicks(nil, s.at)) + `"`, last
		case "$lastUpdatedVersion":
			return strconv.FormatInt(s.version, 10), last && s.version != 0
		}
		n := child(members, key)
		if n == nil {
			return "", false
		}
		s, members = n.stamp, n.kids
	}
	var m metadata
	return string(m.append(nil, s, members)), true
}

// child is the member with key, or nil.
func child(members []node, key string) *node {
	for i := range members {
		if members[i].key == key {
			return &members[i]
		}
	}
	return nil
}
