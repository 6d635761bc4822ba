package packet

import (
	"encoding/binary"
	"errors"
)

// Level is the protocol level of MQTT 3.1.1.
const Level = 4

// ErrUnsupportedLevel says that a CONNECT is MQTT of another version. The hub
// answers it with AppendUnsupportedLevel and closes [MQTT-3.1.2-2].
var ErrUnsupportedLevel = errors.New("MQTT protocol level is not 4 (MQTT 3.1.1)")

// Connect is a CONNECT (section 3.1). Its slices are views into the decoded
// body.
type Connect struct {
	// Level is the protocol level received: 4, or another one together with
	// ErrUnsupportedLevel. AppendConnect always writes 4.
	Level byte
	// CleanSession asks to forget the stored session.
	CleanSession bool
	// KeepAlive is in seconds; 0 turns it off.
	KeepAlive uint16
	// ClientID may be empty; whether it may is the hub's to say [MQTT-3.1.3-8].
	ClientID []byte
	// Will is the client's last message, valid only if HasWill.
	Will    Will
	HasWill bool
	// Username and Password are nil when their flag is 0, and empty but not nil
	// when they were sent with no bytes.
	Username []byte
	Password []byte
}

// Will is the message a client leaves for the case that it is cut off
// (section 3.1.2.5).
type Will struct {
	Topic   []byte
	Payload []byte
	QoS     byte // 0 to 2
	Retain  bool
}

// The bits of the connect flags, section 3.1.2.3.
const (
	flagReserved     = 1 << 0
	flagCleanSession = 1 << 1
	flagWill         = 1 << 2
	shiftWillQoS     = 3
	flagWillRetain   = 1 << 5
	flagPassword     = 1 << 6
	flagUsername     = 1 << 7
)

const errWillQoS = MalformedError("[MQTT-3.1.2-14] will QoS is not 0, 1 or 2")

// DecodeConnect reads the body of a CONNECT. MQTT of another level, including
// 3.1's MQIsdp, gives ErrUnsupportedLevel with only Level set, for what follows
// is laid out otherwise there. Any other protocol is a MalformedError.
func DecodeConnect(body []byte) (Connect, error) {
	f := fields{rest: body}
	name, level := f.binary(), f.uint8()
	switch {
	case f.err != nil:
		return Connect{}, f.err
	case string(name) == "MQTT" && level == Level:
	case string(name) == "MQTT", string(name) == "MQIsdp":
		return Connect{Level: level}, ErrUnsupportedLevel
	default:
		return Connect{}, MalformedError("[MQTT-3.1.2-1] protocol name is not MQTT")
	}

	flags := f.uint8()
	if err := checkConnectFlags(flags); err != nil && f.err == nil {
		return Connect{}, err
	}
	c := Connect{
		Level:        level,
		CleanSession: flags&flagCleanSession != 0,
		HasWill:      flags&flagWill != 0,
		KeepAlive:    f.uint16(),
		ClientID:     f.text(), // [MQTT-3.1.3-4]
	}
	if c.HasWill {
		c.Will = f.will(flags)
	}
	if flags&flagUsername != 0 {
		c.Username = f.text() // [MQTT-3.1.3-11]
	}
	if flags&flagPassword != 0 {
		c.Password = f.binary()
	}
	if err := f.done(); err != nil {
		return Connect{}, err
	}
	return c, nil
}

func checkConnectFlags(flags byte) error {
	qos := flags >> shiftWillQoS & 3
	switch {
	case flags&flagReserved != 0:
		return MalformedError("[MQTT-3.1.2-3] reserved connect flag is set")
	case flags&flagWill == 0 && qos != 0:
		return MalformedError("[MQTT-3.1.2-13] will QoS without a will")
	case qos == 3:
		return errWillQoS
	case flags&flagWill == 0 && flags&flagWillRetain != 0:
		return MalformedError("[MQTT-3.1.2-15] will retain without a will")
	case flags&flagUsername == 0 && flags&flagPassword != 0:
		return MalformedError("[MQTT-3.1.2-22] password without a user name")
	}
	return nil
}

func (f *fields) will(flags byte) Will {
	w := Will{
		Topic:   f.text(), // [MQTT-3.1.3-10]
		Payload: f.binary(),
		QoS:     flags >> shiftWillQoS & 3,
		Retain:  flags&flagWillRetain != 0,
	}
	if err := checkTopicName(w.Topic); err != nil && f.err == nil {
		f.fail(err)
	}
	return w
}

func (c *Connect) flags() byte {
	var flags byte
	set := func(on bool, bit byte) {
		if on {
			flags |= bit
		}
	}
	set(c.CleanSession, flagCleanSession)
	set(c.HasWill, flagWill|c.Will.QoS<<shiftWillQoS)
	set(c.HasWill && c.Will.Retain, flagWillRetain)
	set(c.Username != nil, flagUsername)
	set(c.Password != nil, flagPassword)
	return flags
}

// AppendConnect appends a client's CONNECT of level 4. A field of more than
// 65,535 bytes is ErrTooLarge, and a password without a user name or a will QoS
// over 2 a MalformedError; dst is then returned as it was.
func AppendConnect(dst []byte, c *Connect) ([]byte, error) {
	if c.HasWill && c.Will.QoS > 2 {
		return dst, errWillQoS
	}
	flags := c.flags()
	if err := checkConnectFlags(flags); err != nil {
		return dst, err
	}
	optional := [4][]byte{nil, nil, c.Username, c.Password}
	if c.HasWill {
		optional[0], optional[1] = nonNil(c.Will.Topic), nonNil(c.Will.Payload)
	}
	size := 10 + 2 + len(c.ClientID)
	long := len(c.ClientID) > maxString
	for _, o := range optional {
		if o != nil {
			size += 2 + len(o)
			long = long || len(o) > maxString
		}
	}
	if long {
		return dst, ErrTooLarge
	}

	dst = appendHeader(dst, headerOf(TypeConnect), size)
	dst = appendField(dst, "MQTT")
	dst = append(dst, Level, flags)
	dst = binary.BigEndian.AppendUint16(dst, c.KeepAlive)
	dst = appendField(dst, c.ClientID)
	for _, o := range optional {
		if o != nil {
			dst = appendField(dst, o)
		}
	}
	return dst, nil
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
