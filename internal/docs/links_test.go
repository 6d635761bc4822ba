package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// linkFaults lists the links of a page that lead nowhere. Links to the web are
// not followed.
func linkFaults(name, text string, read func(name string) (string, bool)) (list []string) {
	text, _ = split(text)
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], "://") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		target, there := text, true
		if file != "" {
			target, there = read(path.Join(path.Dir(name), file))
		}
		if !there || anchor != "" && !slices.Contains(anchors(target), anchor) {
			list = append(list, fmt.Sprintf("%s: the link to %s leads nowhere", name, m[1]))
		}
	}
	return list
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(page string) (list []string) {
	page, _ = split(page)
	for line := range strings.Lines(page) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		name := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(heading)), " ", "-")
		list = append(list, notInAnchor.ReplaceAllString(name, ""))
	}
	return list
}

var notInAnchor = regexp.MustCompile(`[^\pL\pN_-]`)

func TestLinks(t *testing.T) {
	onDisk := func(name string) (string, bool) {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.IsDir() {
			return "", err == nil
		}
		return read(t, name), true
	}
	for _, name := range files(t, ".md") {
		for _, f := range linkFaults(name, read(t, name), onDisk) {
			t.Error(f)
		}
	}
}

func TestLinkFaults(t *testing.T) {
	pages := map[string]string{"docs/b.md": "# The *other* page: 2nd\n", "top.md": ""}
	on := func(name string) (string, bool) { text, ok := pages[name]; return text, ok }
	for text, want := range map[string][]string{
		"[x](b.md) [y](../top.md) [z](https://example.com/no)": nil,
		"[x](b.md#the-other-page-2nd)":                         nil,
		"## Here it is\n[x](#here-it-is)":                      nil,
		"```\n[x](nowhere.md)\n```\n":                          nil,
		"[x](c.md)":                                            {"docs/a.md: the link to c.md leads nowhere"},
		"[x](b.md#third)":                                      {"docs/a.md: the link to b.md#third leads nowhere"},
		"```\n## Here\n```\n[x](#here)":                        {"docs/a.md: the link to #here leads nowhere"},
	} {
		if got := linkFaults("docs/a.md", text, on); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
