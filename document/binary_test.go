package document

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestStoredHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHead.Draw(t, "head")
		tail := rapid.String().Draw(t, "tail")
		stored := string(AppendHead([]byte("x"), &h))[1:]
		got, rest, err := DecodeHead(stored + tail)
		if err != nil || got != h || rest != tail {
			t.Fatalf("want %+v and %q, got %+v and %q: %v", h, tail, got, rest, err)
		}
		for n := range stored {
			if _, _, err := DecodeHead(stored[:n]); err == nil {
				t.Fatalf("the first %d bytes of %x are taken for a head", n, stored)
			}
		}
	})
	h := plain(t).Head
	if n := len(AppendHead(nil, &h)); n > 30 {
		t.Errorf("the head of a plain device takes %d bytes", n)
	}
}

func TestDecodeHeadRefusals(t *testing.T) {
	const plain = "\x00\x28\x00" // enabled, sas, no etag
	for name, stored := range map[string]string{
		"a status that is none": "\x00\x38\x00",
		"a type that is none":   "\x00\xa8\x00",
		"a text without end":    "\x00\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"a text beyond the end": "\x00\x28\x05abcd",
		"a negative length":     "\x00\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + strings.Repeat(" ", 100),
		"half a time":           "\x00\x2a\x00\x01\x02\x03\x04",
	} {
		if h, _, err := DecodeHead(stored); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h, rest, err := DecodeHead(plain + "rest"); err != nil || rest != "rest" || h != (Head{Status: "enabled", AuthenticationType: "sas"}) {
		t.Errorf("%+v, %q, %v", h, rest, err)
	}
	most := Head{CloudToDeviceMessageCount: math.MaxInt}
	if h, _, err := DecodeHead(string(AppendHead(nil, &most))); err != nil || h != most {
		t.Errorf("%+v, %v", h, err)
	}
}

// FuzzDecodeHead gives any bytes to DecodeHead. What it takes for a head must be
// stored as something that is read as the same.
func FuzzDecodeHead(f *testing.F) {
	h := plain(f).Head
	f.Add(AppendHead(nil, &h))
	f.Add([]byte("\x00\x00\x01e\x06paused\x04dice"))
	f.Add([]byte("\xfc\x2f\x00\x01r\x01p\x01s\x01d\x02[]\x01m" + "\x01\x02\x03\x04\x05\x06\x07\x08" + "\x01\x02\x03\x04\x05\x06\x07\x08" + "\x80\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := DecodeHead(string(b))
		if err != nil {
			return
		}
		if !strings.HasSuffix(string(b), rest) {
			t.Errorf("%q does not end in %q", b, rest)
		}
		again, _, err := DecodeHead(string(AppendHead(nil, &h)))
		if err != nil || again != h {
			t.Errorf("%+v came back as %+v: %v", h, again, err)
		}
	})
}
