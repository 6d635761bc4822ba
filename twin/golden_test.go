package twin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// golden is a line of testdata/twin.jsonl, the worked cases of twin-semantics
// section 15.
type golden struct {
	ID     string
	Via    string
	Before document
	Body   json.RawMessage
	Status int
	After  json.RawMessage // a document, or "merge"
	Bump   string
	Notify json.RawMessage // a difference, null, or "body"
	Event  *struct {
		OpType                  string
		Tags, Desired, Reported json.RawMessage
	}
	Error struct {
		Code         fault.Code
		Text, Prefix string
	}
	Note string
}

// document is the user's part of a twin.
type document struct {
	Tags     json.RawMessage `json:"tags,omitempty"`
	Desired  json.RawMessage `json:"desired,omitempty"`
	Reported json.RawMessage `json:"reported,omitempty"`
}

func TestGolden(t *testing.T) {
	for _, c := range readGolden(t) {
		t.Run(c.ID, func(t *testing.T) {
			before := given(t, c.Before)
			untouched := contents(before)
			after, change, err := apply(before, c.Via, c.Body)
			if c.Status >= 400 {
				c.checkError(t, err)
			} else if err != nil {
				t.Fatalf("%s: %v", c.Note, err)
			} else {
				c.checkAfter(t, after)
				c.checkCounters(t, before, after)
				c.checkNotify(t, after, change)
				c.checkEvent(t, after, change)
			}
			if now := contents(before); now != untouched {
				t.Errorf("the old twin was\n %s and became\n %s", untouched, now)
			}
		})
	}
}

