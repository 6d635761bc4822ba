package query

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
)

// memoryDoc is a document in memory, its values listed by path.
type memoryDoc struct {
	key    string
	name   string // as the golden cases name it
	text   string
	values map[string]string // JSON texts by path, keys joined by NUL
}

func (d *memoryDoc) Key() string                  { return d.key }
func (d *memoryDoc) AppendJSON(dst []byte) []byte { return append(dst, d.text...) }
func (d *memoryDoc) Lookup(path []string) (string, bool) {
	v, ok := d.values[strings.Join(path, "\x00")]
	return v, ok
}

// newDoc makes a document of a JSON object.
func newDoc(t testing.TB, text string) *memoryDoc {
	t.Helper()
	d := &memoryDoc{text: text, values: map[string]string{}}
	d.list(t, "", text)
	id := func(name string) string { return ValueOf(d.values[name]).Text }
	device, module, job := id("deviceId"), id("moduleId"), id("jobId")
	d.key = device + "\x00" + module + job
	switch {
	case job != "":
		d.name = device + ":" + job
	case module != "":
		d.name = device + "/" + module
	default:
		d.name = device
	}
	return d
}

func (d *memoryDoc) list(t testing.TB, prefix, text string) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Fatal(err)
	}
	for key, value := range members {
		d.values[prefix+key] = string(value)
		if value[0] == '{' {
			d.list(t, prefix+key+"\x00", string(value))
		}
	}
}

// memory is a Source over documents in memory.
type memory map[Collection][]*memoryDoc

func (m memory) Documents(_ context.Context, q *Query, after string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, d := range m[q.From] {
			if d.key > after && !yield(d, nil) {
				return
			}
		}
	}
}

func (m memory) add(c Collection, docs ...*memoryDoc) {
	m[c] = append(m[c], docs...)
	slices.SortFunc(m[c], func(a, b *memoryDoc) int { return cmp.Compare(a.key, b.key) })
}

// fixture is the fleet of section A10.
func fixture(t testing.TB) memory {
	t.Helper()
	m := memory{}
	for _, line := range lines(t, "testdata/fixture.jsonl") {
		d := newDoc(t, line)
		switch {
		case strings.Contains(d.name, ":"):
			m.add(Jobs, d)
		case strings.Contains(d.name, "/"):
			m.add(Modules, d)
		default:
			m.add(Devices, d)
		}
	}
	return m
}

func lines(t testing.TB, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range bytes.Lines(data) {
		list = append(list, string(bytes.TrimSpace(line)))
	}
	return list
}

func mustParse(t testing.TB, text string) *Query {
	t.Helper()
	q, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return q
}

// sourceFunc is a Source that always gives the same documents.
type sourceFunc iter.Seq2[Document, error]

func (f sourceFunc) Documents(context.Context, *Query, string) iter.Seq2[Document, error] {
	return iter.Seq2[Document, error](f)
}
