package packet

import (
	"bytes"
	"encoding/binary"
)

// Publish is a PUBLISH (section 3.3). Its slices are views into the decoded
// body.
type Publish struct {
	Topic   []byte
	Payload []byte
	ID      uint16 // 0 at QoS 0, never otherwise
	QoS     byte   // 0 to 2
	Dup     bool
	Retain  bool
}

// PublishHeader is the first byte of a PUBLISH. The QoS is 0 to 2.
func PublishHeader(qos byte, dup, retain bool) Header {
	h := Header(byte(TypePublish)<<4 | qos<<1)
	if dup {
		h |= 8
	}
	if retain {
		h |= 1
	}
	return h
}

// DecodePublish reads the body of a PUBLISH whose header h came from Next.
func DecodePublish(h Header, body []byte) (Publish, error) {
	f := fields{rest: body}
	p := Publish{Topic: f.text(), QoS: h.QoS(), Dup: h.Dup(), Retain: h.Retain()} // [MQTT-3.3.2-1]
	if p.QoS > 0 {
		p.ID = f.id()
	}
	if f.err != nil {
		return Publish{}, f.err
	}
	if err := checkTopicName(p.Topic); err != nil { // [MQTT-3.3.2-2]
		return Publish{}, err
	}
	p.Payload = f.rest
	return p, nil
}

// checkTopicName applies what a topic name has beyond checkText.
func checkTopicName(topic []byte) error {
	switch {
	case len(topic) == 0:
		return MalformedError("[MQTT-4.7.3-1] topic name is empty")
	case bytes.IndexByte(topic, '#') >= 0, bytes.IndexByte(topic, '+') >= 0:
		return MalformedError("[MQTT-4.7.1-1] topic name has a wildcard")
	}
	return nil
}

// AppendPublish appends a PUBLISH. The topic is given in parts, which are
// written one after the other, so that callers need not join them. The id is
// ignored at QoS 0 and must not be 0 otherwise. A topic of more than 65,535
// bytes, as C2D properties can add up to, is ErrTooLarge; so is a packet beyond
// MaxRemaining. dst is then returned as it was.
func AppendPublish(dst []byte, h Header, id uint16, payload []byte, topic ...string) ([]byte, error) {
	length := 0
	for _, part := range topic {
		length += len(part)
	}
	size := 2 + length + len(payload)
	if h.QoS() > 0 {
		size += 2
	}
	if length > maxString || size > MaxRemaining {
		return dst, ErrTooLarge
	}

	dst = appendHeader(dst, h, size)
	dst = binary.BigEndian.AppendUint16(dst, uint16(length))
	for _, part := range topic {
		dst = append(dst, part...)
	}
	if h.QoS() > 0 {
		dst = binary.BigEndian.AppendUint16(dst, id)
	}
	return append(dst, payload...), nil
}