func readGolden(t *testing.T) (cases []golden) {
	f, err := os.Open("testdata/twin.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var c golden
		if err := json.Unmarshal(expand(lines.Bytes()), &c); err != nil {
			t.Fatalf("line %d: %v", len(cases)+1, err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 79 {
		t.Fatalf("the sheet has 79 cases, the file %d", len(cases))
	}
	return cases
}

var repetition = regexp.MustCompile(`@rep:(.+?):(\d+)`)

// expand writes out repetitions: @rep:x:3 is xxx.
func expand(line []byte) []byte {
	return repetition.ReplaceAllFunc(line, func(m []byte) []byte {
		parts := repetition.FindSubmatch(m)
		n, _ := strconv.Atoi(string(parts[2]))
		return bytes.Repeat(parts[1], n)
	})
}

var (
	t0 = time.Date(2024, 3, 1, 8, 0, 0, 0, time.UTC)
	t1 = t0.Add(time.Minute)
)

// given makes a twin that holds doc, with the counters of a new one.
func given(t *testing.T, doc document) *Twin {
	t.Helper()
	sections := func(tags, desired json.RawMessage) []byte {
		return []byte(`{"tags":` + orEmpty(tags) + `,"properties":{"desired":` + orEmpty(desired) + `}}`)
	}
	replacement, err := ParseReplacement(sections(doc.Tags, doc.Desired), Rules{})
	if err != nil {
		t.Fatal(err)
	}
	reported, err := ParseReported([]byte(orEmpty(doc.Reported)), Rules{})
	if err != nil {
		t.Fatal(err)
	}
	tw, _, err := New(t0).Replace(replacement, t0)
	if err != nil {
		t.Fatal(err)
	}
	if tw, _, err = tw.Report(reported, t0); err != nil {
		t.Fatal(err)
	}
	tw.etag, tw.desired.version, tw.reported.version = 1, 1, 1
	return tw
}

func orEmpty(section json.RawMessage) string {
	if section == nil {
		return "{}"
	}
	return string(section)
}

func apply(tw *Twin, via string, body []byte) (*Twin, *Change, error) {
	switch via {
	case "svcPatch":
		p, err := ParsePatch(body, Rules{})
		if err != nil {
			return nil, nil, err
		}
		return tw.Merge(p, t1)
	case "svcPut":
		r, err := ParseReplacement(body, Rules{})
		if err != nil {
			return nil, nil, err
		}
		return tw.Replace(r, t1)
	case "devPatch":
		p, err := ParseReported(body, Rules{})
		if err != nil {
			return nil, nil, err
		}
		return tw.Report(p, t1)
	}
	return nil, nil, errors.New("no such operation: " + via)
}

// contents is the user's part of a twin, as the sheet writes it.
func contents(tw *Twin) string {
	var doc document
	for _, s := range []struct {
		to   *json.RawMessage
		from section
	}{{&doc.Tags, tw.tags}, {&doc.Desired, tw.desired}, {&doc.Reported, tw.reported}} {
		if len(s.from.members) > 0 {
			*s.to = appendObject(nil, s.from.members)
		}
	}
	text, _ := json.Marshal(doc)
	return string(text)
}

func (c *golden) checkError(t *testing.T, err error) {
	t.Helper()
	var f *fault.Error
	switch {
	case !errors.As(err, &f):
		t.Fatalf("%s: want fault %d, got %v", c.Note, c.Error.Code, err)
	case f.Code != c.Error.Code || f.Code.Status() != c.Status:
		t.Errorf("%s: want fault %d, got %d %v", c.Note, c.Error.Code, f.Code, f)
	case c.Error.Text != "" && f.Message != c.Error.Text:
		t.Errorf("%s: want text\n %s, got\n %s", c.Note, c.Error.Text, f.Message)
	case !strings.HasPrefix(f.Message, c.Error.Prefix):
		t.Errorf("%s: want text beginning\n %s, got\n %s", c.Note, c.Error.Prefix, f.Message)
	}
}

func (c *golden) checkAfter(t *testing.T, after *Twin) {
	t.Helper()
	var want bytes.Buffer
	if string(c.After) == `"merge"` {
		want.WriteString(c.merged(t))
	} else if err := json.Compact(&want, c.After); err != nil {
		t.Fatal(err)
	}
	if got := contents(after); got != want.String() {
		t.Errorf("%s: want\n %s, got\n %s", c.Note, want.String(), got)
	}
}

// merged is the document after a plain merge of the tags or desired properties
// of the body, whose cases have no nested objects.
func (c *golden) merged(t *testing.T) string {
	t.Helper()
	var body struct {
		Tags       map[string]any
		Properties struct{ Desired map[string]any }
	}
	decode(t, c.Body, &body)
	before := map[string]map[string]any{"tags": {}, "desired": {}}
	for name, section := range map[string]json.RawMessage{"tags": c.Before.Tags, "desired": c.Before.Desired} {
		var members map[string]any
		decode(t, []byte(orEmpty(section)), &members)
		before[name] = members
	}
	var doc document
	doc.Tags = mergedSection(before["tags"], body.Tags)
	doc.Desired = mergedSection(before["desired"], body.Properties.Desired)
	text, _ := json.Marshal(doc)
	return string(text)
}

func mergedSection(members, patch map[string]any) json.RawMessage {
	for key, value := range patch {
		if value == nil {
			delete(members, key)
		} else {
			members[key] = value
		}
	}
	if len(members) == 0 {
		return nil
	}
	text, _ := json.Marshal(members)
	return text
}

func (c *golden) checkCounters(t *testing.T, before, after *Twin) {
	t.Helper()
	for _, counter := range []struct {
		letter      string
		was, became int64
	}{
		{"e", before.etag, after.etag},
		{"v", before.Version(), after.Version()},
		{"d", before.DesiredVersion(), after.DesiredVersion()},
		{"r", before.ReportedVersion(), after.ReportedVersion()},
	} {
		want := counter.was + int64(strings.Count(c.Bump, counter.letter))
		if counter.became != want {
			t.Errorf("%s: counter %s: want %d, got %d", c.Note, counter.letter, want, counter.became)
		}
	}
	if void := before == after; void != (c.Bump == "") {
		t.Errorf("%s: the same twin came back: %t", c.Note, void)
	}
}

func (c *golden) checkNotify(t *testing.T, after *Twin, change *Change) {
	t.Helper()
	want := string(c.Notify)
	if want == "null" || want == "" {
		if change.HasDesired() {
			t.Errorf("%s: the device was told %s", c.Note, change.AppendDesired(nil))
		}
		return
	}
	if want == `"body"` {
		var body struct {
			Properties struct{ Desired json.RawMessage }
		}
		decode(t, c.Body, &body)
		want = string(body.Properties.Desired)
	}
	if !change.HasDesired() {
		t.Fatalf("%s: the device was not told", c.Note)
	}
	want = strings.TrimSuffix(want, "}")
	if want != "{" {
		want += ","
	}
	want += `"$version":` + strconv.FormatInt(after.DesiredVersion(), 10) + "}"
	if got := string(change.AppendDesired(nil)); got != want {
		t.Errorf("%s: want notification\n %s, got\n %s", c.Note, want, got)
	}
}

func (c *golden) checkEvent(t *testing.T, after *Twin, change *Change) {
	t.Helper()
	if c.Event == nil {
		if change.Void() == (string(c.After) == `"merge"`) {
			t.Errorf("%s: void: %t", c.Note, change.Void())
		}
		return
	}
	if change.Void() || change.Op() != c.Event.OpType {
		t.Errorf("%s: want an event %s, got %s, void: %t", c.Note, c.Event.OpType, change.Op(), change.Void())
	}
	var got map[string]any
	decode(t, []byte("{"+event(t, change)+"}"), &got)
	want := map[string]any{"version": number(after.Version())}
	if c.Event.OpType == "replaceTwin" {
		decode(t, []byte("{"+string(after.AppendSections(nil))+"}"), &want)
		want["etag"], want["version"] = after.Etag(), number(after.Version())
	} else {
		wantSection(t, want, "tags", c.Event.Tags, 0)
		wantSection(t, want, "desired", c.Event.Desired, after.DesiredVersion())
		wantSection(t, want, "reported", c.Event.Reported, after.ReportedVersion())
		dropMetadata(t, got)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: want event\n %v, got\n %v", c.Note, want, got)
	}
}

// wantSection puts a section's difference into a wanted event.
func wantSection(t *testing.T, event map[string]any, name string, diff json.RawMessage, version int64) {
	t.Helper()
	if diff == nil {
		return
	}
	var members map[string]any
	decode(t, diff, &members)
	if name == "tags" {
		event[name] = members
		return
	}
	members["$version"] = number(version)
	event["properties"] = map[string]any{name: members}
}

// dropMetadata takes $metadata out of an event, whose section must have it.
func dropMetadata(t *testing.T, event map[string]any) {
	t.Helper()
	properties, _ := event["properties"].(map[string]any)
	for name, section := range properties {
		members := section.(map[string]any)
		if _, ok := members["$metadata"]; !ok {
			t.Errorf("%s has no $metadata in the event", name)
		}
		delete(members, "$metadata")
	}
}

func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }

// decode reads JSON and keeps the text of numbers.
func decode(t *testing.T, text []byte, to any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(to); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
}
