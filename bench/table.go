package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// table prints rows with their columns aligned, and as Markdown.
type table struct {
	w *tabwriter.Writer
}

func newTable(w io.Writer, names ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 4, 1, ' ', 0)}
	t.row(names...)
	for i := range names {
		names[i] = "---"
	}
	t.row(names...)
	return t
}

func (t table) row(cells ...string) { fmt.Fprintf(t.w, "| %s\t|\n", strings.Join(cells, "\t| ")) }

func (t table) flush() { t.w.Flush() }

// micros writes a time for people; "" for 0.
func micros(us float64) string {
	switch {
	case us == 0:
		return ""
	case us < 1000:
		return fmt.Sprintf("%.3g µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.3g ms", us/1e3)
	}
	return fmt.Sprintf("%.3g s", us/1e6)
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
