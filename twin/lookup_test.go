package twin

import (
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	tw := mustApply(t, New(at(0)), "svcPatch", `{"cfg":{"x":1.50,"deep":{"s":"a"}},"l":[1,{"k":2}]}`, at(1))
	tw = mustApply(t, tw, "tags", `{"site":"A","o":{}}`, at(1))
	tw = mustApply(t, tw, "devPatch", `{"fw":"1","":{"":true}}`, at(2))
	for _, c := range []struct{ path, want string }{
		{"tags", `{"site":"A","o":{}}`},
		{"tags.site", `"A"`},
		{"tags.o", `{}`},
		{"tags.site.x", ""},
		{"tags.none", ""},
		{"tags.$version", ""},
		{"tags.$metadata", ""},
		{"properties.desired.cfg", `{"x":1.50,"deep":{"s":"a"}}`},
		{"properties.desired.cfg.x", `1.50`},
		{"properties.desired.cfg.deep.s", `"a"`},
		{"properties.desired.cfg.deep.s.x", ""},
		{"properties.desired.cfg.none", ""},
		{"properties.desired.l", `[1,{"k":2}]`},
		{"properties.desired.$version", `2`},
		{"properties.desired.$version.x", ""},
		{"properties.desired.$metadata.$lastUpdated", `t1`},
		{"properties.desired.$metadata.$lastUpdatedVersion", `2`},
		{"properties.desired.$metadata.$lastUpdated.x", ""},
		{"properties.desired.$metadata.cfg.deep", `{t1/2,"s":{t1/2}}`},
		{"properties.desired.$metadata.cfg.x.$lastUpdated", `t1`},
		{"properties.desired.$metadata.cfg.x.$lastUpdatedVersion", `2`},
		{"properties.desired.$metadata.none", ""},
		{"properties.reported", `{"fw":"1","":{"":true},"$metadata":{"$lastUpdated":t2,"fw":{"$lastUpdated":t2},"":{"$lastUpdated":t2,"":{"$lastUpdated":t2}}},"$version":2}`},
		{"properties.reported.fw", `"1"`},
		{"properties.reported..", `true`},
		{"properties.reported.$metadata.$lastUpdatedVersion", ""},
		{"properties.none", ""},
		{"none", ""},
		{"", ""},
	} {
		got, ok := tw.Lookup(strings.Split(c.path, "."))
		if ok != (c.want != "") || ok && got != stamps(c.want) {
			t.Errorf("%s: want %s, got %s %t", c.path, stamps(c.want), got, ok)
		}
	}
	if _, ok := tw.Lookup(nil); ok {
		t.Error("the empty path was found")
	}
	if _, ok := New(t0).Lookup([]string{"tags"}); ok {
		t.Error("empty tags were found")
	}
	all, _ := tw.Lookup([]string{"properties"})
	if sections := string(tw.AppendSections(nil)); !strings.HasSuffix(sections, `,"properties":`+all) {
		t.Errorf("properties: got %s, but sections %s", all, sections)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	tw := sample(t, 30, 34)
	for _, path := range [][]string{
		{"tags", "site"},
		{"properties", "reported", "group1", "member14"},
		{"properties", "desired", "$version"},
	} {
		if n := testing.AllocsPerRun(10, func() { tw.Lookup(path) }); n != 0 {
			t.Errorf("%v: %v allocations", path, n)
		}
	}
}

// What a device reads has no metadata and no tags, and no tags means no member.
func TestEmptyTwin(t *testing.T) {
	tw := New(at(0))
	if got, want := string(tw.AppendDevice(nil)), `{"desired":{"$version":1},"reported":{"$version":1}}`; got != want {
		t.Errorf("device: want %s, got %s", want, got)
	}
	section := `{"$metadata":{"$lastUpdated":t0},"$version":1}`
	want := stamps(`"properties":{"desired":` + section + `,"reported":` + section + `}`)
	if got := string(tw.AppendSections(nil)); got != want {
		t.Errorf("sections: want %s, got %s", want, got)
	}
	tw = mustApply(t, tw, "tags", `{"a":1}`, at(1))
	tw = mustApply(t, tw, "svcPatch", `{"b":[2]}`, at(1))
	if got, want := string(tw.AppendDevice(nil)), `{"desired":{"b":[2],"$version":2},"reported":{"$version":1}}`; got != want {
		t.Errorf("device: want %s, got %s", want, got)
	}
}
