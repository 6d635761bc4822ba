package arch

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hubtwin/hubtwin"

// layers is the map of ARCHITECTURE.md.
type layers struct {
	row     map[string]int // package to row, from the top
	outside []string       // folders that are not part of the product
	allowed map[[2]string]bool
}

// parseMap reads the fenced block. Its lines are
//
//	hub  auth                 a row: packages, which import from rows below only
//	outside: bench internal   folders of tests and tools, which nobody imports
//	allowed: a -> b           an import against the rows, with its reason in the text
func parseMap(text string) (*layers, error) {
	_, block, found := strings.Cut(text, "```map\n")
	block, _, closed := strings.Cut(block, "\n```")
	if !found || !closed {
		return nil, fmt.Errorf("there is no block that begins with ```map")
	}
	m := &layers{row: map[string]int{}, allowed: map[[2]string]bool{}}
	for i, line := range strings.Split(block, "\n") {
		if list, ok := strings.CutPrefix(line, "outside:"); ok {
			m.outside = append(m.outside, strings.Fields(list)...)
			continue
		}
		if pair, ok := strings.CutPrefix(line, "allowed:"); ok {
			from, to, ok := strings.Cut(pair, "->")
			if !ok {
				return nil, fmt.Errorf("line %q: want allowed: a -> b", line)
			}
			m.allowed[[2]string{strings.TrimSpace(from), strings.TrimSpace(to)}] = true
			continue
		}
		for _, p := range strings.Fields(line) {
			if _, twice := m.row[p]; twice {
				return nil, fmt.Errorf("package %s is on the map twice", p)
			}
			m.row[p] = i
		}
	}
	return m, nil
}

func (m *layers) isOutside(pkg string) bool {
	return slices.ContainsFunc(m.outside, func(folder string) bool {
		return pkg == folder || strings.HasPrefix(pkg, folder+"/")
	})
}

// faults lists what is wrong with imports, given as package to its imports
// inside of the module.
func (m *layers) faults(imports map[string][]string) []string {
	var list []string
	used := map[[2]string]bool{}
	for pkg, all := range imports {
		if m.isOutside(pkg) {
			continue
		}
		row, ok := m.row[pkg]
		if !ok {
			list = append(list, fmt.Sprintf("%s is not on the map", pkg))
			continue
		}
		for _, to := range all {
			edge := [2]string{pkg, to}
			switch {
			case m.isOutside(to):
				list = append(list, fmt.Sprintf("%s imports %s, which is not part of the product", pkg, to))
			case m.allowed[edge]:
				used[edge] = true
			case m.row[to] <= row:
				list = append(list, fmt.Sprintf("%s imports %s, which is not below it", pkg, to))
			}
		}
	}
	for pkg := range m.row {
		if _, ok := imports[pkg]; !ok {
			list = append(list, fmt.Sprintf("%s is on the map, but there is no such package", pkg))
		}
	}
	for edge := range m.allowed {
		if !used[edge] {
			list = append(list, fmt.Sprintf("%s -> %s is allowed, but there is no such import", edge[0], edge[1]))
		}
	}
	slices.Sort(list)
	return list
}

// TestMap holds the imports of the product to the map in ARCHITECTURE.md.
func TestMap(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMap(string(text))
	if err != nil {
		t.Fatal("ARCHITECTURE.md: ", err)
	}
	for _, f := range m.faults(productImports(t)) {
		t.Error(f)
	}
}

// productImports asks the go command. Imports of tests don't count: a test may
// look at anything.
func productImports(t *testing.T) map[string][]string {
	list := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module+"/")
		imports[pkg] = nil
		for _, to := range fields[1:] {
			if inside, ok := strings.CutPrefix(to, module+"/"); ok {
				imports[pkg] = append(imports[pkg], inside)
			}
		}
	}
	return imports
}

// TestFaults shows each kind of fault on a small map.
func TestFaults(t *testing.T) {
	m, err := parseMap("text\n```map\na\nb  c\nd\noutside: x\nallowed: b -> c\n```\nmore")
	if err != nil {
		t.Fatal(err)
	}
	good := map[string][]string{"a": {"b", "d"}, "b": {"c"}, "c": {"d"}, "d": nil, "x/y": {"a"}}
	if got := m.faults(good); got != nil {
		t.Errorf("a good product has faults: %q", got)
	}
	for _, c := range []struct {
		pkg, imports, want string
	}{
		{"c", "b", "c imports b, which is not below it"},
		{"d", "a", "d imports a, which is not below it"},
		{"a", "x/y", "a imports x/y, which is not part of the product"},
		{"e", "d", "e is not on the map"},
	} {
		imports := map[string][]string{}
		for pkg, list := range good {
			imports[pkg] = slices.Clone(list)
		}
		imports[c.pkg] = append(imports[c.pkg], c.imports)
		if got := m.faults(imports); !slices.Equal(got, []string{c.want}) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	delete(good, "d")
	good["b"] = nil
	want := []string{"b -> c is allowed, but there is no such import", "d is on the map, but there is no such package"}
	if got := m.faults(good); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{"no block", "```map\na a\n```", "```map\nallowed: a\n```", "```map\na"} {
		if _, err := parseMap(bad); err == nil {
			t.Errorf("%q is taken for a map", bad)
		}
	}
}
