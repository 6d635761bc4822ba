package document

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/hubtwin/hubtwin/device"
)

// errHead is given for bytes that no head was stored as.
var errHead = errors.New("document: damaged stored form of a head")

// The stored form of a head lives in memory only, so it may change with any
// version. It has no text where there is mostly none, and is about 25 bytes for
// a plain device:
//
//	+----------------+-------------+------------------------------------+
//	| flags: 2 bytes | device etag | what the flags say is there, in    |
//	|                | text        | the order of AppendHead            |
//	+----------------+-------------+------------------------------------+
//
// A text is its length as a varint, and its bytes. A time is eight bytes of ticks,
// the message count a varint. Numbers have their lowest byte first.
const (
	flagConnected = 1 << iota
	flagIoTEdge
	flagReason
	flagPrimary
	flagSecondary
	flagScope
	flagParents
	flagModel
	flagStatusUpdated
	flagLastActivity
	flagCount

	shiftStatus = 11 // two bits: a place in statuses
	maskStatus  = 1<<2 - 1
	shiftAuth   = 13 // three bits: a place in authentications
	maskAuth    = 1<<3 - 1
)

// The texts that flags stand for. The first place is for any other text, which
// then follows the etag.
var (
	statuses        = [...]string{"", string(device.Enabled), string(device.Disabled)}
	authentications = [...]string{"", string(device.SAS), string(device.SelfSigned), string(device.CertificateAuthority), string(device.None)}
)

// place is that of s in list, 0 if it is in none.
func place(list []string, s string) int {
	for i, known := range list[1:] {
		if s == known {
			return i + 1
		}
	}
	return 0
}

// AppendHead appends the stored form of h.
func AppendHead(dst []byte, h *Head) []byte {
	w := writer{dst: append(dst, 0, 0)}
	w.text(h.DeviceEtag)
	status, auth := place(statuses[:], h.Status), place(authentications[:], h.AuthenticationType)
	w.flags = status<<shiftStatus | auth<<shiftAuth
	if status == 0 {
		w.text(h.Status)
	}
	if auth == 0 {
		w.text(h.AuthenticationType)
	}
	w.bool(flagConnected, h.Connected)
	w.bool(flagIoTEdge, h.IoTEdge)
	w.optional(flagReason, h.StatusReason)
	w.optional(flagPrimary, h.PrimaryThumbprint)
	w.optional(flagSecondary, h.SecondaryThumbprint)
	w.optional(flagScope, h.DeviceScope)
	w.optional(flagParents, h.ParentScopes)
	w.optional(flagModel, h.ModelID)
	w.time(flagStatusUpdated, h.StatusUpdated)
	w.time(flagLastActivity, h.LastActivity)
	if h.CloudToDeviceMessageCount > 0 {
		w.flags |= flagCount
		w.dst = binary.AppendUvarint(w.dst, uint64(h.CloudToDeviceMessageCount))
	}
	binary.LittleEndian.PutUint16(w.dst[len(dst):], uint16(w.flags))
	return w.dst
}

// writer appends fields and notes in flags which are there.
type writer struct {
	dst   []byte
	flags int
}

func (w *writer) text(s string) {
	w.dst = binary.AppendUvarint(w.dst, uint64(len(s)))
	w.dst = append(w.dst, s...)
}

func (w *writer) bool(flag int, is bool) {
	if is {
		w.flags |= flag
	}
}

func (w *writer) optional(flag int, s string) {
	if s != "" {
		w.flags |= flag
		w.text(s)
	}
}

func (w *writer) time(flag int, ticks int64) {
	if ticks != 0 {
		w.flags |= flag
		w.dst = binary.LittleEndian.AppendUint64(w.dst, uint64(ticks))
	}
}

// DecodeHead reads a head from the beginning of stored, and gives what follows
// it. The texts of h are parts of stored.
func DecodeHead(stored string) (h Head, rest string, err error) {
	if len(stored) < 2 {
		return Head{}, "", errHead
	}
	r := reader{flags: int(stored[0]) | int(stored[1])<<8, rest: stored[2:]}
	h.DeviceEtag = r.text()
	h.Status = r.known(statuses[:], r.flags>>shiftStatus&maskStatus)
	h.AuthenticationType = r.known(authentications[:], r.flags>>shiftAuth&maskAuth)
	h.Connected = r.flags&flagConnected != 0
	h.IoTEdge = r.flags&flagIoTEdge != 0
	h.StatusReason = r.optional(flagReason)
	h.PrimaryThumbprint = r.optional(flagPrimary)
	h.SecondaryThumbprint = r.optional(flagSecondary)
	h.DeviceScope = r.optional(flagScope)
	h.ParentScopes = r.optional(flagParents)
	h.ModelID = r.optional(flagModel)
	h.StatusUpdated = r.time(flagStatusUpdated)
	h.LastActivity = r.time(flagLastActivity)
	if r.flags&flagCount != 0 {
		h.CloudToDeviceMessageCount = r.count()
	}
	if r.bad {
		return Head{}, "", errHead
	}
	return h, r.rest, nil
}

// reader reads what writer wrote. After a mistake it gives zeros.
type reader struct {
	flags int
	rest  string
	bad   bool
}

func (r *reader) fail() {
	r.bad, r.rest = true, ""
}

// count reads a varint that is not negative.
func (r *reader) count() int {
	var n uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		c := r.rest[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c >= 0x80 {
			continue
		}
		if n > math.MaxInt {
			break
		}
		r.rest = r.rest[i+1:]
		return int(n)
	}
	r.fail()
	return 0
}

func (r *reader) text() string {
	n := r.count()
	if n > len(r.rest) {
		r.fail()
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) known(list []string, place int) string {
	switch {
	case place == 0:
		return r.text()
	case place < len(list):
		return list[place]
	}
	r.fail()
	return ""
}

func (r *reader) optional(flag int) string {
	if r.flags&flag == 0 {
		return ""
	}
	return r.text()
}

func (r *reader) time(flag int) int64 {
	if r.flags&flag == 0 {
		return 0
	}
	if len(r.rest) < 8 {
		r.fail()
		return 0
	}
	var ticks uint64
	for i := range 8 {
		ticks |= uint64(r.rest[i]) << (8 * i)
	}
	r.rest = r.rest[8:]
	return int64(ticks)
}
