package device

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hubtwin/hubtwin/fault"
)

func TestLines(t *testing.T) {
	text := "\ufeff" + `{"id":"a","importMode":"create","tags":{"x":1}}` + "\r\n" +
		"\n  \n" +
		"not JSON\n" +
		`{"id":"b","status":"odd"}` + "\n" +
		`{"id":"c d"}` + "\n" +
		`null` + "\n" +
		`{"id":"` + strings.Repeat("x", MaxLine) + `"}` + "\n" +
		`{"id":"a","moduleId":"m","properties":{"reported":{"r":1}}}` // without an end
	want := `1 a create
4 0 DeserializationError
5 b ArgumentInvalid
6 c d ArgumentInvalid
7 0 DeserializationError
8 0 MessageTooLarge
9 a/m createOrUpdate
`
	for name, r := range map[string]io.Reader{
		"at once":      strings.NewReader(text),
		"byte by byte": iotest.OneByteReader(strings.NewReader(text)),
	} {
		var got strings.Builder
		for l, err := range Lines(r) {
			if err != nil {
				t.Fatal(err)
			}
			id := l.Item.Identity.ID.String()
			if id == "" {
				id = "0"
			}
			if l.Item.Err != nil {
				fmt.Fprintf(&got, "%d %s %s\n", l.Number, id, fault.Of(l.Item.Err).Code.Name())
				continue
			}
			fmt.Fprintf(&got, "%d %s %s\n", l.Number, id, l.Item.Mode)
		}
		if got.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got.String(), want)
		}
	}
}

func TestLinesOfExportWithoutKeys(t *testing.T) {
	n := 0
	for l, err := range Lines(strings.NewReader("Keys are not in this file\n{\"id\":\"a\"}\nKeys again\n")) {
		if n++; err != nil || l.Number != int64(n+1) || (l.Item.Err == nil) != (n == 1) {
			t.Errorf("%d: %+v, %v", n, l, err)
		}
	}
	if n != 2 {
		t.Errorf("%d lines", n)
	}
}

func TestLinesEndWithTheReader(t *testing.T) {
	broken := errors.New("cable")
	var last error
	n := 0
	for _, err := range Lines(io.MultiReader(strings.NewReader("{\"id\":\"a\"}\n{\"id\":"), iotest.ErrReader(broken))) {
		n++
		last = err
	}
	if n != 2 || last != broken {
		t.Errorf("%d lines, then %v", n, last)
	}
}

// FuzzLines: every line that is not blank is told of once, whatever is in it, and
// what is read can be written as a line that says the same.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"id\":\"a\"}\n\nx\n{\"id\":\"b\",\"moduleId\":\"m\",\"authentication\":{\"type\":\"none\"}}"))
	f.Add([]byte("Sentence\n{\"id\":\"a\",\"capabilities\":{\"iotEdge\":true}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		last := int64(0)
		for l, err := range Lines(bytes.NewReader(text)) {
			if err != nil || l.Number <= last {
				t.Fatalf("line %d after %d: %v", l.Number, last, err)
			}
			last = l.Number
			if l.Item.Err != nil || !l.Item.Mode.writesIdentity() {
				continue
			}
			again := parseLine(AppendLine(nil, l.Item.Identity, "", true))
			if again.Err != nil || again.Identity.ID != l.Item.Identity.ID || again.Identity.Authentication != l.Item.Identity.Authentication {
				t.Fatalf("%+v is written as %+v", l.Item, again)
			}
		}
		if most := int64(bytes.Count(text, []byte{'\n'})) + 1; last > most {
			t.Fatalf("line %d of %d", last, most)
		}
	})
}
