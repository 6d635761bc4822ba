package query

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/message"
)

const twoEqualities = "SELECT * FROM devices WHERE tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'"

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(twoEqualities); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkString(b *testing.B) {
	q := mustParse(b, twoEqualities)
	b.ReportAllocs()
	for b.Loop() {
		_ = q.String()
	}
}

// flatDoc is a document as an index might show it: nothing is parsed when it
// is looked at.
type flatDoc struct {
	key                    string
	plant, link, floor, fw string
}

func (d *flatDoc) Key() string                  { return d.key }
func (d *flatDoc) AppendJSON(dst []byte) []byte { return append(dst, "{}"...) }
func (d *flatDoc) Lookup(path []string) (string, bool) {
	switch path[len(path)-1] {
	case "plant":
		return d.plant, true
	case "type":
		return d.link, true
	case "floor":
		return d.floor, true
	case "fw":
		return d.fw, true
	}
	return "", false
}

// BenchmarkScan evaluates 10,000 documents.
func BenchmarkScan(b *testing.B) {
	docs := make([]flatDoc, 10_000)
	for i := range docs {
		docs[i] = flatDoc{
			key:   fmt.Sprintf("device-%05d", i),
			plant: fmt.Sprintf(`"Redmond%d"`, i%100),
			link:  []string{`"cellular"`, `"wifi"`}[i/100%2],
			floor: fmt.Sprint(i % 7),
			fw:    fmt.Sprintf(`"2.%d.0"`, i%30),
		}
	}
	src := sourceFunc(func(yield func(Document, error) bool) {
		for i := range docs {
			if !yield(&docs[i], nil) {
				return
			}
		}
	})
	for name, text := range map[string]string{
		"equalities": twoEqualities,
		"numbers":    "SELECT COUNT() AS n FROM devices WHERE tags.floor > 2 AND tags.floor * 2 < 10",
		"groups":     "SELECT tags.fw, COUNT() AS n, AVG(tags.floor) AS a FROM devices GROUP BY tags.fw",
		"projection": "SELECT tags.plant, tags.floor FROM devices WHERE STARTSWITH(tags.fw, '2.1')",
	} {
		q := mustParse(b, text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := q.Run(b.Context(), src, MaxPage, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCondition evaluates a condition on one message after another.
func BenchmarkCondition(b *testing.B) {
	s := messages(b)["m1"]
	for name, text := range map[string]string{
		"property":   "level = 'storage'",
		"properties": "level = 'storage' AND as_number(severity) >= 3 AND $contentType = 'application/json'",
		"body":       "$body.temp >= 50 AND $body.pos.city = 'Oslo'",
		"twin":       "$twin.tags.site = 'Oslo'",
		"twin case":  "$twin.tags.Site = 'Oslo'",
	} {
		c := mustCondition(b, text, message.DeviceMessages)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := Subject{Event: s.Event, Twin: s.Twin}
				if !c.Holds(&m) {
					b.Fatal("does not hold")
				}
			}
		})
	}
}

func BenchmarkParseCondition(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCondition("level = 'storage' AND as_number(severity) >= 3 AND $body.pos.city = 'Oslo'", message.DeviceMessages); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConditionWorst names members of the largest body as often as a
// condition can.
func BenchmarkConditionWorst(b *testing.B) {
	body := "{" + strings.Repeat(`"x":1,`, message.MaxD2C/6-3) + `"y":2}`
	c := mustCondition(b, "$body.y=2"+strings.Repeat(" AND $body.y=2", MaxText/14-1), message.DeviceMessages)
	for b.Loop() {
		if !c.Holds(jsonSubject(message.DeviceMessages, "utf-8", body)) {
			b.Fatal("does not hold")
		}
	}
}
