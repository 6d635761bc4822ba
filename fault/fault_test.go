package fault

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/reference/errors.md")

const reference = "../docs/reference/errors.md"

// TestReference holds the documented table to the catalogue.
func TestReference(t *testing.T) {
	want := referenceText()
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the catalogue says; run: go test ./fault -update", reference)
	}
}

func referenceText() string {
	var b strings.Builder
	b.WriteString(`# Errors

Every failure has a six-digit code. Its first three digits are the HTTP status;
its name travels in the header ` + "`iothub-errorcode`" + `. A twin operation over MQTT
has the status in the topic and the code in the body.

| Code | Name | HTTP | When |
|---|---|---|---|
`)
	for _, c := range slices.Sorted(maps.Keys(catalogue)) {
		fmt.Fprintf(&b, "| %d | %s | %d | %s |\n", c, c.Name(), c.Status(), catalogue[c].when)
	}
	return b.String()
}

// TestCatalogue reads the constants out of the source, so that none can be
// forgotten in the catalogue.
func TestCatalogue(t *testing.T) {
	codes := constants(t)
	if len(codes) < 30 {
		t.Fatalf("found only %d constants", len(codes))
	}
	owner := map[string]Code{}
	for ident, c := range codes {
		e, ok := catalogue[c]
		if !ok || e.name == "" || e.when == "" {
			t.Errorf("%s (%d) has no name or explanation", ident, c)
		}
		if other, taken := owner[e.name]; taken {
			t.Errorf("%d and %d are both called %s", c, other, e.name)
		}
		owner[e.name] = c
		if s := c.Status(); s != int(c)/1000 || s < 400 || s > 599 {
			t.Errorf("%s has the status %d", ident, s)
		}
	}
	if len(codes) != len(catalogue) {
		t.Errorf("%d constants, but %d entries", len(codes), len(catalogue))
	}
}

func constants(t *testing.T) map[string]Code {
	file, err := parser.ParseFile(token.NewFileSet(), "fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]Code{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Code" {
			n, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes[spec.Names[0].Name] = Code(n)
		}
		return true
	})
	return codes
}

func TestUnknownCodeIsServerError(t *testing.T) {
	if got := Code(418000).Name(); got != "ServerError" {
		t.Errorf("name of an unknown code: %s", got)
	}
}

func TestCauseIsKept(t *testing.T) {
	a, b := errors.New("disk on fire"), errors.New("pump broken")
	for name, f := range map[string]*Error{
		"one":     New(ServerError, "commit: %w", a),
		"two":     New(ServerError, "commit: %w, %w", b, a),
		"because": New(ServerError, "commit failed").Because(a),
		"fault":   New(ServerError, "commit: %w", New(ServerBusy, "full: %w", a)),
	} {
		if !errors.Is(f, a) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
	if got := New(ServerError, "commit failed").Because(a).Error(); got != "commit failed" {
		t.Errorf("Because shows its cause: %s", got)
	}
	if got := New(ServerError, "commit: %w", a).Error(); got != "commit: disk on fire" {
		t.Errorf("message: %s", got)
	}
	if cause := New(ServerError, "just so").Unwrap(); cause != nil {
		t.Errorf("a cause out of nowhere: %v", cause)
	}
}

func TestOf(t *testing.T) {
	inner := New(DeviceNotFound, "device %q is not registered", "pump-7")
	for _, c := range []struct {
		err  error
		want Code
	}{
		{inner, DeviceNotFound},
		{fmt.Errorf("update twin: %w", inner), DeviceNotFound},
		{New(ServerBusy, "busy: %w", inner), ServerBusy},
		{errors.New("disk on fire"), ServerError},
		{fmt.Errorf("query: %w", context.Canceled), ServiceUnavailable},
		{context.DeadlineExceeded, ServiceUnavailable},
	} {
		f := Of(c.err)
		if f.Code != c.want {
			t.Errorf("Of(%v) = %d, want %d", c.err, f.Code, c.want)
		}
		if !errors.Is(f, c.err) && !errors.Is(c.err, f) {
			t.Errorf("Of(%v) lost it", c.err)
		}
		if strings.Contains(f.Message, "fire") {
			t.Errorf("Of(%v) tells the caller: %s", c.err, f.Message)
		}
	}
}

func TestIs(t *testing.T) {
	err := fmt.Errorf("update twin: %w", New(DeviceNotFound, "not registered"))
	if !Is(err, DeviceNotFound) || Is(err, ModuleNotFound) || Is(nil, DeviceNotFound) || Is(errors.New("x"), DeviceNotFound) {
		t.Error("Is does not tell codes apart")
	}
}
