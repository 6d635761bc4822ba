package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/client"
)

// printPlan prints how a query is found: its steps as a table, then the sum.
func printPlan(w io.Writer, p client.Plan) error {
	var rows [][]string
	for _, s := range p.Steps {
		rows = append(rows, []string{onOneLine(s.Predicate), s.On, grouped(s.Rows)})
	}
	if len(rows) > 0 {
		t := &table{w: w, headers: []string{"Predicate", "On", "Rows left"}}
		if err := t.print(flushRight(t.headers, rows)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, planSum(p))
	return err
}

// planSum is the last line of a plan.
func planSum(p client.Plan) string {
	return fmt.Sprintf("%s of %s in %.2f ms; %s looked at.", grouped(p.Rows), documents(p.Documents), float64(p.Microseconds)/1000, documents(p.Decoded))
}

// flushRight pads the last cell of each row, which is a number, to one width.
func flushRight(headers []string, rows [][]string) [][]string {
	last := len(headers) - 1
	width := 0
	for _, row := range append([][]string{headers}, rows...) {
		width = max(width, utf8.RuneCountInString(row[last]))
	}
	headers[last] = fmt.Sprintf("%*s", width, headers[last])
	for _, row := range rows {
		row[last] = fmt.Sprintf("%*s", width, row[last])
	}
	return rows
}

// onOneLine is a predicate, which may quote any text, as a cell of a table.
func onOneLine(predicate string) string {
	if printable(predicate) {
		return predicate
	}
	return strconv.Quote(predicate)
}

func documents(n int) string {
	if n == 1 {
		return "1 document"
	}
	return grouped(n) + " documents"
}

// grouped writes a number, which is not negative, with commas.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
