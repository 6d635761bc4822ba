package twin

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is the plain form of a node: a value with maps for objects, beside the
// metadata that belongs to it.
type model struct {
	leaf    any
	kids    map[string]*model // nil for a leaf
	at      time.Time
	version int64
}

// plain turns decoded JSON into a model stamped throughout, without nulls.
func plain(value any, at time.Time, version int64) *model {
	m := &model{at: at, version: version}
	object, ok := value.(map[string]any)
	if !ok {
		m.leaf = value
		return m
	}
	m.kids = map[string]*model{}
	for key, v := range object {
		if v != nil {
			m.kids[key] = plain(v, at, version)
		}
	}
	return m
}

func (m *model) value() any {
	if m.kids == nil {
		return m.leaf
	}
	object := map[string]any{}
	for key, kid := range m.kids {
		object[key] = kid.value()
	}
	return object
}

func (m *model) metadata() map[string]any {
	text := map[string]any{"$lastUpdated": string(AppendTime(nil, m.at))}
	if m.version != 0 {
		text["$lastUpdatedVersion"] = number(m.version)
	}
	for key, kid := range m.kids {
		text[key] = kid.metadata()
	}
	return text
}

// merge changes m and gives the difference.
func (m *model) merge(patch map[string]any, at time.Time, version int64) map[string]any {
	diff := map[string]any{}
	for key, value := range patch {
		old := m.kids[key]
		object, isObject := value.(map[string]any)
		switch {
		case value == nil && old == nil:
		case value == nil:
			delete(m.kids, key)
			diff[key] = nil
		case isObject && old != nil && old.kids != nil:
			if sub := old.merge(object, at, version); len(sub) > 0 {
				old.at, old.version = at, version
				diff[key] = sub
			}
		default:
			m.kids[key] = plain(value, at, version)
			diff[key] = m.kids[key].value()
		}
	}
	return diff
}

// replaced is what a device must hear of when next comes in the place of old.
func replaced(old, next map[string]any) map[string]any {
	diff := maps.Clone(next)
	for key, was := range old {
		value, stays := next[key]
		if !stays {
			diff[key] = nil
			continue
		}
		wasObject, ok1 := was.(map[string]any)
		isObject, ok2 := value.(map[string]any)
		if ok1 && ok2 {
			diff[key] = replaced(wasObject, isObject)
		}
	}
	return diff
}

// reference is a twin as the sheet tells it, in maps.
type reference struct {
	tags, desired, reported *model
	etag, d, r              int64
}

func (r *reference) sections() map[string]any {
	text := map[string]any{"properties": map[string]any{
		"desired":  r.section(r.desired, r.d),
		"reported": r.section(r.reported, r.r),
	}}
	if len(r.tags.kids) > 0 {
		text["tags"] = r.tags.value()
	}
	return text
}

func (r *reference) section(m *model, version int64) map[string]any {
	text := m.value().(map[string]any)
	text["$metadata"], text["$version"] = m.metadata(), number(version)
	return text
}

