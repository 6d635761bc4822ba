package auth

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"
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
