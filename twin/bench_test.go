package twin

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// leaves is an object of n members of about size bytes each, in groups of ten.
func leaves(n, size int) string {
	var b strings.Builder
	for i := range n {
		switch {
		case i == 0:
			b.WriteString(`{"group0":{`)
		case i%10 == 0:
			fmt.Fprintf(&b, `},"group%d":{`, i/10)
		default:
			b.WriteByte(',')
		}
		key := fmt.Sprintf("member%d", i)
		if i%3 == 0 {
			fmt.Fprintf(&b, `"%s":%d.5`, key, 1000+i)
		} else {
			fmt.Fprintf(&b, `"%s":"%s"`, key, strings.Repeat("v", max(size-len(key)-6, 1)))
		}
	}
	return b.String() + "}}"
}

// sample is a twin with about a kilobyte of text in n leaves for each of its
// two sections of properties.
func sample(tb testing.TB, n, size int) *Twin {
	tb.Helper()
	body := leaves(n, size)
	p, err := ParsePatch([]byte(`{"tags":{"site":"A","floor":2},"properties":{"desired":`+body+`}}`), Rules{})
	if err != nil {
		tb.Fatal(err)
	}
	r, err := ParseReported([]byte(body), Rules{})
	if err != nil {
		tb.Fatal(err)
	}
	tw, _, err := New(t0).Merge(p, t0)
	if err != nil {
		tb.Fatal(err)
	}
	tw, _, err = tw.Report(r, t1)
	if err != nil {
		tb.Fatal(err)
	}
	return tw
}

// reportedPatch has 220 bytes: replaced values, two removals and new members.
const reportedPatch = `{"group0":{"member1":"another value","member3":17.25,"member4":null},` +
	`"group2":{"member21":"on","extra":{"rssi":-71,"channel":11,"ssid":"plant-7"}},` +
	`"uptime":86400,"firmware":"3.1.7-beta","gone":null,"alarms":["door",2]}`

func BenchmarkReport(b *testing.B) {
	tw := sample(b, 30, 34) // 2 KB in two sections
	body := []byte(reportedPatch)
	dst := make([]byte, 0, 8<<10)
	now := t1
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		p, err := ParseReported(body, Rules{})
		if err != nil {
			b.Fatal(err)
		}
		if tw, _, err = tw.Report(p, now); err != nil {
			b.Fatal(err)
		}
		dst = tw.AppendBinary(dst[:0])
	}
	b.ReportMetric(float64(len(dst)), "stored-bytes")
}

func BenchmarkParseReported(b *testing.B) {
	body := []byte(reportedPatch)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseReported(body, Rules{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendDevice(b *testing.B) {
	tw := sample(b, 15, 34)
	dst := tw.AppendDevice(nil)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = tw.AppendDevice(dst[:0])
	}
}

func BenchmarkAppendSections(b *testing.B) {
	tw := sample(b, 15, 34)
	dst := tw.AppendSections(nil)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = tw.AppendSections(dst[:0])
	}
}

func BenchmarkAppendRecord(b *testing.B) {
	tw := sample(b, 15, 34)
	p, err := ParseReported([]byte(reportedPatch), Rules{})
	if err != nil {
		b.Fatal(err)
	}
	_, change, err := tw.Report(p, t1)
	if err != nil {
		b.Fatal(err)
	}
	dst := change.AppendRecord(nil)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = change.AppendRecord(dst[:0])
	}
}

func BenchmarkAppendBinary(b *testing.B) {
	tw := sample(b, 15, 34)
	dst := tw.AppendBinary(nil)
	b.ReportAllocs()
	for b.Loop() {
		dst = tw.AppendBinary(dst[:0])
	}
	b.ReportMetric(float64(len(dst)), "stored-bytes")
}

func BenchmarkDecode(b *testing.B) {
	stored := sample(b, 15, 34).AppendBinary(nil) // 1 KB of text in 30 leaves
	b.SetBytes(int64(len(stored)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(stored); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecoder(b *testing.B) {
	stored := string(sample(b, 15, 34).AppendBinary(nil))
	var d Decoder
	b.SetBytes(int64(len(stored)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(stored); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	tw := sample(b, 15, 34)
	path := []string{"properties", "reported", "group1", "member14"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := tw.Lookup(path); !ok {
			b.Fatal("not found")
		}
	}
}
