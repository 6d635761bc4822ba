package twin

import (
	"encoding/binary"
	"errors"
	"slices"
)

// ErrStoredForm is given by [Decode] for bytes that no twin was stored as.
var ErrStoredForm = errors.New("twin: damaged stored form")

// binaryVersion is the first byte of the stored form, which docs/formats/twin.md
// draws.
const binaryVersion = 1

// The lowest bits of a node's head.
const (
	headObject = 1 << iota // the rest of the head counts members, else bytes of text
	headSame               // the stamp is that of the node before
	headBits   = 2
)

// AppendBinary appends the stored form of the twin.
func (t *Twin) AppendBinary(dst []byte) []byte {
	nodes := count(t.tags.members) + count(t.desired.members) + count(t.reported.members)
	dst = slices.Grow(dst, t.text()+64) // about as much as it takes
	dst = append(dst, binaryVersion)
	dst = binary.AppendUvarint(dst, uint64(t.etag))
	dst = binary.AppendUvarint(dst, uint64(nodes))
	dst = t.tags.appendBinary(dst)
	dst = t.desired.appendBinary(dst)
	return t.reported.appendBinary(dst)
}

// count is the number of nodes in a tree.
func count(members []node) int {
	n := len(members)
	for i := range members {
		if len(members[i].kids) > 0 {
			n += count(members[i].kids)
		}
	}
	return n
}

func (s *section) appendBinary(dst []byte) []byte {
	dst = binary.AppendVarint(dst, s.version)
	dst = binary.AppendUvarint(dst, uint64(s.cost.size))
	dst = binary.AppendVarint(dst, s.stamp.at)
	dst = binary.AppendVarint(dst, s.stamp.version)
	dst = binary.AppendUvarint(dst, uint64(len(s.members)))
	last := s.stamp
	return appendNodes(dst, s.members, &last)
}

// appendNodes appends members and all below them. last is the stamp of the node
// before them, and afterwards that of the last node among them.
func appendNodes(dst []byte, members []node, last *stamp) []byte {
	for i := range members {
		n := &members[i]
		head := uint64(len(n.raw)) << headBits
		if n.isObject() {
			head = uint64(len(n.kids))<<headBits | headObject
		}
		if n.stamp == *last {
			head |= headSame
		}
		dst = binary.AppendUvarint(dst, head)
		dst = binary.AppendUvarint(dst, uint64(len(n.key)))
		dst = append(dst, n.key...)
		dst = append(dst, n.raw...)
		if head&headSame == 0 {
			dst = binary.AppendVarint(dst, n.at-last.at)
			dst = binary.AppendVarint(dst, n.version-last.version)
			*last = n.stamp
		}
		if len(n.kids) > 0 {
			dst = appendNodes(dst, n.kids, last)
		}
	}
	return dst
}

// Decode reads the stored form of a twin. Bytes that are not one give
// ErrStoredForm; they cost no more memory than a small multiple of their number.
// The twin keeps no part of b. For reading many twins in passing, see [Decoder].
//
// Decode does not look into the texts of values: that they are JSON is what the
// store's checksums are for.
func Decode(b []byte) (*Twin, error) {
	t := new(Twin)
	if _, err := t.decode(string(b), nil); err != nil {
		return nil, err
	}
	return t, nil
}

// A Decoder decodes stored forms one after another into one Twin, for readers
// that look at a twin and go on: it allocates nothing once it has seen the
// largest. It keeps that room, and may keep texts of earlier twins alive, until
// it is dropped. The zero Decoder is ready; it is not safe for concurrent use.
type Decoder struct {
	twin Twin
	room []node
}

// Decode reads a stored form as the function [Decode] does. The twin is valid
// until the next Decode, and so is everything made from it by a change; its
// texts are parts of stored, and may be kept.
func (d *Decoder) Decode(stored string) (*Twin, error) {
	room, err := d.twin.decode(stored, d.room)
	d.room = room
	if err != nil {
		return nil, err
	}
	return &d.twin, nil
}

