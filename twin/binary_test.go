package twin

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
)

// drawn is the twin that docs/formats/twin.md draws byte by byte.
func drawn(t *testing.T) *Twin {
	tw := mustApply(t, New(at(0)), "tags", `{"site":"A"}`, at(1))
	tw = mustApply(t, tw, "svcPatch", `{"cfg":{"x":1,"on":true}}`, at(1))
	tw = mustApply(t, tw, "svcPatch", `{"l":[]}`, at(2))
	return mustApply(t, tw, "devPatch", `{"fw":"2"}`, at(3))
}

// The stored form is a promise to every data directory: testdata/stored.hex
// was written by the first version and must stay readable for ever.
func TestStoredForm(t *testing.T) {
	text, err := os.ReadFile("testdata/stored.hex")
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	want, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	tw := drawn(t)
	if got := tw.AppendBinary(nil); !bytes.Equal(got, want) {
		t.Errorf("want\n %x, got\n %x", want, got)
	}
	back, err := Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(back.AppendSections(nil)), string(tw.AppendSections(nil)); got != want {
		t.Errorf("want\n %s, got\n %s", want, got)
	}
	if back.held != back.text() {
		t.Errorf("the twin seems to hold %d bytes of text, not %d", back.held, back.text())
	}
}

// No piece of a stored form is taken for a twin, nor one with a tail, nor one
// of another version.
func TestDecodeRefusals(t *testing.T) {
	stored := drawn(t).AppendBinary(nil)
	for n := range stored {
		if _, err := Decode(stored[:n]); !errors.Is(err, ErrStoredForm) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	if _, err := Decode(append(stored[:len(stored):len(stored)], 0)); !errors.Is(err, ErrStoredForm) {
		t.Errorf("a byte too many: %v", err)
	}
	for _, damage := range []struct {
		name string
		form string
	}{
		{"another version", "\x02\x01\x00"},
		{"a count beyond the bytes", "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f"},
		{"a count for terabytes", "\x01\x01\x80\x80\x80\x80\x80\x10"},
		{"a number without end", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		{"a stored null", "\x01\x01\x01" + "\x00\x00\x00\x00\x01\x12\x01anull" + strings.Repeat("\x00", 10)},
		{"a scalar without text", "\x01\x01\x01" + "\x00\x00\x00\x00\x01\x02\x01a" + strings.Repeat("\x00", 10)},
		{"a time before the year 1", "\x01\x01\x00" + "\x00\x00\x01\x00\x00" + strings.Repeat("\x00", 10)},
		{"more levels than a twin has", nested(11)},
		{"fewer nodes than counted", "\x01\x01\x01" + strings.Repeat("\x00", 15)},
	} {
		if _, err := Decode([]byte(damage.form)); !errors.Is(err, ErrStoredForm) {
			t.Errorf("%s: %v", damage.name, err)
		}
	}
	for name, form := range map[string]string{
		"an empty twin": "\x01\x01\x00" + strings.Repeat("\x00", 15),
		"ten levels":    nested(10),
	} {
		if _, err := Decode([]byte(form)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// nested is the stored form of a twin whose tags are n objects in each other
// around the number 1.
func nested(n int) string {
	return "\x01\x01" + string(rune(n+1)) + "\x00\x00\x00\x00\x01" +
		strings.Repeat("\x07\x01a", n) + "\x06\x01a1" + strings.Repeat("\x00", 10)
}

// A Decoder that has seen the largest twin allocates nothing, and what it read
// of one twin is not changed by the next.
func TestDecoder(t *testing.T) {
	large, small := string(sample(t, 40, 30).AppendBinary(nil)), string(drawn(t).AppendBinary(nil))
	var d Decoder
	decode := func(stored string) *Twin {
		tw, err := d.Decode(stored)
		if err != nil {
			t.Fatal(err)
		}
		return tw
	}
	decode(large)
	tw := decode(small)
	key, text, _ := tw.Reported().Member(0)
	if n := testing.AllocsPerRun(10, func() { decode(small); decode(large) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if key != "fw" || text != `"2"` {
		t.Errorf("the key has become %q, its value %s", key, text)
	}
}
