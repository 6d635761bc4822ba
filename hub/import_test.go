package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/internal/fleet"
	"github.com/hubtwin/hubtwin/store/memory"
)

// fromText opens lines of a text, as often as it is asked to.
func fromText(text string) func() (iter.Seq2[device.Line, error], error) {
	return func() (iter.Seq2[device.Line, error], error) { return device.Lines(strings.NewReader(text)), nil }
}

// importText imports, and gives the failures in the order of their lines, as
// "line code id".
func importText(t testing.TB, h *hub.Hub, text string, o hub.ImportOptions) (failures []string, applied int64, err error) {
	t.Helper()
	var failed []hub.ImportError
	o.Failed = func(e hub.ImportError) { failed = append(failed, e) }
	o.Progress = new(hub.ImportProgress)
	err = h.Import(context.Background(), owner, fromText(text), o)
	slices.SortFunc(failed, func(a, b hub.ImportError) int { return int(a.Line - b.Line) })
	for _, e := range failed {
		failures = append(failures, strings.TrimSpace(fmt.Sprintf("%d %d %s", e.Line, e.Fault.Code, e.ID)))
	}
	if n := o.Progress.Failed.Load(); n != int64(len(failed)) {
		t.Errorf("%d failures are counted, and %d told of", n, len(failed))
	}
	return failures, o.Progress.Applied.Load(), err
}

func mustImport(t testing.TB, h *hub.Hub, text string) {
	t.Helper()
	if failures, _, err := importText(t, h, text, hub.ImportOptions{}); err != nil || failures != nil {
		t.Fatalf("%v, %q", err, failures)
	}
}

