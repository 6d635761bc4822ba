package packet

import "encoding/binary"

// Subscription is one line of a SUBSCRIBE: a topic filter and the highest QoS
// the client wants with it, 0 to 2. Filter is a view into the decoded body.
type Subscription struct {
	Filter []byte
	QoS    byte
}

// SubackFailure is the SUBACK return code of a refused filter; a granted one's
// code is its QoS.
const SubackFailure = 0x80

// DecodeSubscribe reads the body of a SUBSCRIBE (section 3.8): one to MaxFilters
// subscriptions, in the order in which SUBACK must answer them.
func DecodeSubscribe(body []byte) (id uint16, subs []Subscription, err error) {
	f := fields{rest: body}
	id = f.id()
	for len(f.rest) > 0 {
		if len(subs) == MaxFilters {
			return 0, nil, ErrTooManyFilters
		}
		s := Subscription{Filter: f.filter(), QoS: f.uint8()}
		if s.QoS > 2 {
			f.fail(MalformedError("[MQTT-3-8.3-4] requested QoS is not 0, 1 or 2"))
		}
		subs = append(subs, s)
	}
	if len(subs) == 0 {
		f.fail(MalformedError("[MQTT-3.8.3-3] SUBSCRIBE without a topic filter"))
	}
	if f.err != nil {
		return 0, nil, f.err
	}
	return id, subs, nil
}

// DecodeUnsubscribe reads the body of an UNSUBSCRIBE (section 3.10): one to
// MaxFilters filters, views into body.
func DecodeUnsubscribe(body []byte) (id uint16, filters [][]byte, err error) {
	f := fields{rest: body}
	id = f.id()
	for len(f.rest) > 0 {
		if len(filters) == MaxFilters {
			return 0, nil, ErrTooManyFilters
		}
		filters = append(filters, f.filter())
	}
	if len(filters) == 0 {
		f.fail(MalformedError("[MQTT-3.10.3-2] UNSUBSCRIBE without a topic filter"))
	}
	if f.err != nil {
		return 0, nil, f.err
	}
	return id, filters, nil
}

// filter reads a topic filter and checks its syntax.
func (f *fields) filter() []byte {
	b := f.text() // [MQTT-3.8.3-1] [MQTT-3.10.3-1]
	if f.err != nil {
		return nil
	}
	if err := CheckFilter(b); err != nil {
		f.fail(err)
	}
	return b
}

// AppendSubscribe appends a client's SUBSCRIBE. The id must not be 0. No
// subscription is a MalformedError, more than MaxFilters ErrTooManyFilters, a
// filter of more than 65,535 bytes ErrTooLarge; dst is then returned as it was.
func AppendSubscribe(dst []byte, id uint16, subs ...Subscription) ([]byte, error) {
	size := 2
	for _, s := range subs {
		if len(s.Filter) > maxString {
			return dst, ErrTooLarge
		}
		size += 2 + len(s.Filter) + 1
	}
	if err := checkCount(len(subs)); err != nil {
		return dst, err
	}
	dst = appendHeader(dst, headerOf(TypeSubscribe), size)
	dst = binary.BigEndian.AppendUint16(dst, id)
	for _, s := range subs {
		dst = append(appendField(dst, s.Filter), s.QoS)
	}
	return dst, nil
}

// AppendUnsubscribe appends a client's UNSUBSCRIBE, with the errors of
// AppendSubscribe.
func AppendUnsubscribe(dst []byte, id uint16, filters ...[]byte) ([]byte, error) {
	size := 2
	for _, filter := range filters {
		if len(filter) > maxString {
			return dst, ErrTooLarge
		}
		size += 2 + len(filter)
	}
	if err := checkCount(len(filters)); err != nil {
		return dst, err
	}
	dst = appendHeader(dst, headerOf(TypeUnsubscribe), size)
	dst = binary.BigEndian.AppendUint16(dst, id)
	for _, filter := range filters {
		dst = appendField(dst, filter)
	}
	return dst, nil
}

func checkCount(filters int) error {
	switch {
	case filters == 0:
		return MalformedError("[MQTT-3.8.3-3] [MQTT-3.10.3-2] no topic filter")
	case filters > MaxFilters:
		return ErrTooManyFilters
	}
	return nil
}

// AppendSuback appends the answer to a SUBSCRIBE: a granted QoS or SubackFailure
// for each filter, in their order [MQTT-3.8.4-5]. There are at most MaxFilters
// codes, as DecodeSubscribe has let through no more.
func AppendSuback(dst []byte, id uint16, codes ...byte) []byte {
	dst = appendHeader(dst, headerOf(TypeSuback), 2+len(codes))
	dst = binary.BigEndian.AppendUint16(dst, id)
	return append(dst, codes...)
}

// DecodeSuback reads the body of a SUBACK, as a client receives it. The codes
// are a view into body.
func DecodeSuback(body []byte) (id uint16, codes []byte, err error) {
	f := fields{rest: body}
	id = f.id()
	codes = f.rest
	for _, code := range codes {
		if code > 2 && code != SubackFailure {
			f.fail(MalformedError("[MQTT-3.9.3-2] reserved SUBACK return code"))
		}
	}
	if len(codes) == 0 {
		f.fail(MalformedError("[MQTT-3.8.4-5] SUBACK without a return code"))
	}
	if f.err != nil {
		return 0, nil, f.err
	}
	return id, codes, nil
}
