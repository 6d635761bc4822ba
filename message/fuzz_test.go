package message_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/message"
)

func FuzzParseBag(f *testing.F) {
	for _, c := range readCases[bagCase](f, "testdata/bags.jsonl") {
		f.Add(c.Bag)
	}
	f.Fuzz(func(t *testing.T, bag string) {
		var m, back message.Message
		if m.ParseBag(bag) != nil || m.System[message.To] == "" {
			return
		}
		sent := string(m.AppendBag(nil))
		if err := back.ParseBag(sent); err != nil {
			t.Fatalf("%s: %v", sent, err)
		}
		if again := string(back.AppendBag(nil)); again != sent {
			t.Fatalf("%s, then %s", sent, again)
		}
	})
}

func FuzzParseBatch(f *testing.F) {
	f.Add([]byte(`[{"body":"YQ==","base64Encoded":true,"properties":{"iothub-app-k":"v"}}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := message.ParseBatch(body)
		if err != nil {
			return
		}
		total := 0
		for i := range list {
			total += list[i].Size()
		}
		if total > message.MaxD2C {
			t.Fatalf("%d bytes", total)
		}
	})
}

func FuzzDecode(f *testing.F) {
	e := message.Event{Message: message.Message{Properties: []message.Property{{Name: "a", Value: "b"}}, Body: []byte("body")}, DeviceID: "d"}
	f.Add(e.AppendBinary(nil))
	f.Fuzz(func(t *testing.T, stored []byte) {
		var e, back message.Event
		if e.Decode(stored) != nil {
			return
		}
		if err := back.Decode(e.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, back); d != "" {
			t.Fatal(d)
		}
	})
}

// BenchmarkTelemetry is the way of a small message from its topic to the log.
func BenchmarkTelemetry(b *testing.B) {
	const topic = "%24.mid=id%2F1&%24.ct=application%2Fjson&%24.ce=utf-8&severity=1"
	body := []byte(strings.Repeat("x", 200))
	b.ReportAllocs()
	var stored []byte
	for b.Loop() {
		var e message.Event
		if err := e.ParseBag(topic); err != nil {
			b.Fatal(err)
		}
		e.Body, e.DeviceID = body, "dev-1"
		stored = e.AppendBinary(stored[:0])
	}
}