func exportText(t testing.TB, h *hub.Hub, o hub.ExportOptions) string {
	t.Helper()
	var b strings.Builder
	err := h.Export(context.Background(), owner, o, func(line []byte) error {
		b.Write(line)
		return b.WriteByte('\n')
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestImportGolden imports files under testdata/import and compares what failed,
// and what is there afterwards, with what they say. Lines that begin with "have "
// are imported first, "got " are failures, and "want " is what is exported then,
// without etags, keys and metadata; everything else is a line of the import. In
// files whose first line is "all-or-nothing" the import is that.
func TestImportGolden(t *testing.T) {
	for _, name := range []string{"lines", "modes", "broken", "nothing", "parents", "modules", "modules-nothing"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile("testdata/import/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			var have, lines, failures, want []string
			var o hub.ImportOptions
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSuffix(line, "\n")
				mark, rest, _ := strings.Cut(line, " ")
				switch mark {
				case "#":
				case "all-or-nothing":
					o.AllOrNothing = true
				case "have":
					have = append(have, rest)
				case "got":
					failures = append(failures, rest)
				case "want":
					want = append(want, rest)
				default:
					lines = append(lines, line)
				}
			}
			h := open(t, nil)
			mustImport(t, h, strings.Join(have, "\n"))
			got, _, err := importText(t, h, strings.Join(lines, "\n"), o)
			if (err == nil) != (!o.AllOrNothing || len(failures) == 0) {
				t.Errorf("the import ended with %v", err)
			}
			if diff := cmp.Diff(failures, got); diff != "" {
				t.Errorf("failures (-want +got):\n%s", diff)
			}
			var rest []string
			for line := range strings.Lines(exportText(t, h, hub.ExportOptions{NoKeys: true})) {
				rest = append(rest, bare(t, line))
			}
			if diff := cmp.Diff(want, rest); diff != "" {
				t.Errorf("registry (-want +got):\n%s", diff)
			}
		})
	}
}

// bare is a line without what each run has of its own, and without what most
// devices have in common.
func bare(t testing.TB, line string) string {
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	delete(m, "eTag")
	delete(m, "twinETag")
	delete(m, "authentication")
	if c, ok := m["capabilities"].(map[string]any); ok && c["iotEdge"] == false {
		delete(m, "capabilities")
	}
	for _, section := range m["properties"].(map[string]any) {
		delete(section.(map[string]any), "$metadata")
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(scopeNumber.ReplaceAll(b, []byte("-N")))
}

var scopeNumber = regexp.MustCompile(`-\d{18}`)

// Lines of one device are carried out in their order, however many others are
// between them.
func TestImportKeepsTheOrderOfADevice(t *testing.T) {
	h := open(t, nil)
	var b strings.Builder
	const devices, times = 50, 40
	for n := range times {
		for d := range devices {
			mode := "updateTwin"
			if n == 0 {
				mode = "create"
			}
			fmt.Fprintf(&b, `{"id":"d%02d","importMode":%q,"tags":{"n":%d}}`+"\n", d, mode, n)
		}
	}
	mustImport(t, h, b.String())
	got := exportText(t, h, hub.ExportOptions{})
	if n := strings.Count(got, fmt.Sprintf(`"tags":{"n":%d}`, times-1)); n != devices {
		t.Errorf("%d of %d devices have what their last line says\n%s", n, devices, got)
	}
}

// An export of what an export was imported into is the same, but for etags, which
// belong to one life of an identity.
func TestExportImportExport(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Hubs of its own, for all of a test's would be too many.
		first, end := openApart(t)
		defer end()
		var b strings.Builder
		for n := range rapid.IntRange(1, 6).Draw(rt, "devices") {
			fmt.Fprintf(&b, `{"id":"d%d","status":%q,"statusReason":%q,"capabilities":{"iotEdge":%v},"tags":%s,"properties":{"desired":%s,"reported":%s}}`+"\n",
				n, rapid.SampledFrom([]string{"enabled", "disabled"}).Draw(rt, "status"), rapid.SampledFrom([]string{"", "why"}).Draw(rt, "reason"),
				rapid.Bool().Draw(rt, "edge"), fleet.Section(rt), fleet.Section(rt), fleet.Section(rt))
			for m := range rapid.IntRange(0, 2).Draw(rt, "modules") {
				fmt.Fprintf(&b, `{"id":"d%d","moduleId":"m%d","managedBy":"me","tags":%s,"properties":{"desired":%s,"reported":%s}}`+"\n",
					n, m, fleet.Section(rt), fleet.Section(rt), fleet.Section(rt))
			}
		}
		mustImport(t, first, b.String())
		// Later writes, so that not all has one time and version.
		fmt.Fprintf(&b, `{"id":"d0","importMode":"updateTwin","properties":{"desired":%s}}`+"\n", fleet.Patch(rt))
		mustImport(t, first, b.String()[strings.LastIndex(strings.TrimSpace(b.String()), "\n")+1:])

		text := exportText(t, first, hub.ExportOptions{})
		second, end := openApart(t)
		defer end()
		if failures, _, err := importText(t, second, text, hub.ImportOptions{AllOrNothing: rapid.Bool().Draw(rt, "all or nothing")}); err != nil {
			rt.Fatalf("%v, %q", err, failures)
		}
		if diff := cmp.Diff(ownLife(text), ownLife(exportText(t, second, hub.ExportOptions{}))); diff != "" {
			rt.Fatalf("(-first +second):\n%s", diff)
		}
	})
}

