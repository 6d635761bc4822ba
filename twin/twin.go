// Package twin holds what devices and their back ends agree upon: tags, desired
// properties and reported properties, with their versions and their metadata.
// It knows the rules of merging and replacing, what may be written, and which
// difference a device and the listeners of events must hear of.
//
// It is not a store and has no clock: a change takes the old twin and the time
// and gives a new twin. Nor does it know identities; the members that a twin
// copies from its device are added by package document.
//
// A Twin never changes. A change copies the nodes on its path and shares the
// rest, so readers of the old twin need no lock. Numbers and strings are kept
// as they were written and never pass through a float.
//
// Begin at [Twin], then at [ParsePatch] and [Twin.Merge].
package twin

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// Limits of a section after a change, counted as twin-semantics section 5 does:
// keys and strings by their length without control characters, a number as 8,
// a boolean as 4.
const (
	MaxTags       = 8 << 10  // of tags
	MaxProperties = 32 << 10 // of desired, and of reported
)

// textFactor bounds the text of a section as a multiple of its limit. The limit
// alone bounds nothing: `[[],[],[]…` weighs 0, and a number of a thousand digits
// weighs 8. Honest documents stay under 7 times their weight.
const textFactor = 8

// slack is how much text, in bytes, a twin may pin above twice its own before
// it is copied afresh.
const slack = 1 << 10

// Twin is the document of one device or module. It is immutable, and safe for
// any number of readers.
type Twin struct {
	tags, desired, reported section

	// etag counts the writes of back ends: creation is 1.
	etag int64

	// held is the length of all the texts whose parts this twin may refer to.
	// A part pins its whole text, so held has a bound; see settle.
	held int
}

// section is tags, desired or reported.
type section struct {
	members []node
	stamp   stamp // of the section's own metadata node; zero in tags
	version int64 // its $version; 0 in tags
	cost    cost  // of all members
}

// New makes the twin of an identity created at now: empty, at etag 1, version 2,
// desired and reported $version 1 (twin-semantics section 6).
func New(now time.Time) *Twin {
	created := section{version: 1, stamp: stamp{at: Ticks(now)}}
	return &Twin{desired: created, reported: created, etag: 1}
}

// Etag is the opaque tag that If-Match conditions name: a counter of the back
// end's writes in eight bytes, big-endian, as base64. Reports do not move it.
func (t *Twin) Etag() string { return string(t.AppendEtag(nil)) }

// AppendEtag appends the etag.
func (t *Twin) AppendEtag(dst []byte) []byte {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(t.etag))
	return base64.StdEncoding.AppendEncode(dst, counter[:])
}

// Version is the counter over the whole twin. It is not stored: every write of
// a back end moves the etag by one, every report moves the reported $version by
// one, and both move the version, which begins at 2. So
//
//	version = 2 + (etag-1) + (reported $version-1)
//
// always holds (twin-semantics section 6).
func (t *Twin) Version() int64 { return t.etag + t.reported.version }

// Untouched tells whether nobody has written the twin since it was created.
func (t *Twin) Untouched() bool { return t.etag == 1 && t.reported.version == 1 }

// DesiredVersion is $version of the desired properties.
func (t *Twin) DesiredVersion() int64 { return t.desired.version }

// ReportedVersion is $version of the reported properties.
func (t *Twin) ReportedVersion() int64 { return t.reported.version }

// DesiredUpdated is $lastUpdated of the desired properties as a whole, in ticks
// of 100 ns since year 1; see [AppendTicks].
func (t *Twin) DesiredUpdated() int64 { return t.desired.stamp.at }

// ReportedUpdated is $lastUpdated of the reported properties as a whole, likewise.
func (t *Twin) ReportedUpdated() int64 { return t.reported.stamp.at }

