// Package packet is the codec of MQTT 3.1.1: it cuts packets out of a
// connection's read buffer, checks every rule of the standard that can be
// checked on one packet alone, and appends packets to an output buffer.
//
// It is not a broker and holds no state: which packet may follow which, packet
// identifiers in flight, keep-alive and sessions belong to package mqtt.
//
// Begin with Next, which finds one packet:
//
//	 0        1 … 4              1+len
//	+--------+------------------+--------------------------------+
//	| Header | remaining length | body                           |
//	+--------+------------------+--------------------------------+
//	  type 4    7 bits a byte,    decoded by DecodePublish,
//	  flags 4   low bits first    DecodeConnect, DecodeAck …
//
// Decoding is in place. Every []byte that a Decode function or Next returns is
// a view into the buffer it was given and lives as long as that buffer's
// content: copy what must outlive the next read from the connection. Decoding a
// PUBLISH allocates nothing.
//
// Rules are cited as the standard numbers them, such as [MQTT-3.1.2-24]; the
// text of an error starts with the number of the rule that was broken.
package packet

import "errors"

// MaxRemaining is the largest remaining length the wire can carry, in bytes
// (section 2.2.3).
const MaxRemaining = 268_435_455

// MaxFilters is how many topic filters one SUBSCRIBE or UNSUBSCRIBE may carry.
// The standard has no limit; the SDKs send 5 at most, and the hub grants few.
const MaxFilters = 64

// ErrIncomplete says that the buffer ends before the packet does.
var ErrIncomplete = errors.New("MQTT packet is incomplete")

// ErrTooLarge says that a packet exceeds a limit: the caller's own when
// decoding, the wire's 65,535 bytes a string when encoding.
var ErrTooLarge = errors.New("MQTT packet is too large")

// ErrTooManyFilters says that a SUBSCRIBE or UNSUBSCRIBE names more than
// MaxFilters filters.
var ErrTooManyFilters = errors.New("MQTT packet names too many topic filters")

// MalformedError is a broken rule of the standard, its number first. The only
// answer to it is to close the connection [MQTT-4.8.0-1].
type MalformedError string

func (e MalformedError) Error() string { return "malformed MQTT packet: " + string(e) }

// Type is the control packet type, 1 to 14 (section 2.2.1).
type Type byte

// The control packet types.
const (
	TypeConnect     Type = 1
	TypeConnack     Type = 2
	TypePublish     Type = 3
	TypePuback      Type = 4
	TypePubrec      Type = 5
	TypePubrel      Type = 6
	TypePubcomp     Type = 7
	TypeSubscribe   Type = 8
	TypeSuback      Type = 9
	TypeUnsubscribe Type = 10
	TypeUnsuback    Type = 11
	TypePingreq     Type = 12
	TypePingresp    Type = 13
	TypeDisconnect  Type = 14
)

// kinds holds what the first two fields of each type must be: the flags
// (section 2.2.2) and the remaining length, -1 where it varies. An empty name
// marks a reserved type.
var kinds = [16]struct {
	name  string
	flags byte
	size  int
}{
	TypeConnect:     {"CONNECT", 0, -1},
	TypeConnack:     {"CONNACK", 0, 2},
	TypePublish:     {"PUBLISH", 0, -1},
	TypePuback:      {"PUBACK", 0, 2},
	TypePubrec:      {"PUBREC", 0, 2},
	TypePubrel:      {"PUBREL", 2, 2},
	TypePubcomp:     {"PUBCOMP", 0, 2},
	TypeSubscribe:   {"SUBSCRIBE", 2, -1},
	TypeSuback:      {"SUBACK", 0, -1},
	TypeUnsubscribe: {"UNSUBSCRIBE", 2, -1},
	TypeUnsuback:    {"UNSUBACK", 0, 2},
	TypePingreq:     {"PINGREQ", 0, 0},
	TypePingresp:    {"PINGRESP", 0, 0},
	TypeDisconnect:  {"DISCONNECT", 0, 0},
}

