package packet

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// readTable reads a table of testdata: one JSON object a line.
func readTable[T any](t testing.TB, name string) []T {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var rows []T
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var row T
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return rows
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decode reads the body of any packet into the value that its Decode function
// gives.
func decode(h Header, body []byte) (any, error) {
	switch h.Type() {
	case TypeConnect:
		return DecodeConnect(body)
	case TypePublish:
		return DecodePublish(h, body)
	case TypeSubscribe:
		id, subs, err := DecodeSubscribe(body)
		return subscribe{id, subs}, err
	case TypeUnsubscribe:
		id, filters, err := DecodeUnsubscribe(body)
		return unsubscribe{id, filters}, err
	case TypeConnack:
		session, code, err := DecodeConnack(body)
		return connack{session, code}, err
	case TypeSuback:
		id, codes, err := DecodeSuback(body)
		return suback{id, codes}, err
	case TypePingreq, TypePingresp, TypeDisconnect:
		return h.Type(), nil
	}
	id, err := DecodeAck(body)
	return ack{h.Type(), id}, err
}

type (
	subscribe struct {
		id   uint16
		subs []Subscription
	}
	unsubscribe struct {
		id      uint16
		filters [][]byte
	}
	connack struct {
		session bool
		code    ConnackCode
	}
	suback struct {
		id    uint16
		codes []byte
	}
	ack struct {
		kind Type
		id   uint16
	}
)

// encode is decode's inverse.
func encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case Connect:
		return AppendConnect(nil, &v)
	case Publish:
		return AppendPublish(nil, PublishHeader(v.QoS, v.Dup, v.Retain), v.ID, v.Payload, string(v.Topic))
	case subscribe:
		return AppendSubscribe(nil, v.id, v.subs...)
	case unsubscribe:
		return AppendUnsubscribe(nil, v.id, v.filters...)
	case connack:
		return AppendConnack(nil, v.session, v.code), nil
	case suback:
		return AppendSuback(nil, v.id, v.codes...), nil
	case ack:
		return appendAck(nil, v.kind, v.id), nil
	case Type:
		return map[Type]func([]byte) []byte{
			TypePingreq: AppendPingreq, TypePingresp: AppendPingresp, TypeDisconnect: AppendDisconnect,
		}[v](nil), nil
	}
	return nil, errors.New("no such packet")
}

// examples are what the packets of testdata/examples.jsonl mean.
var examples = []any{
	Connect{Level: 4, KeepAlive: 240, ClientID: []byte("d1"), Username: []byte("h/d1/?api-version=2021-04-12")},
	connack{false, Accepted},
	connack{true, Accepted},
	connack{false, RefusedNotAuthorized},
	subscribe{1, []Subscription{{[]byte("devices/d1/messages/devicebound/#"), 2}}},
	suback{1, []byte{1}},
	Publish{Topic: []byte("devices/d1/messages/events/a=b"), Payload: []byte("{}"), ID: 2, QoS: 1},
	ack{TypePuback, 2},
	Publish{Topic: []byte("$iothub/twin/GET/?$rid=1"), Payload: []byte(" ")},
	Publish{Topic: []byte("$iothub/twin/res/204/?$rid=1&$version=6"), Payload: []byte{}},
}

type example struct{ Name, Hex string }

func TestExamples(t *testing.T) {
	rows := readTable[example](t, "examples.jsonl")
	if len(rows) != len(examples) {
		t.Fatalf("%d examples, %d meanings", len(rows), len(examples))
	}
	for i, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			wire := fromHex(t, row.Hex)
			h, body, n, err := Next(wire, 1000)
			if err != nil || n != len(wire) {
				t.Fatalf("Next: n %d, error %v", n, err)
			}
			got, err := decode(h, body)
			if err != nil || !reflect.DeepEqual(got, examples[i]) {
				t.Errorf("decoded %+v, %v; want %+v", got, err, examples[i])
			}
			again, err := encode(examples[i])
			if err != nil || !bytes.Equal(again, wire) {
				t.Errorf("encoded % x, %v; want % x", again, err, wire)
			}
		})
	}
}

func TestTopicInParts(t *testing.T) {
	got, err := AppendPublish([]byte("x"), PublishHeader(0, false, false), 0, nil,
		"$iothub/twin/res/", "204", "/?$rid=", "1", "&$version=", "6")
	rows := readTable[example](t, "examples.jsonl")
	want := append([]byte("x"), fromHex(t, rows[len(rows)-1].Hex)...)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got % x, %v; want % x", got, err, want)
	}
}

func TestMalformed(t *testing.T) {
	type malformed struct{ Name, Hex, Error string }
	const limit = 512
	for _, row := range readTable[malformed](t, "malformed.jsonl") {
		t.Run(row.Name, func(t *testing.T) {
			h, body, _, err := Next(fromHex(t, row.Hex), limit)
			if err == nil {
				var v any
				if v, err = decode(h, body); err == nil {
					t.Fatalf("accepted as %+v", v)
				}
			}
			if !strings.Contains(err.Error(), row.Error) {
				t.Errorf("error %q does not mention %q", err, row.Error)
			}
			if _, malformed := err.(MalformedError); malformed != strings.Contains(err.Error(), "[") {
				t.Errorf("error %q is a %T", err, err)
			}
		})
	}
}