// Merge applies the patch of a back end at now (twin-semantics 7.1). A patch
// that changes nothing gives t itself and a void Change. The error is
// ArgumentInvalid, for a section that would be too large.
func (t *Twin) Merge(p *Patch, now time.Time) (*Twin, *Change, error) {
	next := *t
	c := &Change{twin: &next}
	c.tags = next.tags.merge(p.tags, stamp{})
	s := stamp{at: Ticks(now), version: t.desired.version + 1}
	c.desired = next.desired.merge(p.desired, s)
	if c.tags == nil && c.desired == nil {
		return t, &Change{twin: t}, nil
	}
	if c.desired != nil {
		next.desired.touch(s)
	}
	next.etag++
	return next.settle(c, p.held)
}

// Replace puts the document of a back end in the place of tags and desired
// properties at now (twin-semantics 7.2). It always counts as a change of the
// desired properties, and stamps every node of them. A document of an import
// replaces reported properties too if it has them, and keeps the stamps it came
// with; versions never go back. The error is ArgumentInvalid, for a section that
// is too large.
func (t *Twin) Replace(r *Replacement, now time.Time) (*Twin, *Change, error) {
	next := *t
	c := &Change{twin: &next, replaced: true}
	next.tags.replace(r.tags, stamp{})
	s := stamp{at: Ticks(now), version: t.desired.version + 1}
	next.desired.replace(r.desired, s)
	c.desired = notNil(vanished(t.desired.members, next.desired.members))
	next.desired.touch(s)
	next.desired.keep(r.desired.kept)
	if r.reported.given {
		s := stamp{at: Ticks(now)}
		next.reported.replace(r.reported, s)
		next.reported.touch(s)
		next.reported.keep(r.reported.kept)
	}
	next.etag++
	return next.settle(c, r.held)
}

// Report applies the patch of a device at now (twin-semantics 7.3). It always
// counts as a change, even an empty one. The error is ArgumentInvalid, for
// reported properties that would be too large.
func (t *Twin) Report(p *Reported, now time.Time) (*Twin, *Change, error) {
	next := *t
	c := &Change{twin: &next}
	s := stamp{at: Ticks(now)}
	c.reported = notNil(next.reported.merge(part{given: true, members: p.members}, s))
	next.reported.touch(s)
	return next.settle(c, p.held)
}

// touch counts a change of s that was made under stamp.
func (s *section) touch(stamp stamp) {
	s.stamp = stamp
	s.version++
}

// settle checks the sizes of the changed twin t, and gives what the caller of
// the change shall have. text is the length of the text the change came in.
func (t *Twin) settle(c *Change, text int) (*Twin, *Change, error) {
	if err := t.check(); err != nil {
		return nil, nil, err
	}
	// One leaf of a long body pins all of that body. Copying the twin once the
	// pinned text outweighs its own bounds the waste, at a cost that is small
	// per change because so many changes lie between two copies.
	t.held += text
	if own := t.text(); t.held > 2*own+slack {
		copied := t.compact()
		t.tags, t.desired, t.reported, t.held = copied.tags, copied.desired, copied.reported, own
	}
	return t, c, nil
}

// text is the length of the text that t itself consists of.
func (t *Twin) text() int {
	return t.tags.cost.text + t.desired.cost.text + t.reported.cost.text
}

// check refuses sections that are too large.
func (t *Twin) check() error {
	if err := t.tags.check("tags", MaxTags); err != nil {
		return err
	}
	if err := t.desired.check("desired properties", MaxProperties); err != nil {
		return err
	}
	return t.reported.check("reported properties", MaxProperties)
}

func (s *section) check(name string, limit int) error {
	if s.cost.size > limit {
		return fault.New(fault.ArgumentInvalid, "The %s would have a size of %d, above the limit of %d.", name, s.cost.size, limit)
	}
	if s.cost.text > textFactor*limit {
		return fault.New(fault.ArgumentInvalid, "The %s would take %d bytes of JSON text, above the limit of %d.", name, s.cost.text, textFactor*limit)
	}
	return nil
}
