package device

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hubtwin/hubtwin/fault"
)

// caseBodies are the bodies of a golden file, as a fuzzer's first inputs.
func caseBodies(f *testing.F, name string) [][]byte {
	var bodies [][]byte
	for _, c := range golden[map[string]json.RawMessage](f, name) {
		bodies = append(bodies, c["body"])
	}
	return bodies
}

// FuzzParseIdentity: what was accepted, written as an answer, is accepted again
// and means the same. So a caller may send back what it was given.
func FuzzParseIdentity(f *testing.F) {
	for _, b := range caseBodies(f, "bodies.jsonl") {
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, module bool) {
		id := ID{Device: "d"}
		if module {
			id.Module = "m"
		}
		asked, err := ParseIdentity(body, id)
		if err != nil {
			if _, ok := err.(*fault.Error); !ok {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		again, err := ParseIdentity(AppendJSON(nil, asked, Connection{}), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asked, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParseBulk(f *testing.F) {
	for _, b := range caseBodies(f, "bulk.jsonl") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := ParseBulk(body)
		if err != nil && items != nil || len(items) > MaxBulkItems {
			t.Fatalf("%d items, %v", len(items), err)
		}
		for _, item := range items {
			if item.Err == nil && (item.Identity.ID.Validate() != nil || item.Mode == "") {
				t.Fatalf("accepted %+v", item)
			}
			for _, raw := range []json.RawMessage{item.Tags, item.Desired, item.Reported} {
				if raw != nil && !json.Valid(raw) {
					t.Fatalf("not JSON: %s", raw)
				}
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(nil, full()))
	f.Add(Encode(nil, Identity{Authentication: Authentication{Type: SAS}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := Decode(b)
		if err != nil {
			return
		}
		// Numbers may be written longer than needed, so compare identities.
		first := Encode(nil, i)
		again, err := Decode(first)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, Encode(nil, again)) {
			t.Fatalf("%+v became %+v", i, again)
		}
	})
}
