package device

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func full() Identity {
	return Identity{
		ID: ID{Device: "d", Module: "m"}, GenerationID: "1", Etag: "Mg==", Status: Disabled, StatusReason: "ü",
		StatusUpdatedTime: now.Add(100 * time.Nanosecond),
		Authentication:    Authentication{Type: None, PrimaryKey: "k", SecondaryKey: "l", PrimaryThumbprint: "p", SecondaryThumbprint: "q"},
		IoTEdge:           true, DeviceScope: "s", ParentScopes: []string{"t"}, ManagedBy: "me",
	}
}

// TestStoredForm pins the bytes: a store written today must be read for ever.
func TestStoredForm(t *testing.T) {
	const want = "\x01\x03\x03\x81\xa0\x99\xa5\xc8\xd5\xbe\xef\x08" +
		"\x01d\x01m\x011\x04Mg==\x02ü\x01k\x01l\x01p\x01q\x01s\x02me\x01\x01t"
	if got := Encode(nil, full()); string(got) != want {
		t.Errorf("%q", got)
	}
	got, err := Decode([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := Encode(nil, full())
	for n := range good {
		if _, err := Decode(good[:n]); err == nil {
			t.Errorf("accepted %d of %d bytes", n, len(good))
		}
	}
	for name, change := range map[string]func(b []byte) []byte{
		"trailing byte": func(b []byte) []byte { return append(b, 0) },
		"new version":   func(b []byte) []byte { b[0] = 2; return b },
		"new flag":      func(b []byte) []byte { b[1] |= 4; return b },
		"new type":      func(b []byte) []byte { b[2] = 4; return b },
		"great length":  func(b []byte) []byte { return append(b[:12], 0xff, 0xff, 0xff, 0xff, 0x7f) },
		"great count":   func(b []byte) []byte { b[len(b)-3] = 0x7f; return b },
	} {
		if _, err := Decode(change(bytes.Clone(good))); err == nil {
			t.Errorf("accepted a record with a %s", name)
		}
	}
}

func TestEncodeDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 20, -1)
		want := Identity{
			ID:           ID{text.Draw(t, "device"), text.Draw(t, "module")},
			GenerationID: text.Draw(t, "generation"),
			Etag:         text.Draw(t, "etag"),
			Status:       rapid.SampledFrom([]Status{Enabled, Disabled}).Draw(t, "status"),
			StatusReason: text.Draw(t, "reason"),
			Authentication: Authentication{
				Type:                rapid.SampledFrom(storedTypes[:]).Draw(t, "type"),
				PrimaryKey:          text.Draw(t, "key"),
				SecondaryKey:        text.Draw(t, "key"),
				PrimaryThumbprint:   text.Draw(t, "thumbprint"),
				SecondaryThumbprint: text.Draw(t, "thumbprint"),
			},
			IoTEdge:      rapid.Bool().Draw(t, "edge"),
			DeviceScope:  text.Draw(t, "scope"),
			ParentScopes: rapid.SliceOfN(text, 1, 3).Draw(t, "parents"),
			ManagedBy:    text.Draw(t, "managedBy"),
		}
		want.StatusUpdatedTime = fromTicks(rapid.Int64Range(0, maxTicks).Draw(t, "ticks"))
		got, err := Decode(Encode(nil, want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
