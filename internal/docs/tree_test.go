package docs

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is what the repository has to show as evidence.
type tree struct {
	tests map[string]bool            // "hub.TestTakeover"
	cases map[string]map[string]bool // by folder: texts of its tests, names of its test data
	js    map[string]bool            // "twin.test.js: title"
	cited map[string][]string        // rows of compat.md to the Go files that cite them
}

// suites are folders whose tests run in other packages.
var suites = []string{"store/storetest"}

func readTree(t *testing.T) *tree {
	w := &tree{tests: map[string]bool{}, cases: map[string]map[string]bool{}, js: map[string]bool{}, cited: map[string][]string{}}
	for _, name := range files(t, ".go") {
		folder := path.Dir(name)
		if folder == "internal/docs" {
			continue
		}
		for _, id := range rowID.FindAllString(read(t, name), -1) {
			w.cited[id] = append(w.cited[id], name)
		}
		isSuite := slices.Contains(suites, folder)
		if !strings.HasSuffix(name, "_test.go") && !isSuite {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		w.add(folder, file)
	}
	for _, name := range append(files(t, ".txt"), files(t, ".http")...) {
		if folder, rest, ok := strings.Cut(name, "/testdata/"); ok {
			w.addCase(folder, strings.TrimSuffix(path.Base(rest), path.Ext(rest)))
		}
	}
	for _, name := range files(t, ".test.js") {
		for _, m := range jsTitle.FindAllStringSubmatch(read(t, name), -1) {
			title := strings.ReplaceAll(m[1]+m[2]+m[3], "${name}", "*")
			w.js[path.Base(name)+": "+title] = true
		}
	}
	return w
}

var jsTitle = regexp.MustCompile("\\btest\\((?:'([^']*)'|\"([^\"]*)\"|`([^`]*)`)")

// add takes the tests of a file, and every text in it, which may name a case.
func (w *tree) add(folder string, file *ast.File) {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && testName.MatchString(f.Name.Name) {
			w.tests[folder+"."+f.Name.Name] = true
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
			if text, err := strconv.Unquote(s.Value); err == nil {
				w.addCase(folder, text)
			}
		}
		return true
	})
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Example)`)

func (w *tree) addCase(folder, name string) {
	if w.cases[folder] == nil {
		w.cases[folder] = map[string]bool{}
	}
	w.cases[folder][name] = true
}

// hasTest looks for a test of Go, with a case behind a slash, or of the SDKs.
func (w *tree) hasTest(name string) bool {
	if strings.Contains(name, ".test.js: ") {
		return w.js[name]
	}
	folder, rest := name[:strings.LastIndex(name, ".Test")], name[strings.LastIndex(name, ".Test"):]
	test, sub, hasSub := strings.Cut(rest, "/")
	if !w.tests[folder+test] || !hasSub {
		return w.tests[folder+test]
	}
	for _, f := range append([]string{folder}, suites...) {
		if w.cases[f][sub] {
			return true
		}
	}
	return false
}

// golden reads the ids of cases from a file: members "id" of JSONL, headings of
// transcripts ("# C5: …"), texts of Go.
func golden(t *testing.T, name string) (ids []string) {
	t.Helper()
	text := read(t, name)
	if path.Ext(name) == ".jsonl" {
		for line := range strings.Lines(text) {
			var c struct{ ID string }
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			ids = append(ids, c.ID)
		}
		return ids
	}
	for _, m := range caseHeading.FindAllStringSubmatch(text, -1) {
		for _, id := range m[1:] {
			if id != "" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

var caseHeading = regexp.MustCompile(`(?m)^# ([CSP]\d+)(?: and ([CSP]\d+))?\b|"(M\d+)"`)