// decode makes t what stored says, with nodes in room if they fit, and gives the
// room it has used. After an error t is of no use.
func (t *Twin) decode(stored string, room []node) ([]node, error) {
	if len(stored) == 0 || stored[0] != binaryVersion {
		return room, ErrStoredForm
	}
	d := decoder{text: stored, at: 1}
	t.etag = int64(d.uint())
	// A node takes two bytes at least, so a damaged count cannot ask for much.
	nodes := d.uint()
	if nodes > d.left()/2 {
		return room, ErrStoredForm
	}
	if nodes > len(room) {
		room = make([]node, nodes)
	}
	d.nodes = room[:nodes]
	d.section(&t.tags)
	d.section(&t.desired)
	d.section(&t.reported)
	if d.bad || d.left() > 0 || len(d.nodes) > 0 {
		return room, ErrStoredForm
	}
	t.held = t.text()
	return room, nil
}

// decoder cuts a stored form to pieces. After a mistake it gives zeros.
type decoder struct {
	text  string // the form; texts of nodes are parts of it
	at    int    // how much of it has been read
	nodes []node // what the header promised and no object has taken yet
	bad   bool
}

// left is the number of bytes that are not read yet.
func (d *decoder) left() int { return len(d.text) - d.at }

// fail ends decoding: with nothing left to read, everything else is zero.
func (d *decoder) fail() {
	d.bad = true
	d.at = len(d.text)
}

func (d *decoder) section(s *section) {
	s.version = d.int()
	s.cost = cost{size: d.uint()}
	s.stamp = stamp{at: d.int(), version: d.int()}
	if s.version < 0 || !s.stamp.valid() {
		d.fail()
	}
	last := s.stamp
	s.members = d.members(d.uint(), 1, &last, &s.cost.text)
}

// members reads n nodes that lie at depth, and adds their texts. The nodes may
// have been used before, so it sets all there is of them.
func (d *decoder) members(n, depth int, last *stamp, text *int) []node {
	if n > len(d.nodes) || depth > MaxDepth+1 {
		d.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	members := d.nodes[:n:n]
	d.nodes = d.nodes[n:]
	for i := range members {
		m := &members[i]
		head := d.uint()
		length := head >> headBits
		key := d.uint()
		m.key = d.cut(key)
		m.raw, m.kids = "", nil
		if head&headObject == 0 {
			m.raw = d.cut(length)
			length = 0
			if m.isObject() || m.isNull() {
				d.fail() // a scalar has some text, and null is never stored
				return nil
			}
		}
		if head&headSame == 0 {
			last.at += d.int()
			last.version += d.int()
			if !last.valid() {
				d.fail()
			}
		}
		m.stamp = *last
		*text += m.ownText()
		if length > 0 {
			m.kids = d.members(length, depth+1, last, text)
		}
	}
	return members
}

func (s stamp) valid() bool { return 0 <= s.at && s.at <= maxTicks && s.version >= 0 }

// cut reads n bytes of text.
func (d *decoder) cut(n int) string {
	if n > d.left() {
		d.fail()
		return ""
	}
	d.at += n
	return d.text[d.at-n : d.at]
}

// uint reads a number that may be used as a length: it is never negative.
func (d *decoder) uint() int {
	if d.at < len(d.text) && d.text[d.at] < 0x80 {
		d.at++
		return int(d.text[d.at-1])
	}
	n := d.varint(63)
	return int(n)
}

// int reads a signed number of any size, in zigzag form.
func (d *decoder) int() int64 {
	n := d.varint(70)
	return int64(n>>1) ^ -int64(n&1)
}

// varint reads a number of at most bits, a multiple of seven.
func (d *decoder) varint(bits int) uint64 {
	var n uint64
	for shift := 0; shift < bits && d.at < len(d.text); shift += 7 {
		c := d.text[d.at]
		d.at++
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	d.fail()
	return 0
}

// compact is t in one piece that shares nothing with older twins or bodies.
func (t *Twin) compact() *Twin {
	copied, err := Decode(t.AppendBinary(nil))
	if err != nil {
		panic("twin: own stored form is unreadable: " + err.Error())
	}
	return copied
}
