package route_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/route"
	"github.com/hubtwin/hubtwin/twin"
)

// paragraphs reads a file of cases, which blank lines part. Lines that begin
// with # are left out, except that the last one before a case names it.
func paragraphs(t testing.TB, file string) (names []string, cases [][]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for p := range strings.SplitSeq(string(text), "\n\n") {
		var name string
		var lines []string
		for line := range strings.Lines(p) {
			line = strings.TrimRight(line, "\n")
			switch {
			case strings.HasPrefix(line, "#"):
				name = strings.Trim(line, "# ")
			case line != "":
				lines = append(lines, line)
			}
		}
		if lines != nil {
			names, cases = append(names, name), append(cases, lines)
		}
	}
	return names, cases
}

// compile compiles a configuration with the webhooks a, b and c.
func compile(t testing.TB, text string) *route.Table {
	t.Helper()
	c, err := route.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"a", "b", "c"} {
		c.Endpoints.Webhooks = append(c.Endpoints.Webhooks, route.Webhook{Name: n, URL: "https://example.com/" + n})
	}
	table, err := route.Compile(c, "testhub")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestRoutes(t *testing.T) {
	names, cases := paragraphs(t, "testdata/routes.txt")
	if len(cases) < 20 {
		t.Fatalf("only %d cases", len(cases))
	}
	for i, lines := range cases {
		t.Run(names[i], func(t *testing.T) {
			var table *route.Table
			var want []string
			e := &message.Event{DeviceID: "d1", Enqueued: time.Unix(1_700_000_000, 0)}
			s := &query.Subject{Event: e}
			for _, line := range lines {
				word, rest, _ := strings.Cut(line, " ")
				name, value, _ := strings.Cut(rest, "=")
				switch word {
				case "config":
					table = compile(t, rest)
				case "source":
					e.Source, _ = message.ParseSource(rest)
				case "property":
					e.Set(name, value)
				case "system":
					k, _ := message.ParseKey(name)
					e.System[k] = value
				case "body":
					e.Body = body(t, rest)
				case "twin":
					s.Twin = makeTwin(t, rest)
				default:
					want = append(want, line)
				}
			}
			if got := routed(table, s); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func body(t *testing.T, text string) []byte {
	if n, ok := strings.CutPrefix(text, "@"); ok {
		size, err := strconv.Atoi(n)
		if err != nil {
			t.Fatal(err)
		}
		return make([]byte, size)
	}
	return []byte(text)
}

func makeTwin(t testing.TB, text string) *twin.Twin {
	t.Helper()
	r, err := twin.ParseReplacement([]byte(text), twin.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := twin.New(time.Unix(1_600_000_000, 0)).Replace(r, time.Unix(1_600_000_001, 0))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// routed is what becomes of an event, in the words of routes.txt.
func routed(table *route.Table, s *query.Subject) (lines []string) {
	before := len(s.Event.Properties)
	o := table.Route(s, func(stream string, e *message.Event) {
		line := "to " + stream
		for i, p := range e.Properties {
			if i >= before || p != s.Event.Properties[i] {
				line += " " + p.Name + "=" + p.Value
			}
		}
		lines = append(lines, line)
	})
	if o.Fallback {
		lines = append(lines, "fallback")
	}
	if o.Orphaned() {
		lines = append(lines, "orphaned")
	}
	if o.Invalid > 0 {
		lines = append(lines, fmt.Sprintf("invalid %d", o.Invalid))
	}
	return lines
}

func TestRefusals(t *testing.T) {
	_, cases := paragraphs(t, "testdata/refused.txt")
	for _, lines := range cases {
		c, err := route.Parse([]byte(lines[0]))
		if err == nil {
			_, err = route.Compile(c, "h")
		}
		if !fault.Is(err, fault.ArgumentInvalid) || !strings.Contains(err.Error(), lines[1]) {
			t.Errorf("%s\ngot  %v\nwant %s", lines[0], err, lines[1])
		}
	}
}

func TestLimits(t *testing.T) {
	var c route.Config
	for i := range route.MaxEndpoints {
		c.Endpoints.Webhooks = append(c.Endpoints.Webhooks, route.Webhook{Name: fmt.Sprint("w", i), URL: "https://example.com/"})
	}
	for i := range route.MaxRoutes {
		c.Routes = append(c.Routes, route.Route{Name: fmt.Sprint("r", i), Source: "DeviceMessages", Endpoints: []string{"w9"}})
	}
	for i := range route.MaxEnrichments {
		c.Enrichments = append(c.Enrichments, route.Enrichment{Key: fmt.Sprint("k", i), Value: "v", Endpoints: []string{"w9"}})
	}
	if _, err := route.Compile(c, "h"); err != nil {
		t.Fatal(err)
	}
	for _, more := range []func(*route.Config){
		func(c *route.Config) { c.Endpoints.Files = append(c.Endpoints.Files, route.File{Name: "f"}) },
		func(c *route.Config) {
			c.Routes = append(c.Routes, route.Route{Name: "r", Source: "DeviceMessages", Endpoints: []string{"w9"}})
		},
		func(c *route.Config) {
			c.Enrichments = append(c.Enrichments, route.Enrichment{Key: "k", Value: "v", Endpoints: []string{"w9"}})
		},
	} {
		one := c
		more(&one)
		if _, err := route.Compile(one, "h"); !fault.Is(err, fault.ArgumentInvalid) {
			t.Errorf("one too many: %v", err)
		}
	}
}

func TestSecrets(t *testing.T) {
	c, err := route.Parse([]byte(`{"endpoints":{"webhooks":[{"name":"w","url":"https://a/","authorization":"Bearer x","signingKey":"y","headers":{"X-Api-Key":"z"}},{"name":"v","url":"https://a/"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	shown := c.WithoutSecrets()
	if got := string(shown.AppendJSON(nil)); !strings.Contains(got, `"authorization":"****","signingKey":"****","headers":{"X-Api-Key":"****"}`) {
		t.Errorf("shown: %s", got)
	}
	if got, want := shown.WithSecretsOf(c).AppendJSON(nil), c.AppendJSON(nil); string(got) != string(want) {
		t.Errorf("written again: got %s, want %s", got, want)
	}
	// To another address they do not go.
	shown.Endpoints.Webhooks[0].URL = "https://b/"
	got := shown.WithSecretsOf(c).Endpoints.Webhooks[0]
	if got.Authorization != "****" || got.Key != "****" || got.Headers["X-Api-Key"] != "****" {
		t.Errorf("secrets go to another address: %+v", got)
	}
}

func TestDefault(t *testing.T) {
	c := route.Default()
	const want = `{"endpoints":{"webhooks":[],"files":[]},"routes":[],"fallbackRoute":{"name":"$fallback","source":"DeviceMessages","condition":"true","endpointNames":["events"],"isEnabled":true},"enrichments":[]}`
	if got := string(c.AppendJSON(nil)); got != want {
		t.Errorf("got %s", got)
	}
	table, err := route.Compile(c, "h")
	if err != nil || !table.Plain() || table.Wants(message.TwinChangeEvents) || !table.Wants(message.DeviceMessages) {
		t.Errorf("it is not plain: %v", err)
	}
}

// TestPlainRoutesAreCheap: without an enrichment and without a body to look into,
// nothing is made.
func TestPlainRoutesAreCheap(t *testing.T) {
	table := compile(t, `{"routes":[{"name":"r","source":"DeviceMessages","condition":"level = 'hot' AND $connectionDeviceId = 'd1'","endpointNames":["a"]}]}`)
	e := &message.Event{DeviceID: "d1"}
	e.Set("level", "hot")
	s := &query.Subject{Event: e}
	n := 0
	count := func(string, *message.Event) { n++ }
	if got := testing.AllocsPerRun(100, func() { table.Route(s, count) }); got > 0 {
		t.Errorf("%v allocations", got)
	}
	if n == 0 {
		t.Error("the route does not match")
	}
}

func FuzzParse(f *testing.F) {
	_, cases := paragraphs(f, "testdata/refused.txt")
	for _, lines := range cases {
		f.Add(lines[0])
	}
	f.Add(string(route.Default().AppendJSON(nil)))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := route.Parse([]byte(text))
		if err != nil {
			return
		}
		written := c.AppendJSON(nil)
		if !json.Valid(written) {
			t.Fatalf("not JSON: %s", written)
		}
		again, err := route.Parse(written)
		if err != nil || string(again.AppendJSON(nil)) != string(written) {
			t.Fatalf("%s is read back as %s: %v", written, again.AppendJSON(nil), err)
		}
		_, err = route.Compile(c, "h")
		if _, second := route.Compile(again, "h"); (err == nil) != (second == nil) {
			t.Fatalf("compiles once only: %v, %v", err, second)
		}
	})
}
