package twin

import "strconv"

// AppendDevice appends what a device may read of its twin (twin-semantics
// section 2): {"desired":{…,"$version":n},"reported":{…,"$version":m}}.
func (t *Twin) AppendDevice(dst []byte) []byte {
	dst = append(dst, `{"desired":`...)
	dst = appendVersioned(dst, t.desired.members, t.desired.version)
	dst = append(dst, `,"reported":`...)
	dst = appendVersioned(dst, t.reported.members, t.reported.version)
	return append(dst, '}')
}

// AppendSections appends the members tags and properties, with metadata and
// versions, as they stand in the twin that back ends read. There are no braces
// around them, for the caller has other members to put beside them. Empty tags
// are left out (case T031).
func (t *Twin) AppendSections(dst []byte) []byte {
	if len(t.tags.members) > 0 {
		dst = append(dst, `"tags":`...)
		dst = appendObject(dst, t.tags.members)
		dst = append(dst, ',')
	}
	dst = append(dst, `"properties":`...)
	return t.appendProperties(dst)
}

func (t *Twin) appendProperties(dst []byte) []byte {
	dst = append(dst, `{"desired":`...)
	dst = t.desired.append(dst)
	dst = append(dst, `,"reported":`...)
	dst = t.reported.append(dst)
	return append(dst, '}')
}

// append appends the section with $metadata and $version.
func (s *section) append(dst []byte) []byte {
	var m metadata
	dst = append(dst, '{')
	dst = appendMembers(dst, s.members)
	if len(s.members) > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, `"$metadata":`...)
	dst = m.append(dst, s.stamp, s.members)
	return appendVersion(dst, s.version)
}

// appendVersioned appends members and $version as an object.
func appendVersioned(dst []byte, members []node, version int64) []byte {
	dst = append(dst, '{')
	dst = appendMembers(dst, members)
	if len(members) == 0 {
		dst = append(dst, `"$version":`...)
		return append(strconv.AppendInt(dst, version, 10), '}')
	}
	return appendVersion(dst, version)
}

// appendVersion appends $version as the last of several members.
func appendVersion(dst []byte, version int64) []byte {
	dst = append(dst, `,"$version":`...)
	return append(strconv.AppendInt(dst, version, 10), '}')
}

func appendObject(dst []byte, members []node) []byte {
	dst = append(dst, '{')
	dst = appendMembers(dst, members)
	return append(dst, '}')
}

func appendMembers(dst []byte, members []node) []byte {
	for i := range members {
		n := &members[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendKey(dst, n.key)
		if n.isObject() {
			dst = appendObject(dst, n.kids)
		} else {
			dst = append(dst, n.raw...)
		}
	}
	return dst
}

// appendKey appends a key and its colon. Of what JSON wants escaped, keys may
// hold only the quote and the backslash.
func appendKey(dst []byte, key string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := range len(key) {
		if key[i] == '"' || key[i] == '\\' {
			dst = append(dst, key[from:i]...)
			dst = append(dst, '\\')
			from = i
		}
	}
	dst = append(dst, key[from:]...)
	return append(dst, '"', ':')
}

// metadata renders trees of $metadata. Most nodes share a stamp with the node
// before them, so it copies the text of the last one from where it stands in dst.
type metadata struct {
	last     stamp
	from, to int  // the text of last in dst; none yet if they are equal
	uniform  bool // all nodes carry the stamp of the root: those of a difference
}

// append appends the metadata of an object with its own stamp and members.
func (m *metadata) append(dst []byte, s stamp, members []node) []byte {
	dst = m.appendStamp(dst, s)
	for i := range members {
		n := &members[i]
		if n.isNull() {
			continue // what a difference removes has no metadata
		}
		dst = append(dst, ',')
		dst = appendKey(dst, n.key)
		if m.uniform {
			dst = m.append(dst, s, n.kids)
		} else {
			dst = m.append(dst, n.stamp, n.kids)
		}
	}
	return append(dst, '}')
}

// appendStamp appends the opening brace and the times of one node.
func (m *metadata) appendStamp(dst []byte, s stamp) []byte {
	if m.to > m.from && s == m.last {
		return append(dst, dst[m.from:m.to]...)
	}
	m.last, m.from = s, len(dst)
	dst = append(dst, `{"$lastUpdated":"`...)
	dst = append(AppendTicks(dst, s.at), '"')
	if s.version != 0 {
		dst = append(dst, `,"$lastUpdatedVersion":`...)
		dst = strconv.AppendInt(dst, s.version, 10)
	}
	m.to = len(dst)
	return dst
}
