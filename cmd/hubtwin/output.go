package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// output has the flag of every command that prints documents.
type output struct {
	Output string `short:"o" enum:"table,json" default:"table" help:"table for people, json for scripts: one document a line."`
}

func (o output) json() bool { return o.Output == "json" }

// printDocument prints a document as the flag asks for.
func (o output) printDocument(c console, document []byte) error {
	if o.json() {
		return printLine(c.out, document)
	}
	return printIndented(c.out, document)
}

// printValue is printDocument for what becomes one.
func (o output) printValue(c console, v any) error {
	document, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return o.printDocument(c, document)
}

// printLine prints a document as one line of JSON.
func printLine(w io.Writer, document []byte) error {
	var b bytes.Buffer
	if err := json.Compact(&b, document); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, harmless(b.String()))
	return err
}

// printIndented prints a document for people.
func printIndented(w io.Writer, document []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, document, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, harmless(b.String()))
	return err
}

// table prints rows in aligned columns. Widths are those of the first batch of
// rows, so that an answer of any length can be printed page by page.
type table struct {
	w       io.Writer
	headers []string
	widths  []int
}

// maxCell is the widest a column may be made, in characters; longer cells push
// their row out of line rather than all rows.
const maxCell = 60

// print prints rows, and before the first ones the headers.
func (t *table) print(rows [][]string) error {
	var b strings.Builder
	if t.widths == nil {
		t.widths = make([]int, len(t.headers))
		for _, row := range append([][]string{t.headers}, rows...) {
			for i, cell := range row {
				t.widths[i] = min(maxCell, max(t.widths[i], utf8.RuneCountInString(cell)))
			}
		}
		t.line(&b, t.headers)
	}
	for _, row := range rows {
		t.line(&b, row)
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (t *table) line(b *strings.Builder, row []string) {
	last := len(row) - 1
	for last > 0 && row[last] == "" {
		last--
	}
	for i, cell := range row[:last+1] {
		if i == last {
			b.WriteString(cell)
			break
		}
		fmt.Fprintf(b, "%-*s  ", t.widths[i], cell)
	}
	b.WriteByte('\n')
}

// cell is a JSON value in a table: strings lose their quotes unless they would
// break the line.
func cell(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil && printable(s) {
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return ""
	}
	return harmless(b.String())
}

// printable tells whether a terminal shows s as it is.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || steers(r) })
}

// steers tells whether a terminal may take r, which JSON allows as it is, for
// the beginning of a command. What devices report must not steer the terminal
// of whoever reads it.
func steers(r rune) bool { return 0x7f <= r && r < 0xa0 }

// harmless escapes what steers terminals in JSON text, where it can only be
// inside of strings.
func harmless(text string) string {
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if steers(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
