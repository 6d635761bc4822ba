package twin

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