// A packet that arrives byte by byte is asked for until it is whole, and never
// found too early.
func TestNextIncomplete(t *testing.T) {
	long, err := AppendPublish(nil, PublishHeader(1, false, false), 7, make([]byte, 20_000), "t")
	if err != nil {
		t.Fatal(err)
	}
	wire := append(AppendPuback(nil, 9), long...)
	wire = AppendPingreq(wire)
	var found []int
	for start, have := 0, 0; start < len(wire); {
		_, _, n, err := Next(wire[start:have], 1<<20)
		switch {
		case errors.Is(err, ErrIncomplete):
			if n <= have-start || start+n > len(wire) {
				t.Fatalf("with %d bytes, Next asks for %d", have-start, n)
			}
			have++
		case err != nil:
			t.Fatal(err)
		default:
			if start+n != have {
				t.Fatalf("packet found at %d bytes, not at its end %d", have-start, n)
			}
			found = append(found, n)
			start += n
		}
	}
	if want := []int{4, len(long), 2}; !reflect.DeepEqual(found, want) {
		t.Errorf("packets of %v bytes, want %v", found, want)
	}
}

// The body can't be appended to over the next packet in the buffer.
func TestNextBodyIsClipped(t *testing.T) {
	wire := AppendPingreq(AppendPuback(nil, 9))
	_, body, n, err := Next(wire, 10)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(body, 0xee)
	if wire[n] == 0xee {
		t.Error("append to the body wrote into the next packet")
	}
}

func TestRemainingLength(t *testing.T) {
	for _, size := range []int{0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, MaxRemaining} {
		header := appendHeader(nil, PublishHeader(0, false, false), size)
		_, _, n, err := Next(header, MaxRemaining)
		if size > 0 && !errors.Is(err, ErrIncomplete) || n != len(header)+size {
			t.Errorf("size %d: n %d, error %v", size, n, err)
		}
		if size == 0 {
			continue
		}
		if _, _, _, err := Next(header, size-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("size %d over its limit: error %v", size, err)
		}
	}
}

func TestUnsupportedLevel(t *testing.T) {
	for _, c := range []struct {
		connect, want string
	}{
		{"10 0f 00 06 4d 51 49 73 64 70 03 02 00 3c 00 01 64", "20 02 00 01"},
		{"10 0e 00 04 4d 51 54 54 05 02 00 3c 00 00 01 64", "20 03 00 84 00"},
		{"10 0d 00 04 4d 51 54 54 84 02 00 3c 00 01 64", "20 02 00 01"},
	} {
		_, body, _, err := Next(fromHex(t, c.connect), 100)
		if err != nil {
			t.Fatal(err)
		}
		connect, err := DecodeConnect(body)
		if !errors.Is(err, ErrUnsupportedLevel) {
			t.Errorf("%s: error %v", c.connect, err)
		}
		if got := AppendUnsupportedLevel(nil, connect.Level); !bytes.Equal(got, fromHex(t, c.want)) {
			t.Errorf("%s: answer % x, want %s", c.connect, got, c.want)
		}
	}
}

func TestRefusalHasNoSession(t *testing.T) {
	got := AppendConnack(nil, true, RefusedNotAuthorized)
	if want := []byte{0x20, 2, 0, 5}; !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestConnectOptionalFields(t *testing.T) {
	for name, c := range map[string]Connect{
		"everything": {Level: 4, CleanSession: true, KeepAlive: 65535, ClientID: []byte("d"), HasWill: true,
			Will:     Will{Topic: []byte("t"), Payload: []byte{0, 255}, QoS: 2, Retain: true},
			Username: []byte("u"), Password: []byte{0xff, 0}},
		"empty but present": {Level: 4, ClientID: []byte{}, HasWill: true,
			Will: Will{Topic: []byte("t"), Payload: []byte{}}, Username: []byte{}, Password: []byte{}},
	} {
		wire, err := AppendConnect(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _, err := Next(wire, 100)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeConnect(body)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// What can't be written is refused and leaves the buffer alone.
func TestAppendRefuses(t *testing.T) {
	long := make([]byte, maxString+1)
	many := make([][]byte, MaxFilters+1)
	dst := []byte("kept")
	connect := func(c Connect) ([]byte, error) { return AppendConnect(dst, &c) }
	type result struct {
		buf []byte
		err error
	}
	of := func(buf []byte, err error) result { return result{buf, err} }
	for name, c := range map[string]struct {
		got  result
		want error
	}{
		"topic":        {of(AppendPublish(dst, PublishHeader(0, false, false), 0, nil, string(long[1:]), "x")), ErrTooLarge},
		"client id":    {of(connect(Connect{ClientID: long})), ErrTooLarge},
		"password":     {of(connect(Connect{Username: []byte("u"), Password: long})), ErrTooLarge},
		"will":         {of(connect(Connect{HasWill: true, Will: Will{Topic: []byte("t"), Payload: long}})), ErrTooLarge},
		"will QoS":     {of(connect(Connect{HasWill: true, Will: Will{Topic: []byte("t"), QoS: 4}})), errWillQoS},
		"no user name": {of(connect(Connect{Password: []byte("p")})), checkConnectFlags(flagPassword)},
		"filter":       {of(AppendSubscribe(dst, 1, Subscription{Filter: long})), ErrTooLarge},
		"filters":      {of(AppendSubscribe(dst, 1, make([]Subscription, MaxFilters+1)...)), ErrTooManyFilters},
		"no filter":    {of(AppendSubscribe(dst, 1)), checkCount(0)},
		"unsubscribe":  {of(AppendUnsubscribe(dst, 1, long)), ErrTooLarge},
		"unsubscribes": {of(AppendUnsubscribe(dst, 1, many...)), ErrTooManyFilters},
	} {
		if !errors.Is(c.got.err, c.want) || string(c.got.buf) != "kept" {
			t.Errorf("%s: %q, error %v; want error %v", name, c.got.buf, c.got.err, c.want)
		}
	}
}
