package document

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/twin"
)

var t0 = time.Date(2024, 3, 1, 8, 0, 0, 123_456_700, time.UTC)

// object has n members of about 34 bytes, in groups of ten.
func object(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		switch {
		case i%10 == 0 && i > 0:
			fmt.Fprintf(&b, `},"group%d":{`, i/10)
		case i%10 == 0:
			b.WriteString(`"group0":{`)
		default:
			b.WriteByte(',')
		}
		if i%3 == 0 {
			fmt.Fprintf(&b, `"member%d":%d.5`, i, 1000+i)
		} else {
			fmt.Fprintf(&b, `"member%d":"%s"`, i, strings.Repeat("v", 20))
		}
	}
	return b.String() + "}}"
}

// plain is the document of a device with a kilobyte of text in 32 leaves.
func plain(tb testing.TB) *Document {
	tb.Helper()
	id := device.ID{Device: "pump-000042"}
	d := &Document{ID: id, Twin: twin.New(t0)}
	d.Head.SetIdentity(&device.Identity{ID: id, Etag: "MTAwMDAwMDAw", Status: device.Enabled,
		Authentication: device.Authentication{Type: device.SAS}})
	d.Head.SetConnection(Connection{Connected: true, LastActivity: t0})
	d.Twin = merge(tb, d.Twin, `{"tags":{"site":"A","floor":2},"properties":{"desired":`+object(15)+`}}`)
	reported, err := twin.ParseReported([]byte(object(15)), twin.Rules{})
	if err != nil {
		tb.Fatal(err)
	}
	if d.Twin, _, err = d.Twin.Report(reported, t0.Add(time.Minute)); err != nil {
		tb.Fatal(err)
	}
	return d
}

func merge(tb testing.TB, t *twin.Twin, body string) *twin.Twin {
	tb.Helper()
	p, err := twin.ParsePatch([]byte(body), twin.Rules{})
	if err != nil {
		tb.Fatal(err)
	}
	next, _, err := t.Merge(p, t0)
	if err != nil {
		tb.Fatal(err)
	}
	return next
}

func BenchmarkAppendJSON(b *testing.B) {
	d := plain(b)
	dst := d.AppendJSON(nil)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = d.AppendJSON(dst[:0])
	}
}

// What a query does with a row that it shows: the stored form is cut to pieces
// and rendered.
func BenchmarkStoredToJSON(b *testing.B) {
	d := plain(b)
	stored := string(d.Twin.AppendBinary(AppendHead(nil, &d.Head)))
	dst := d.AppendJSON(nil)
	var decoder twin.Decoder
	b.ReportAllocs()
	for b.Loop() {
		var rest string
		var err error
		if d.Head, rest, err = DecodeHead(stored); err != nil {
			b.Fatal(err)
		}
		if d.Twin, err = decoder.Decode(rest); err != nil {
			b.Fatal(err)
		}
		dst = d.AppendJSON(dst[:0])
	}
	b.ReportMetric(float64(len(stored)), "stored-bytes")
}

func BenchmarkHead(b *testing.B) {
	d := plain(b)
	stored := AppendHead(nil, &d.Head)
	text := string(stored)
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			stored = AppendHead(stored[:0], &d.Head)
		}
		b.ReportMetric(float64(len(stored)), "stored-bytes")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := DecodeHead(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	d := plain(b)
	for _, path := range []string{"status", "connectionState", "lastActivityTime", "capabilities.iotEdge"} {
		keys := strings.Split(path, ".")
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := d.Lookup(keys); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}
