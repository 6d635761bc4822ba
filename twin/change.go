package twin

import "strconv"

// Change is what one commit did to a twin: the difference that a device and the
// listeners of events hear of. It is immutable.
type Change struct {
	twin     *Twin // after the change
	replaced bool

	// The differences of the sections; nil where the section was not changed.
	tags, desired, reported []node
}

// Void says that nothing happened: a patch removed what was not there, or
// merged {} into an object. No version moved, and nobody must be told.
func (c *Change) Void() bool {
	return c.tags == nil && c.desired == nil && c.reported == nil
}

// Op is the opType of the change's event: updateTwin or replaceTwin.
func (c *Change) Op() string {
	if c.replaced {
		return "replaceTwin"
	}
	return "updateTwin"
}

// HasDesired says whether a device that listens must be told.
func (c *Change) HasDesired() bool { return c.desired != nil }

// AppendDesired appends the notification for the device (twin-semantics
// section 10): the difference, with null for what was removed, and $version.
// It has a meaning only if HasDesired.
func (c *Change) AppendDesired(dst []byte) []byte {
	return appendVersioned(dst, c.desired, c.twin.desired.version)
}

// AppendEvent appends the members of the event's body (twin-semantics 11.2 and
// 11.3), without braces around them.
//
// For updateTwin that is the whole body: "version", and then the difference as
// "tags" and "properties", with the metadata of the nodes that were touched.
// For replaceTwin it is "etag", "version" and all sections, and the caller puts
// "deviceId" and "moduleId" before them.
func (c *Change) AppendEvent(dst []byte) []byte {
	if c.replaced {
		dst = append(dst, `"etag":"`...)
		dst = append(dst, c.twin.Etag()...)
		dst = append(dst, `",`...)
	}
	dst = append(dst, `"version":`...)
	dst = strconv.AppendInt(dst, c.twin.Version(), 10)
	if c.replaced {
		return c.twin.AppendSections(append(dst, ','))
	}
	if c.tags != nil {
		dst = append(dst, `,"tags":`...)
		dst = appendObject(dst, c.tags)
	}
	if c.desired != nil {
		dst = append(dst, `,"properties":{"desired":`...)
		dst = c.twin.desired.appendDifference(dst, c.desired)
		dst = append(dst, '}')
	}
	if c.reported != nil {
		dst = append(dst, `,"properties":{"reported":`...)
		dst = c.twin.reported.appendDifference(dst, c.reported)
		dst = append(dst, '}')
	}
	return dst
}

// appendDifference appends diff with the metadata and the version that the
// section has since.
func (s *section) appendDifference(dst []byte, diff []node) []byte {
	m := metadata{uniform: true}
	dst = append(dst, '{')
	dst = appendMembers(dst, diff)
	if len(diff) > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, `"$metadata":`...)
	dst = m.append(dst, s.stamp, diff)
	return appendVersion(dst, s.version)
}
