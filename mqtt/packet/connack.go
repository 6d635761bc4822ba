package packet

// ConnackCode is the return code of a CONNACK (section 3.2.2.3).
type ConnackCode byte

// The return codes of 3.1.1. The hub itself uses only Accepted,
// RefusedLevel, RefusedUnavailable and RefusedNotAuthorized: some SDKs never
// connect again after the other two (device-protocol R8).
const (
	Accepted              ConnackCode = 0
	RefusedLevel          ConnackCode = 1
	RefusedIdentifier     ConnackCode = 2
	RefusedUnavailable    ConnackCode = 3
	RefusedBadCredentials ConnackCode = 4
	RefusedNotAuthorized  ConnackCode = 5
)

// AppendConnack appends a server's answer to CONNECT. A refusal never claims a
// session, whatever sessionPresent says [MQTT-3.2.2-4].
func AppendConnack(dst []byte, sessionPresent bool, code ConnackCode) []byte {
	var flags byte
	if sessionPresent && code == Accepted {
		flags = 1
	}
	return append(dst, byte(headerOf(TypeConnack)), 2, flags, byte(code))
}

// AppendUnsupportedLevel appends the refusal of a CONNECT of another protocol
// level, in the form that a client of that level reads: for 5 and above MQTT
// 5's CONNACK with reason 0x84 and no properties, else 3.1.1's code 1
// (device-protocol 1.3).
func AppendUnsupportedLevel(dst []byte, level byte) []byte {
	// Bit 7 marks a bridge of the old brokers, not a newer version.
	if level&127 >= 5 {
		return append(dst, byte(headerOf(TypeConnack)), 3, 0, 0x84, 0)
	}
	return AppendConnack(dst, false, RefusedLevel)
}

// DecodeConnack reads the body of a CONNACK, as a client receives it.
func DecodeConnack(body []byte) (sessionPresent bool, code ConnackCode, err error) {
	f := fields{rest: body}
	flags, code := f.uint8(), ConnackCode(f.uint8())
	switch err := f.done(); {
	case err != nil:
		return false, 0, err
	case flags > 1:
		return false, 0, MalformedError("[3.2.2.1] reserved CONNACK flag is set")
	case code > RefusedNotAuthorized:
		return false, 0, MalformedError("[3.2.2.3] reserved CONNACK return code")
	case flags == 1 && code != Accepted:
		return false, 0, MalformedError("[MQTT-3.2.2-4] refusal with session present")
	}
	return flags == 1, code, nil
}