func openApart(t *testing.T) (h *hub.Hub, end func()) {
	s := memory.New()
	h, err := hub.Open(context.Background(), hub.Config{Store: s, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h, func() {
		h.Close()
		s.Close()
	}
}

var lives = regexp.MustCompile(`"(eTag|twinETag|deviceScope)":"[^"]*"`)

func ownLife(text string) string { return lives.ReplaceAllString(text, `"$1":""`) }

// An export shows one moment: what is committed while it goes on is not in it.
func TestExportIsOneMoment(t *testing.T) {
	h := open(t, nil)
	for n := range 20 {
		register(t, h, fmt.Sprintf("d%02d", n))
	}
	n := 0
	err := h.Export(context.Background(), owner, hub.ExportOptions{}, func(line []byte) error {
		if n == 0 {
			patch(t, h, "d15", `{"tags":{"late":1}}`)
			register(t, h, "d99")
		}
		if n++; strings.Contains(string(line), "late") {
			t.Errorf("the export has %s", line)
		}
		return nil
	})
	if err != nil || n != 20 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestImportAndExportAskForRights(t *testing.T) {
	h := open(t, nil)
	reader := owner
	reader.Permissions = 0
	wantFault(t, h.Import(context.Background(), reader, fromText(`{"id":"a"}`), hub.ImportOptions{}), fault.IotHubUnauthorizedAccess)
	wantFault(t, h.Export(context.Background(), reader, hub.ExportOptions{}, func([]byte) error { return nil }), fault.IotHubUnauthorizedAccess)
}

// A failure of the store ends the import at that line.
func TestImportEndsWithTheStore(t *testing.T) {
	st := memory.New()
	h := open(t, st)
	var read atomic.Int64
	lines := func(yield func(device.Line, error) bool) {
		for n := int64(1); n < 1_000_000; n++ {
			read.Store(n)
			if n == 5000 {
				st.Close()
			}
			item := device.BulkItem{Mode: device.BulkCreate, Identity: device.Identity{
				ID: device.ID{Device: fmt.Sprint("d", n)}, Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS}}}
			if !yield(device.Line{Number: n, Size: 10, Item: item}, nil) {
				return
			}
		}
	}
	p := new(hub.ImportProgress)
	err := h.Import(context.Background(), owner, func() (iter.Seq2[device.Line, error], error) { return lines, nil }, hub.ImportOptions{Progress: p})
	wantFault(t, err, fault.ServiceUnavailable)
	if n := read.Load(); n > 100_000 {
		t.Errorf("%d lines were read", n)
	}
	if p.Applied.Load() == 0 || p.Failed.Load() == 0 {
		t.Errorf("%d applied, %d failed", p.Applied.Load(), p.Failed.Load())
	}
}

func TestImportEndsWithItsReaderAndItsContext(t *testing.T) {
	h := open(t, nil)
	cable := errors.New("cable")
	broken := func() (iter.Seq2[device.Line, error], error) {
		return device.Lines(io.MultiReader(strings.NewReader("{\"id\":\"a\"}\n{\"id\":"), brokenReader{cable})), nil
	}
	if err := h.Import(context.Background(), owner, broken, hub.ImportOptions{}); err != cable {
		t.Errorf("got %v", err)
	}
	if err := h.Import(context.Background(), owner, broken, hub.ImportOptions{AllOrNothing: true}); err != cable {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	endless := func(yield func(device.Line, error) bool) {
		for n := int64(1); yield(device.Line{Number: n, Size: 1, Item: device.BulkItem{Err: fault.New(fault.ArgumentInvalid, "")}}, nil); n++ {
			if n == 1000 {
				cancel()
			}
		}
	}
	err := h.Import(ctx, owner, func() (iter.Seq2[device.Line, error], error) { return endless, nil }, hub.ImportOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type brokenReader struct{ error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.error }

// Lines under way have a bound in bytes, and in number: while the disk hangs no
// more are read.
func TestImportIsBounded(t *testing.T) {
	for _, c := range []struct {
		name, padding string
		most          int64
	}{
		{"large lines", strings.Repeat("x", 1<<20), 40},
		{"small lines", "", 256*6 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, disk := openSlow(t)
				disk.hang()
				const lines = 20_000
				var read atomic.Int64
				generated := func(yield func(device.Line, error) bool) {
					for n := range int64(lines) {
						read.Add(1)
						item := device.BulkItem{Mode: device.BulkCreate, Identity: device.Identity{
							ID: device.ID{Device: fmt.Sprint("d", n)}, Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS}}}
						if !yield(device.Line{Number: n + 1, Size: 100 + len(c.padding), Item: item}, nil) {
							return
						}
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() {
					ended <- h.Import(ctx, owner, func() (iter.Seq2[device.Line, error], error) { return generated, nil }, hub.ImportOptions{})
				}()
				synctest.Wait()
				if n := read.Load(); n > c.most || n < 20 {
					t.Errorf("%d lines were read, at most %d should be", n, c.most)
				}
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				disk.resume(nil)
			})
		})
	}
}
