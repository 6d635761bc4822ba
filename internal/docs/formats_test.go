package docs

import (
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
)

// constants gives the values of the constants of a package that are written as
// literals, as they are written.
func constants(t *testing.T, folder string) map[string]string {
	t.Helper()
	values := map[string]string{}
	names, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == len(v.Names) {
				for i, value := range v.Values {
					if l, ok := value.(*ast.BasicLit); ok {
						values[v.Names[i].Name] = l.Value
					}
				}
			}
			return true
		})
	}
	return values
}

// TestFormats: pages that draw bytes name the numbers that the code has.
func TestFormats(t *testing.T) {
	for _, c := range []struct{ folder, constant, page, says string }{
		{"store/pebble", "Format", "docs/formats/store.md", "has number **%s**"},
		{"store/pebble", "Format", "docs/formats/store.md", "8 bytes, number: %s "},
		{"store/pebble", "Format", "CHANGELOG.md", "On-disk format %s."},
		{"twin", "binaryVersion", "docs/formats/twin.md", "`version` is %s."},
		{"twin", "recordUpdate", "docs/formats/twin.md", "| 0x0%s | sections"},
		{"twin", "recordWhole", "docs/formats/twin.md", "| 0x0%s | twin, in the stored form"},
		{"device", "storedVersion", "docs/formats/identity.md", "| version | byte | %s |"},
		{"message", "codecVersion", "docs/formats/message.md", "| version | byte | %s |"},
		{"message", "nullValue", "docs/formats/message.md", "of each: %s if it came without a value"},
		{"c2d", "storedVersion", "docs/formats/message.md", "| version of a queue | byte | %s |"},
		{"c2d", "deliveredFlag", "docs/formats/message.md", "bit 2 (%s): it was delivered"},
		{"c2d", "MaxDepth", "docs/formats/message.md", "oldest first, %s at most"},
		{"c2d", "maxIDSize", "docs/formats/message.md", "length of the message id, up to %s"},
		{"hub", "tableHub", "docs/formats/store.md", "│ %s │ name "},
		{"hub", "tableDevices", "docs/formats/store.md", "│ %s │ device id"},
		{"hub", "tablePolicies", "docs/formats/store.md", "│ %s │ name of the policy"},
		{"hub", "partConnection", "docs/formats/store.md", "| `%s` | connection |"},
		{"hub", "partIdentity", "docs/formats/store.md", "| `%s` | identity |"},
		{"hub", "partSubscriptions", "docs/formats/store.md", "| `%s` | subscriptions |"},
		{"hub", "partModules", "docs/formats/store.md", "| `%s` | modules |"},
		{"hub", "partTwin", "docs/formats/store.md", "| `%s` | twin |"},
		{"hub", "TwinUpdated", "docs/formats/store.md", "| %s | `TwinUpdated` |"},
		{"hub", "TwinReplaced", "docs/formats/store.md", "| %s | `TwinReplaced` |"},
		{"hub", "IdentityCreated", "docs/formats/store.md", "| %s | `IdentityCreated` |"},
		{"hub", "IdentityDeleted", "docs/formats/store.md", "| %s | `IdentityDeleted` |"},
		{"hub", "IdentityUpdated", "docs/formats/store.md", "| %s | `IdentityUpdated` |"},
		{"hub", "Connected", "docs/formats/store.md", "| %s | `Connected` |"},
		{"hub", "Disconnected", "docs/formats/store.md", "| %s | `Disconnected` |"},
		{"hub", "MaxSubscriptions", "docs/formats/store.md", "There are %s entries at most."},
		{"hub", "MaxSubscriptions", "docs/compat.md", "keeps up to %s filters"},
	} {
		value, ok := constants(t, c.folder)[c.constant]
		if !ok {
			t.Errorf("package %s has no constant %s", c.folder, c.constant)
			continue
		}
		if want := fmt.Sprintf(c.says, value); !strings.Contains(read(t, c.page), want) {
			t.Errorf("%s does not say %q", c.page, want)
		}
	}
}

// TestDrawnEvent reads the bytes that store.md shows.
func TestDrawnEvent(t *testing.T) {
	_, blocks := split(read(t, "docs/formats/store.md"))
	var text string
	for _, b := range blocks {
		if rest, ok := strings.CutPrefix(b, "hex\n"); ok {
			text = rest
		}
	}
	var bytes []byte
	for line := range strings.Lines(text) {
		digits, _, _ := strings.Cut(line, "#")
		b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		bytes = append(bytes, b...)
	}
	e, err := hub.DecodeEvent(bytes)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2024, 3, 1, 8, 0, 5, 0, time.UTC)
	if e.Kind != hub.TwinUpdated || e.ID != (device.ID{Device: "d1"}) || !e.Time.Equal(at) || e.Revoked ||
		string(e.Desired) != `{"a":1,"$version":2}` || e.DesiredVersion != 2 {
		t.Errorf("got %+v", e)
	}
	const stamp = `"$lastUpdated":"2024-03-01T08:00:05.0000000Z","$lastUpdatedVersion":2`
	want := `{"version":3,"properties":{"desired":{"a":1,"$metadata":{` + stamp + `,"a":{` + stamp + `}},"$version":2}}}`
	if body, err := e.Body(); err != nil || string(body) != want {
		t.Errorf("body %s, %v, want %s", body, err, want)
	}
}
