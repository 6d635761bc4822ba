package twin

import (
	"strings"
	"testing"
	"time"
)

var restored = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// sections are the texts of tags, desired and reported; "" for none.
func parseSections(tags, desired, reported string) (*Replacement, error) {
	raw := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	return ParseImport(raw(tags), raw(desired), raw(reported), Rules{})
}

func mustRestore(t *testing.T, tags, desired, reported string) *Twin {
	t.Helper()
	r, err := parseSections(tags, desired, reported)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Restore(r, restored)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What an import says of times and versions is there again, wherever $metadata
// stands; what it does not say is of now.
func TestRestore(t *testing.T) {
	for _, c := range []struct{ name, tags, desired, reported, want string }{
		{
			"plain", `{"a":1}`, `{"b":{"c":2}}`, `{"d":3}`,
			`"tags":{"a":1},"properties":{"desired":{"b":{"c":2},"$metadata":{"$lastUpdated":"NOW","$lastUpdatedVersion":2,"b":{"$lastUpdated":"NOW","$lastUpdatedVersion":2,"c":{"$lastUpdated":"NOW","$lastUpdatedVersion":2}}},"$version":2},"reported":{"d":3,"$metadata":{"$lastUpdated":"NOW","d":{"$lastUpdated":"NOW"}},"$version":2}}`,
		},
		{
			"metadata", "", `{"$metadata":{"$lastUpdated":"2024-01-02T03:04:05.1234567Z","$lastUpdatedVersion":7,"b":{"$lastUpdated":"2023-01-01T00:00:00Z","$lastUpdatedVersion":3,"gone":{"$lastUpdated":"2023-01-01T00:00:00Z"}}},"b":{"c":2},"$version":7}`, "",
			`"properties":{"desired":{"b":{"c":2},"$metadata":{"$lastUpdated":"2024-01-02T03:04:05.1234567Z","$lastUpdatedVersion":7,"b":{"$lastUpdated":"2023-01-01T00:00:00.0000000Z","$lastUpdatedVersion":3,"c":{"$lastUpdated":"NOW","$lastUpdatedVersion":2}}},"$version":7},"reported":{"$metadata":{"$lastUpdated":"NOW"},"$version":1}}`,
		},
		{
			"never written", "", `{"$metadata":{"$lastUpdated":"2024-01-02T03:04:05Z"},"$version":1}`, `{"$metadata":{"$lastUpdated":"2024-01-02T03:04:05Z","$lastUpdatedVersion":9},"$version":1}`,
			`"properties":{"desired":{"$metadata":{"$lastUpdated":"2024-01-02T03:04:05.0000000Z"},"$version":1},"reported":{"$metadata":{"$lastUpdated":"2024-01-02T03:04:05.0000000Z"},"$version":1}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(mustRestore(t, c.tags, c.desired, c.reported).AppendSections(nil))
			if want := strings.ReplaceAll(c.want, "NOW", "2026-03-01T08:00:00.0000000Z"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Onto a twin that is there, versions only go forward, and reported properties
// that are not given stay.
func TestReplaceByImport(t *testing.T) {
	old := mustRestore(t, `{"t":1}`, `{"a":1,"$version":40}`, `{"r":1,"$version":50}`)
	replace := func(tags, desired, reported string) *Twin {
		t.Helper()
		r, err := parseSections(tags, desired, reported)
		if err != nil {
			t.Fatal(err)
		}
		next, change, err := old.Replace(r, restored)
		if err != nil || change.Void() || change.Op() != "replaceTwin" {
			t.Fatalf("%v, %+v", err, change)
		}
		return next
	}
	next := replace("", `{"b":2,"$version":7}`, "")
	if next.DesiredVersion() != 41 || next.ReportedVersion() != 50 || next.Reported().Len() != 1 || next.Tags().Len() != 0 {
		t.Errorf("desired %d, reported %d: %s", next.DesiredVersion(), next.ReportedVersion(), next.AppendSections(nil))
	}
	next = replace("", `{"b":2,"$version":90}`, `{"$version":3}`)
	if next.DesiredVersion() != 90 || next.ReportedVersion() != 51 || next.Reported().Len() != 0 {
		t.Errorf("desired %d, reported %d: %s", next.DesiredVersion(), next.ReportedVersion(), next.AppendSections(nil))
	}
}

func TestParseImportErrors(t *testing.T) {
	for _, c := range []struct{ tags, desired, reported string }{
		{tags: `[]`},
		{desired: `null`},
		{desired: `{"a":null}`},
		{desired: `{"a":1`},
		{reported: `{"a b":1}`},
		{reported: `{"$x":1}`},
		{desired: `{"$metadata":[]}`},
		{desired: `{"$metadata":{"$lastUpdated":5}}`},
		{desired: `{"$metadata":{"$lastUpdated":"yesterday"}}`},
		{desired: `{"$metadata":{"$lastUpdatedVersion":"1"}}`},
		{desired: `{"a":1,"$metadata":{"a":1}}`},
		{desired: `{"$version":0}`},
		{reported: `{"$version":1.5}`},
		{reported: `{"$version":99999999999999999999}`},
	} {
		if _, err := parseSections(c.tags, c.desired, c.reported); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// FuzzImport: what can be read can be restored or is too large, and what is
// written of it is the same twin again.
func FuzzImport(f *testing.F) {
	f.Add(`{"a":1}`, `{"b":{"c":[1,{"x":2}]},"$version":3,"$metadata":{"$lastUpdated":"2024-01-02T03:04:05Z","b":{"c":{"$lastUpdated":"2024-01-02T03:04:05Z","$lastUpdatedVersion":2}}}}`, `{"d":"e"}`)
	f.Add(`{}`, `{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$metadata":null}`, `{"$version":4503599627370495}`)
	f.Fuzz(func(t *testing.T, tags, desired, reported string) {
		r, err := parseSections(tags, desired, reported)
		if err != nil {
			return
		}
		first, _, err := Restore(r, restored)
		if err != nil {
			return
		}
		text := string(first.AppendSections(nil))
		body := func(path ...string) string { s, _ := first.Lookup(path); return s }
		second := mustRestore(t, body("tags"), body("properties", "desired"), body("properties", "reported"))
		if again := string(second.AppendSections(nil)); again != text {
			t.Fatalf("written as\n%s\nand read as\n%s", text, again)
		}
	})
}