// String is the type's name in the standard, or RESERVED.
func (t Type) String() string {
	if int(t) < len(kinds) && kinds[t].name != "" {
		return kinds[t].name
	}
	return "RESERVED"
}

// Header is the first byte of a packet: its type and flags.
type Header byte

// Type is the packet's type.
func (h Header) Type() Type { return Type(h >> 4) }

// Dup tells whether a PUBLISH may be a re-delivery.
func (h Header) Dup() bool { return h&8 != 0 }

// QoS is a PUBLISH's quality of service, 0 to 2.
func (h Header) QoS() byte { return byte(h) >> 1 & 3 }

// Retain is a PUBLISH's retain flag.
func (h Header) Retain() bool { return h&1 != 0 }

// check applies the rules that need no more than the first byte.
func (h Header) check() error {
	t := h.Type()
	switch {
	case kinds[t].name == "":
		return MalformedError("[2.2.1] reserved packet type")
	case t == TypePublish && h.QoS() == 3:
		return MalformedError("[MQTT-3.3.1-4] PUBLISH with QoS 3")
	case t == TypePublish && h.Dup() && h.QoS() == 0:
		return MalformedError("[MQTT-3.3.1-2] PUBLISH with DUP at QoS 0")
	case t != TypePublish && byte(h)&15 != kinds[t].flags:
		return MalformedError("[MQTT-2.2.2-2] reserved flags of the fixed header are wrong")
	}
	return nil
}

// Next finds the packet at the start of buf. Its body, a view into buf, may have
// max bytes at most; n is the length of the whole packet, where the next one
// begins.
//
// When buf ends too early, the error is ErrIncomplete and n is how many bytes
// buf must hold before another call can know more: the whole packet's length
// once that is known. A packet over the limit (ErrTooLarge) or with a bad first
// byte (MalformedError) is refused as soon as its header shows it, before its
// body arrives, so n never exceeds max+5.
//
// A remaining length written in more bytes than it needs is accepted, since
// 3.1.1 does not forbid it.
func Next(buf []byte, max int) (h Header, body []byte, n int, err error) {
	if len(buf) == 0 {
		return 0, nil, 2, ErrIncomplete
	}
	h = Header(buf[0])
	if err := h.check(); err != nil {
		return h, nil, 0, err
	}
	size, start, err := remainingLength(buf)
	if err != nil {
		return h, nil, start, err
	}
	if want := kinds[h.Type()].size; want >= 0 && size != want {
		return h, nil, 0, MalformedError("[2.2.3] wrong remaining length for the packet type")
	}
	if size > max {
		return h, nil, 0, ErrTooLarge
	}
	n = start + size
	if len(buf) < n {
		return h, nil, n, ErrIncomplete
	}
	return h, buf[start:n:n], n, nil
}

// remainingLength reads the second field of a packet (section 2.2.3). It returns
// where the body starts or, with ErrIncomplete, how many bytes are needed to go
// on.
func remainingLength(buf []byte) (size, start int, err error) {
	for i := 1; i <= 4; i++ {
		if i == len(buf) {
			return 0, i + 1, ErrIncomplete
		}
		size |= int(buf[i]&127) << (7 * (i - 1))
		if buf[i] < 128 {
			return size, i + 1, nil
		}
	}
	return 0, 0, MalformedError("[2.2.3] remaining length has more than four bytes")
}

// appendHeader writes the first two fields of a packet. Its size must not exceed
// MaxRemaining.
func appendHeader(dst []byte, h Header, size int) []byte {
	dst = append(dst, byte(h))
	for ; size > 127; size >>= 7 {
		dst = append(dst, byte(size)|128)
	}
	return append(dst, byte(size))
}

// headerOf is the first byte of every packet of type t that is not a PUBLISH.
func headerOf(t Type) Header { return Header(byte(t)<<4 | kinds[t].flags) }
