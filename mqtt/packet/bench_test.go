package packet

import "testing"

// telemetry is a PUBLISH of 270 bytes, as a device sends it.
func telemetry(t testing.TB) []byte {
	t.Helper()
	const topic = "devices/pump-0000000007/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8"
	wire, err := AppendPublish(nil, PublishHeader(1, false, false), 7, make([]byte, 270-3-2-len(topic)-2), topic)
	if err != nil || len(wire) != 270 {
		t.Fatalf("%d bytes, error %v", len(wire), err)
	}
	return wire
}

func decodeOne(wire []byte) (Publish, error) {
	h, body, _, err := Next(wire, 1<<20)
	if err != nil {
		return Publish{}, err
	}
	return DecodePublish(h, body)
}

func BenchmarkDecodePublish(b *testing.B) {
	wire := telemetry(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		if _, err := decodeOne(wire); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	buf, payload := make([]byte, 0, 4096), make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendPublish(buf, PublishHeader(0, false, false), 0, payload, "$iothub/twin/res/", "200", "/?$rid=", "17"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	wire, buf, malformed := telemetry(t), make([]byte, 0, 512), []byte{0x30, 0}
	for name, f := range map[string]func(){
		"decode":  func() { decodeOne(wire) },
		"refuse":  func() { decodeOne(malformed) },
		"publish": func() { AppendPublish(buf, PublishHeader(1, false, false), 1, wire, "a/", "b") },
		"puback":  func() { AppendPuback(buf, 1) },
		"suback":  func() { AppendSuback(buf, 1, 0, 1) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