// object draws the text of an object from few keys, so that patches often meet
// what is there.
func object(depth int, nulls bool) *rapid.Generator[string] {
	key := rapid.SampledFrom([]string{"a", "b", "c", "d", "naïve", `q\"`, "", "@x:y"})
	leaf := rapid.SampledFrom([]string{`1`, `1.0`, `-2e3`, `"x"`, `"\u00e9\n"`, `true`, `false`, `[]`, `[1,{"k":[ "v" ]}]`, `{}`})
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		b.WriteByte('{')
		for i, k := range rapid.SliceOfNDistinct(key, 0, 5, rapid.ID).Draw(t, "keys") {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"%s":`, k)
			switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
			case kind < 2 && nulls:
				b.WriteString(null)
			case kind < 6 && depth > 0:
				b.WriteString(object(depth-1, nulls).Draw(t, "object"))
			default:
				b.WriteString(leaf.Draw(t, "leaf"))
			}
		}
		return b.String() + "}"
	})
}

// patchOf draws the patch of a section: mostly an object, sometimes null.
func patchOf(depth int) *rapid.Generator[string] {
	some := object(depth, true)
	return rapid.OneOf(some, some, some, rapid.Just(null))
}

// A long history of changes leaves the twin as the reference has it: contents,
// metadata, counters, differences, stored form.
func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tw := New(at(0))
		var decoder Decoder
		root := func() *model { return &model{kids: map[string]*model{}, at: at(0)} }
		ref := &reference{tags: root(), desired: root(), reported: root(), etag: 1, d: 1, r: 1}
		for step := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			h := history{rt, tw, ref, at(int64(step + 1)), &decoder}
			before := string(tw.AppendSections(nil))
			old := tw
			switch rapid.SampledFrom([]string{"merge", "merge", "replace", "report", "report"}).Draw(rt, "op") {
			case "merge":
				tw = h.merge()
			case "replace":
				tw = h.replace()
			case "report":
				tw = h.report()
			}
			if after := string(old.AppendSections(nil)); after != before {
				rt.Fatalf("the old twin changed from\n %s to\n %s", before, after)
			}
			h.check(tw)
		}
	})
}

// history is one step of a history.
type history struct {
	*rapid.T
	tw  *Twin
	ref *reference
	now time.Time

	decoder *Decoder // has decoded what came before
}

func (h history) event(c *Change) string {
	body, err := AppendEvent(nil, c.AppendRecord(nil))
	if err != nil {
		h.Fatalf("the record %q of a change: %v", c.AppendRecord(nil), err)
	}
	return string(body)
}

func (h history) json(text string) (value any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		h.Fatalf("%v in %s", err, text)
	}
	return value
}

func (h history) object(text string) map[string]any { return h.json(text).(map[string]any) }

// patch is the patch of a section; null stands for null in every key.
func (h history) patch(text string, old *model) map[string]any {
	if text != null {
		return h.object(text)
	}
	nulls := map[string]any{}
	for key := range old.kids {
		nulls[key] = nil
	}
	return nulls
}

func (h history) merge() *Twin {
	tags, desired := patchOf(1).Draw(h.T, "tags"), patchOf(3).Draw(h.T, "desired")
	p, err := ParsePatch([]byte(`{"properties":{"desired":`+desired+`},"tags":`+tags+`}`), Rules{})
	if err != nil {
		h.Fatal(err)
	}
	next, change, err := h.tw.Merge(p, h.now)
	if err != nil {
		h.Fatal(err)
	}
	was := h.ref.desired.value()
	tagsDiff := h.ref.tags.merge(h.patch(tags, h.ref.tags), time.Time{}, 0)
	diff := h.ref.desired.merge(h.patch(desired, h.ref.desired), h.now, h.ref.d+1)
	void := len(tagsDiff) == 0 && len(diff) == 0
	if change.Void() != void || void != (next == h.tw) || change.HasDesired() != (len(diff) > 0) {
		h.Fatalf("void %t, the device is told: %t, but the difference is %v %v", change.Void(), change.HasDesired(), tagsDiff, diff)
	}
	if !void {
		h.ref.etag++
	}
	if len(diff) > 0 {
		h.ref.d++
		h.ref.desired.at, h.ref.desired.version = h.now, h.ref.d
		h.checkDifference(was, change, diff)
	}
	if len(tagsDiff) > 0 {
		h.equal("tags of the event", h.object("{" + h.event(change) + "}")["tags"], tagsDiff)
	}
	return next
}

func (h history) replace() *Twin {
	tags, desired := object(1, false).Draw(h.T, "tags"), object(3, false).Draw(h.T, "desired")
	r, err := ParseReplacement([]byte(`{"tags":`+tags+`,"properties":{"desired":`+desired+`}}`), Rules{})
	if err != nil {
		h.Fatal(err)
	}
	next, change, err := h.tw.Replace(r, h.now)
	if err != nil {
		h.Fatal(err)
	}
	was := h.ref.desired.value()
	h.ref.etag++
	h.ref.d++
	h.ref.tags = plain(h.json(tags), time.Time{}, 0)
	h.ref.desired = plain(h.json(desired), h.now, h.ref.d)
	h.checkDifference(was, change, replaced(was.(map[string]any), h.object(desired)))
	return next
}

func (h history) report() *Twin {
	text := object(3, true).Draw(h.T, "reported")
	p, err := ParseReported([]byte(text), Rules{})
	if err != nil {
		h.Fatal(err)
	}
	next, change, err := h.tw.Report(p, h.now)
	if err != nil {
		h.Fatal(err)
	}
	h.ref.r++
	diff := h.ref.reported.merge(h.object(text), h.now, 0)
	h.ref.reported.at = h.now
	event := h.object("{" + h.event(change) + "}")
	section := event["properties"].(map[string]any)["reported"].(map[string]any)
	metadata := section["$metadata"]
	delete(section, "$metadata")
	diff["$version"] = number(h.ref.r)
	h.equal("event", section, diff)
	delete(diff, "$version")
	h.equal("metadata of the event", metadata, plain(diff, h.now, 0).metadata())
	return next
}

// checkDifference compares the notification with the reference, and applies it
// to the old desired properties, as a device does.
func (h history) checkDifference(was any, change *Change, want map[string]any) {
	got := h.object(string(change.AppendDesired(nil)))
	h.equal("$version", got["$version"], number(h.ref.d))
	delete(got, "$version")
	h.equal("difference", got, want)
	device := plain(was, h.now, 0)
	device.merge(got, h.now, 0)
	h.equal("what the device has", device.value(), h.ref.desired.value())
}

// check compares all that can be read of tw with the reference.
func (h history) check(tw *Twin) {
	sections := string(tw.AppendSections(nil))
	h.equal("sections", h.json("{"+sections+"}"), any(h.ref.sections()))
	h.equal("etag", tw.etag, h.ref.etag)
	h.equal("version", tw.Version(), 2+h.ref.etag-1+h.ref.r-1)
	for _, s := range []section{tw.tags, tw.desired, tw.reported} {
		var all cost
		for i := range s.members {
			all.add(s.members[i].cost())
		}
		h.equal("cost", s.cost, all)
	}
	if own := tw.text(); tw.held > 2*own+slack {
		h.Fatalf("the twin holds %d bytes of text for %d", tw.held, own)
	}
	stored := tw.AppendBinary(nil)
	back, err := Decode(stored)
	if err != nil {
		h.Fatal(err)
	}
	h.equal("decoded sections", string(back.AppendSections(nil)), sections)
	h.equal("stored again", back.AppendBinary(nil), stored)
	h.equal("decoded cost", []cost{back.tags.cost, back.desired.cost, back.reported.cost},
		[]cost{tw.tags.cost, tw.desired.cost, tw.reported.cost})
	h.checkDecoder(string(stored), back)
	h.equal("times", []int64{tw.DesiredUpdated(), tw.ReportedUpdated()}, []int64{Ticks(h.ref.desired.at), Ticks(h.ref.reported.at)})
	h.checkObject("tags", tw.Tags(), h.ref.tags)
	h.checkObject("desired", tw.Desired(), h.ref.desired)
	h.checkObject("reported", tw.Reported(), h.ref.reported)
}

// checkDecoder decodes stored with room that has been used for other twins, and
// for a damaged one just before.
func (h history) checkDecoder(stored string, want *Twin) {
	damaged := []byte(stored)
	damaged[rapid.IntRange(0, len(damaged)-1).Draw(h.T, "place")] ^= rapid.Byte().Draw(h.T, "damage")
	h.decoder.Decode(string(damaged))
	got, err := h.decoder.Decode(stored)
	if err != nil {
		h.Fatal(err)
	}
	h.equal("twin of the decoder", got, want)
}

// checkObject compares the members of an object with the reference.
func (h history) checkObject(name string, o Object, want *model) {
	h.equal(name+": members", o.Len(), len(want.kids))
	for i := range o.Len() {
		key, json, kids := o.Member(i)
		m := want.kids[key]
		switch {
		case m == nil:
			h.Fatalf("%s has %q", name, key)
		case m.kids != nil:
			h.equal(name+"."+key, json, "")
			h.checkObject(name+"."+key, kids, m)
		default:
			h.equal(name+"."+key, h.json(json), m.leaf)
		}
	}
}

func (h history) equal(what string, got, want any) {
	h.Helper()
	if !reflect.DeepEqual(got, want) {
		h.Fatalf("%s: want\n %v, got\n %v", what, want, got)
	}
}
