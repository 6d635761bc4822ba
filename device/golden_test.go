package device

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/hubtwin/hubtwin/fault"
)

// golden reads a file of testdata, one case a line. Members that no case may
// have are an error, so that a misspelt expectation can't pass unnoticed.
func golden[C any](t testing.TB, name string) []C {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var cases []C
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c C
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&c); err != nil {
			t.Fatalf("%s, case %d: %v", name, len(cases)+1, err)
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		t.Fatalf("%s holds no cases", name)
	}
	return cases
}

// codeOf is the fault code of err, 0 for nil, and 1 for an error without one.
func codeOf(err error) fault.Code {
	if err == nil {
		return 0
	}
	if f, ok := err.(*fault.Error); ok {
		return f.Code
	}
	return 1
}
