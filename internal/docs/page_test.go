package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the top of the repository, as seen from this folder.
const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files lists the files of the repository with the given ending, with slashes
// and without what is installed from elsewhere.
func files(t *testing.T, ending string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || strings.HasPrefix(name, ".") && name != ".." && path != root) {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ending) {
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			list = append(list, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("files *%s: %d, %v", ending, len(list), err)
	}
	return list
}

// table gives the rows of all tables of a page whose first header is head.
func table(page, head string) (rows [][]string) {
	inside := false
	for line := range strings.Lines(page) {
		cells := cells(line)
		switch {
		case cells == nil:
			inside = false
		case cells[0] == head:
			inside = true
		case inside && strings.Trim(cells[0], "-") != "":
			rows = append(rows, cells)
		}
	}
	return rows
}

// cells takes a line of a table apart; nil if it is none.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	if len(line) < 2 || line[0] != '|' || line[len(line)-1] != '|' {
		return nil
	}
	list := strings.Split(line[1:len(line)-1], "|")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// unfenced is a page without its fenced blocks, and fenced are the blocks, each
// beginning with the line that names its language.
func split(page string) (unfenced string, fenced []string) {
	var text, block strings.Builder
	inside := false
	for line := range strings.Lines(page) {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && inside:
			fenced = append(fenced, block.String())
			block.Reset()
			inside = false
		case fence:
			block.WriteString(language + "\n")
			inside = true
		case inside:
			block.WriteString(line)
		default:
			text.WriteString(line)
		}
	}
	return text.String(), fenced
}
