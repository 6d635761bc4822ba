package twin

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// ErrRecord is given by [AppendEvent] for bytes that no change was stored as.
var ErrRecord = errors.New("twin: damaged record of a change")

// The first byte of a record, which docs/formats/twin.md draws.
const (
	recordUpdate = 1 // a difference
	recordWhole  = 2 // a twin
)

// The sections of an update's record, as bits and in their order.
const (
	recordTags = 1 << iota
	recordDesired
	recordReported
)

// AppendRecord appends the stored form of the change, from which [AppendEvent]
// makes the body of its event. An update is stored as its differences and the
// one stamp that all their nodes carry: the body's $metadata follows from them,
// and is several times as long. Most events are never asked for their body. A
// replacement is stored as the whole twin that it made.
func (c *Change) AppendRecord(dst []byte) []byte {
	if c.replaced {
		return c.twin.AppendRecord(dst)
	}
	sections := 0
	if c.tags != nil {
		sections |= recordTags
	}
	if c.desired != nil {
		sections |= recordDesired
	}
	if c.reported != nil {
		sections |= recordReported
	}
	dst = append(dst, recordUpdate, byte(sections))
	dst = binary.AppendUvarint(dst, uint64(c.twin.Version()))
	if c.tags != nil {
		dst = c.twin.tags.appendDifference(dst, c.tags)
	}
	if c.desired != nil {
		dst = c.twin.desired.appendDifference(dst, c.desired)
	}
	if c.reported != nil {
		dst = c.twin.reported.appendDifference(dst, c.reported)
	}
	return dst
}

// AppendRecord appends the stored form of an event that tells of the whole twin,
// for [AppendEvent]. It is much shorter than the body that is made from it: the
// metadata of many small members can take megabytes.
func (t *Twin) AppendRecord(dst []byte) []byte {
	return t.AppendBinary(append(dst, recordWhole))
}

// appendDifference appends the stamp and $version that the section has since
// the change, and the difference as JSON.
func (s *section) appendDifference(dst []byte, diff []node) []byte {
	dst = binary.AppendVarint(dst, s.version)
	dst = binary.AppendVarint(dst, s.stamp.at)
	dst = binary.AppendVarint(dst, s.stamp.version)
	// The length stands before the text in four bytes, so that the text need
	// not be made elsewhere first.
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendObject(dst, diff)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// AppendEvent appends the members of an event's body (twin-semantics 11.2 and
// 11.3), without braces around them, from its record. For updateTwin they are the
// whole body: "version", and then the difference as "tags" and "properties", with
// the metadata of the nodes that were touched. For events of the whole twin they
// are "etag", "version" and all sections, and the caller puts "deviceId" and
// "moduleId" before them.
func AppendEvent(dst, record []byte) ([]byte, error) {
	if len(record) > 0 && record[0] == recordWhole {
		t, err := Decode(record[1:])
		if err != nil {
			return dst, ErrRecord
		}
		dst = append(dst, `"etag":"`...)
		dst = t.AppendEtag(dst)
		dst = append(dst, `","version":`...)
		dst = strconv.AppendInt(dst, t.Version(), 10)
		return t.AppendSections(append(dst, ',')), nil
	}
	if len(record) < 3 || record[0] != recordUpdate {
		return dst, ErrRecord
	}
	sections := record[1]
	d := decoder{text: string(record[2:])}
	dst = append(dst, `"version":`...)
	dst = strconv.AppendInt(dst, int64(d.uint()), 10)
	if sections&recordTags != 0 {
		_, diff := d.difference()
		dst = append(dst, `,"tags":`...)
		dst = appendObject(dst, diff)
	}
	for _, p := range []struct {
		bit  byte
		open string
	}{{recordDesired, `,"properties":{"desired":`}, {recordReported, `,"properties":{"reported":`}} {
		if sections&p.bit == 0 {
			continue
		}
		s, diff := d.difference()
		dst = append(dst, p.open...)
		dst = append(s.appendTouched(dst, diff), '}')
	}
	if d.bad || d.left() > 0 {
		return dst, ErrRecord
	}
	return dst, nil
}

// difference reads what appendDifference wrote.
func (d *decoder) difference() (s section, diff []node) {
	s.version = d.int()
	s.stamp = stamp{at: d.int(), version: d.int()}
	length := d.cut(4)
	if d.bad || s.version < 0 || !s.stamp.valid() {
		d.fail()
		return s, nil
	}
	p := parser{scanner: scanner{text: d.cut(int(binary.BigEndian.Uint32([]byte(length))))}, nulls: true}
	if p.begin() == '{' {
		diff = p.members(1, nil)
	} else {
		p.fail()
	}
	if p.finish() != nil {
		d.fail()
	}
	return s, diff
}

// appendTouched appends a difference with the metadata and the version that the
// section has since. All nodes carry the section's stamp: they were touched
// together.
func (s *section) appendTouched(dst []byte, diff []node) []byte {
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
