package c2d_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/c2d"
)

func TestStoredForm(t *testing.T) {
	q := filled(t, 3, "negative")
	q, _, _ = q.Enqueue(toDevice("", "full", time.Time{}), start, rules)
	q, _, _ = q.Complete(2, start)
	q, _, _ = q.Abandon(3, start, rules)
	back, err := c2d.Decode(q.AppendBinary(nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(q.Entries(), back.Entries()); d != "" {
		t.Error(d)
	}
}

func TestNotStored(t *testing.T) {
	good := filled(t, 2, "").AppendBinary(nil)
	const first, flags, idSize = 9, 9 + 24, 9 + 30 // where they are in good
	for n := range good {
		if n == first || n == first+32 {
			continue // between two entries
		}
		if _, err := c2d.Decode(good[:n]); !errors.Is(err, c2d.ErrStored) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for name, change := range map[string]func(b []byte) []byte{
		"a newer version":      func(b []byte) []byte { b[0] = 2; return b },
		"an unknown flag":      func(b []byte) []byte { b[flags] = 8; return b },
		"a long id":            func([]byte) []byte { b := long(1); b[idSize] = 129; return append(b, make([]byte, 129)...) },
		"no order":             func(b []byte) []byte { b[first+7] = 2; return b },
		"a number not given":   func(b []byte) []byte { b[8] = 1; return b },
		"number 0":             func(b []byte) []byte { b[first+7] = 0; return b },
		"more than may be":     func([]byte) []byte { return long(51) },
		"more than that":       func([]byte) []byte { return long(5000) },
		"another thing behind": func(b []byte) []byte { return append(b, 0) },
	} {
		if q, err := c2d.Decode(change(slices.Clone(good))); !errors.Is(err, c2d.ErrStored) || q != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c2d.Decode(long(50)); err != nil {
		t.Error(err)
	}
}

// long is the stored form of a queue of n messages.
func long(n int) []byte {
	b := []byte{1, 0, 0, 0, 0, 0, 0, byte(n >> 8), byte(n)}
	for i := range n {
		b = append(b, 0, 0, 0, 0, 0, 0, byte((i+1)>>8), byte(i+1))
		b = append(b, make([]byte, 23)...)
	}
	return b
}

func FuzzDecode(f *testing.F) {
	f.Add(long(2))
	f.Fuzz(func(t *testing.T, stored []byte) {
		q, err := c2d.Decode(stored)
		if err != nil {
			return
		}
		if again := q.AppendBinary(nil); !bytes.Equal(again, stored) {
			t.Fatalf("%x is %x", stored, again)
		}
	})
}
