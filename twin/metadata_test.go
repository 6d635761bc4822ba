package twin

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// The steps M1 to M6 of twin-semantics section 6. at is a time of the table:
// t0 is 08:00:00, t1 is 08:00:01, and so on.
func TestMetadata(t *testing.T) {
	tw := New(at(0))
	for _, step := range []struct{ id, via, body, desired, metadata string }{
		{"M1", "", "", `{}`, `{"$lastUpdated":t0}`},
		{"M2", "svcPatch", `{"cfg":{"x":1,"y":2},"l":[1]}`, `{"cfg":{"x":1,"y":2},"l":[1]}`,
			`{t1/2,"cfg":{t1/2,"x":{t1/2},"y":{t1/2}},"l":{t1/2}}`},
		{"M3", "svcPatch", `{"cfg":{"y":5}}`, `{"cfg":{"x":1,"y":5},"l":[1]}`,
			`{t2/3,"cfg":{t2/3,"x":{t1/2},"y":{t2/3}},"l":{t1/2}}`},
		{"M4", "svcPatch", `{"cfg":{"x":null}}`, `{"cfg":{"y":5},"l":[1]}`,
			`{t3/4,"cfg":{t3/4,"y":{t2/3}},"l":{t1/2}}`},
		{"M5", "svcPut", `{"cfg":{"y":5}}`, `{"cfg":{"y":5}}`,
			`{t4/5,"cfg":{t4/5,"y":{t4/5}}}`},
	} {
		tw = mustApply(t, tw, step.via, step.body, at(tw.DesiredVersion()))
		lookupIs(t, step.id, tw, "properties.desired.$metadata", stamps(step.metadata))
		want := strings.TrimSuffix(step.desired, "}") + `,"$metadata":` + stamps(step.metadata)
		want = strings.Replace(want, "{,", "{", 1) + fmt.Sprintf(`,"$version":%d}`, tw.DesiredVersion())
		lookupIs(t, step.id, tw, "properties.desired", want)
	}
	tw = mustApply(t, New(at(0)), "devPatch", `{"fw":"1"}`, at(1))
	lookupIs(t, "M6", tw, "properties.reported",
		stamps(`{"fw":"1","$metadata":{"$lastUpdated":t1,"fw":{"$lastUpdated":t1}},"$version":2}`))
}

// A void part of a patch leaves no trace in the metadata; a removed object and
// an object that becomes a scalar take the metadata below them along.
func TestMetadataOfVoidAndLostNodes(t *testing.T) {
	tw := mustApply(t, New(at(0)), "svcPatch", `{"a":{"b":{"c":1}},"k":{"x":1},"s":{"y":1}}`, at(1))
	tw = mustApply(t, tw, "svcPatch", `{"a":{"b":{},"no":null},"k":null,"s":7}`, at(2))
	lookupIs(t, "", tw, "properties.desired.$metadata",
		stamps(`{t2/3,"a":{t1/2,"b":{t1/2,"c":{t1/2}}},"s":{t2/3}}`))
}

// The worked event of twin-semantics 11.5.
func TestWorkedEvent(t *testing.T) {
	tw := mustApply(t, New(at(0)), "svcPatch", `{"cfg":{"x":1,"y":2}}`, at(1))
	tw = mustApply(t, tw, "tags", `{"site":"A"}`, at(1))
	tw.etag = 2 // the example comes by its tags without a write

	p, err := ParsePatch([]byte(`{"tags":{"site":"B"},"properties":{"desired":{"cfg":{"y":null,"z":3}}}}`), Rules{})
	if err != nil {
		t.Fatal(err)
	}
	after, change, err := tw.Merge(p, at(5))
	if err != nil {
		t.Fatal(err)
	}
	wantEvent := stamps(`"version":4,"tags":{"site":"B"},"properties":{"desired":{"cfg":{"y":null,"z":3},` +
		`"$metadata":{t5/3,"cfg":{t5/3,"z":{t5/3}}},"$version":3}}`)
	if got := event(t, change); got != wantEvent {
		t.Errorf("event: want\n %s, got\n %s", wantEvent, got)
	}
	if got, want := string(change.AppendDesired(nil)), `{"cfg":{"y":null,"z":3},"$version":3}`; got != want {
		t.Errorf("notification: want %s, got %s", want, got)
	}
	if after.Etag() != "AAAAAAAAAAM=" || after.Version() != 4 {
		t.Errorf("want etag AAAAAAAAAAM= and version 4, got %s and %d", after.Etag(), after.Version())
	}
	lookupIs(t, "after", after, "properties.desired.cfg", `{"x":1,"z":3}`)
}

