package packet

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// Whatever is decoded can be encoded, and decodes to the same again. Nothing
// panics, and no limit is passed.
func FuzzDecode(f *testing.F) {
	for _, row := range readTable[example](f, "examples.jsonl") {
		f.Add(fromHex(f, row.Hex))
	}
	const limit = 4096
	f.Fuzz(func(t *testing.T, wire []byte) {
		for len(wire) > 0 {
			h, body, n, err := Next(wire, limit)
			if errors.Is(err, ErrIncomplete) && (n <= len(wire) || n > limit+5) {
				t.Fatalf("with %d bytes, Next asks for %d", len(wire), n)
			}
			if err != nil {
				return
			}
			v, err := decode(h, body)
			if err == nil {
				roundTrip(t, v)
			}
			wire = wire[n:]
		}
	})
}

func roundTrip(t *testing.T, v any) {
	t.Helper()
	wire, err := encode(v)
	if err != nil {
		t.Fatalf("encode %+v: %v", v, err)
	}
	h, body, n, err := Next(wire, len(wire))
	if err != nil || n != len(wire) {
		t.Fatalf("Next of % x: n %d, error %v", wire, n, err)
	}
	again, err := decode(h, body)
	if err != nil || !reflect.DeepEqual(again, v) {
		t.Fatalf("decoded %+v, %v; want %+v", again, err, v)
	}
}

// Matches agrees with a plain reading of section 4.7, level by level.
func FuzzMatches(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("#", "$SYS")
	f.Add("a//#", "a/")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if len(filter)+len(topic) > 200 || CheckFilter([]byte(filter)) != nil || checkTopicName([]byte(topic)) != nil {
			return
		}
		if got, want := Matches(filter, topic), matchLevels(filter, topic); got != want {
			t.Errorf("Matches(%q, %q) = %v", filter, topic, got)
		}
	})
}

func matchLevels(filter, topic string) bool {
	fs, ts := bytes.Split([]byte(filter), []byte("/")), bytes.Split([]byte(topic), []byte("/"))
	if topic[0] == '$' && (filter[0] == '#' || filter[0] == '+') {
		return false
	}
	if last := len(fs) - 1; string(fs[last]) == "#" {
		if fs = fs[:last]; len(ts) < len(fs) {
			return false
		}
		ts = ts[:len(fs)]
	}
	if len(fs) != len(ts) {
		return false
	}
	for i := range fs {
		if string(fs[i]) != "+" && !bytes.Equal(fs[i], ts[i]) {
			return false
		}
	}
	return true
}
