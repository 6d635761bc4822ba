package packet

// DecodeAck reads the body of the packets that carry an identifier and nothing
// else: PUBACK, PUBREC, PUBREL, PUBCOMP and UNSUBACK. The identifier is never 0.
func DecodeAck(body []byte) (id uint16, err error) {
	f := fields{rest: body}
	id = f.id()
	if err := f.done(); err != nil {
		return 0, err
	}
	return id, nil
}

// AppendPuback appends the answer to a PUBLISH of QoS 1 (section 3.4).
func AppendPuback(dst []byte, id uint16) []byte { return appendAck(dst, TypePuback, id) }

// AppendUnsuback appends the answer to an UNSUBSCRIBE (section 3.11).
func AppendUnsuback(dst []byte, id uint16) []byte { return appendAck(dst, TypeUnsuback, id) }

func appendAck(dst []byte, t Type, id uint16) []byte {
	return append(dst, byte(headerOf(t)), 2, byte(id>>8), byte(id))
}

// AppendPingreq appends a client's PINGREQ (section 3.12).
func AppendPingreq(dst []byte) []byte { return append(dst, byte(headerOf(TypePingreq)), 0) }

// AppendPingresp appends the answer to a PINGREQ (section 3.13).
func AppendPingresp(dst []byte) []byte { return append(dst, byte(headerOf(TypePingresp)), 0) }

// AppendDisconnect appends a client's DISCONNECT (section 3.14).
func AppendDisconnect(dst []byte) []byte { return append(dst, byte(headerOf(TypeDisconnect)), 0) }