// The cases of twin-semantics section 8 that turn on the counters alone, from
// etag 2, version 5, desired 2, reported 3.
func TestCounters(t *testing.T) {
	tw := mustApply(t, New(at(0)), "svcPatch", `{"a":1}`, at(1))
	tw = mustApply(t, tw, "devPatch", `{}`, at(2))
	tw = mustApply(t, tw, "devPatch", `{}`, at(3))
	check := func(id string, tw *Twin, etag string, version, desired, reported int64) {
		t.Helper()
		if tw.Etag() != etag || tw.Version() != version || tw.DesiredVersion() != desired || tw.ReportedVersion() != reported {
			t.Errorf("%s: want %s %d %d %d, got %s %d %d %d", id, etag, version, desired, reported,
				tw.Etag(), tw.Version(), tw.DesiredVersion(), tw.ReportedVersion())
		}
	}
	check("creation", New(at(0)), "AAAAAAAAAAE=", 2, 1, 1)
	check("start", tw, "AAAAAAAAAAI=", 5, 2, 3)
	check("C1", mustApply(t, tw, "svcPatch", `{"a":2}`, at(4)), "AAAAAAAAAAM=", 6, 3, 3)
	check("C7", mustApply(t, tw, "devPatch", `{"r":1}`, at(4)), "AAAAAAAAAAI=", 6, 2, 4)
	check("C8", mustApply(t, tw, "tags", `{"s":1}`, at(4)), "AAAAAAAAAAM=", 6, 2, 3)
	check("C9", mustApply(t, tw, "svcPut", `{}`, at(4)), "AAAAAAAAAAM=", 6, 3, 3)
	check("C10", mustApply(t, tw, "devPatch", `{"r":2}`, at(4)), "AAAAAAAAAAI=", 6, 2, 4)
	check("C12", mustApply(t, tw, "svcPatch", `{"zz":null}`, at(4)), "AAAAAAAAAAI=", 5, 2, 3)
}

func TestAppendTime(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, "0001-01-01T00:00:00.0000000Z"},
		{time.Date(2024, 2, 29, 23, 59, 59, 123456789, zone), "2024-02-29T21:59:59.1234567Z"},
		{time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), "9999-12-31T23:59:59.9999999Z"},
		{time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC), "9999-12-31T23:59:59.9999999Z"},
		{time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), "0001-01-01T00:00:00.0000000Z"},
		{time.Unix(-1, 50), "1969-12-31T23:59:59.0000000Z"},
	} {
		if got := string(AppendTime(nil, c.at)); got != c.want {
			t.Errorf("%v: want %s, got %s", c.at, c.want, got)
		}
	}
	for ticks, want := range map[int64]string{
		1:             "0001-01-01T00:00:00.0000001Z",
		math.MinInt64: "0001-01-01T00:00:00.0000000Z",
		math.MaxInt64: "9999-12-31T23:59:59.9999999Z",
	} {
		if got := string(AppendTicks([]byte("x"), ticks)); got != "x"+want {
			t.Errorf("tick %d: want %s, got %s", ticks, want, got)
		}
	}
}

// at is tN of the worked tables.
func at(n int64) time.Time { return t0.Add(time.Duration(n) * time.Second) }

// stamps writes out the short forms of the worked tables: t1/2 is the two
// members of a node that was updated at t1 with version 2, t1 alone a time.
func stamps(text string) string {
	for n := range int64(9) {
		for version := range 9 {
			short := fmt.Sprintf("t%d/%d", n, version)
			long := fmt.Sprintf(`"$lastUpdated":t%d,"$lastUpdatedVersion":%d`, n, version)
			text = strings.ReplaceAll(text, short, long)
		}
		text = strings.ReplaceAll(text, fmt.Sprintf("t%d", n), `"`+string(AppendTime(nil, at(n)))+`"`)
	}
	return text
}

// mustApply changes one section of tw: body is the content of the desired
// properties, for via tags of the tags, for via devPatch of the reported ones.
func mustApply(t *testing.T, tw *Twin, via, body string, now time.Time) *Twin {
	t.Helper()
	var next *Twin
	var err error
	switch via {
	case "":
		return tw
	case "svcPatch", "tags":
		whole := `{"properties":{"desired":` + body + `}}`
		if via == "tags" {
			whole = `{"tags":` + body + `}`
		}
		var p *Patch
		if p, err = ParsePatch([]byte(whole), Rules{}); err == nil {
			next, _, err = tw.Merge(p, now)
		}
	case "svcPut":
		var r *Replacement
		if r, err = ParseReplacement([]byte(`{"properties":{"desired":`+body+`}}`), Rules{}); err == nil {
			next, _, err = tw.Replace(r, now)
		}
	case "devPatch":
		var p *Reported
		if p, err = ParseReported([]byte(body), Rules{}); err == nil {
			next, _, err = tw.Report(p, now)
		}
	}
	if err != nil {
		t.Fatalf("%s %s: %v", via, body, err)
	}
	return next
}

func lookupIs(t *testing.T, name string, tw *Twin, path, want string) {
	t.Helper()
	got, ok := tw.Lookup(strings.Split(path, "."))
	if !ok || got != want {
		t.Errorf("%s: %s: want\n %s, got\n %s %t", name, path, want, got, ok)
	}
}
