package query

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/fault"
)

// counted gives n documents {"x": i}, or whatever text makes of i.
type counted struct {
	n     int
	text  func(i int) string
	given int
	after func(given int)
}

func (c *counted) Documents(context.Context, *Query, string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for i := range c.n {
			c.given++
			if c.after != nil {
				c.after(c.given)
			}
			text := c.text(i)
			d := &memoryDoc{key: fmt.Sprintf("%09d", i), text: "{}", values: map[string]string{"x": text}}
			if !yield(d, nil) {
				return
			}
		}
	}
}

func TestTooManyGroups(t *testing.T) {
	q := mustParse(t, "SELECT COUNT() AS n FROM devices GROUP BY x")
	number := func(i int) string { return fmt.Sprint(i) }
	src := &counted{n: maxGroups, text: number}
	page, err := q.Run(t.Context(), src, 10, nil)
	if err != nil || len(page.Rows) != 10 {
		t.Errorf("%d groups: %v", maxGroups, err)
	}
	src = &counted{n: 2 * maxGroups, text: number}
	if _, err := q.Run(t.Context(), src, 10, nil); !fault.Is(err, fault.ArgumentInvalid) {
		t.Errorf("%d groups: %v, want ArgumentInvalid", 2*maxGroups, err)
	}
	if src.given != maxGroups+1 {
		t.Errorf("gave up after %d documents", src.given)
	}
}

func TestGroupMemory(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	src := &counted{n: 1000, text: func(i int) string { return fmt.Sprintf(`"%d%s"`, i, big) }}
	q := mustParse(t, "SELECT COUNT() AS n FROM devices GROUP BY x")
	_, err := q.Run(t.Context(), src, 10, nil)
	if !fault.Is(err, fault.ArgumentInvalid) || src.given > maxGroupBytes>>20 {
		t.Errorf("after %d MB: %v, want ArgumentInvalid", src.given, err)
	}
}

// TestCancelled: a scan ends soon after its context.
func TestCancelled(t *testing.T) {
	for _, text := range []string{
		"SELECT * FROM devices WHERE false",
		"SELECT COUNT() AS n FROM devices",
		"SELECT x FROM devices GROUP BY x",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		src := &counted{n: 1_000_000, text: func(int) string { return "1" }}
		src.after = func(given int) {
			if given == 1000 {
				cancel()
			}
		}
		_, err := mustParse(t, text).Run(ctx, src, 10, nil)
		if !errors.Is(err, context.Canceled) || src.given > 1000+checkEvery {
			t.Errorf("%s: %v after %d documents", text, err, src.given)
		}
		if f := fault.Of(err); f.Code != fault.ServiceUnavailable {
			t.Errorf("%s: fault %d", text, f.Code)
		}
	}
}

// broken fails after two documents.
type broken struct{ err error }

func (b broken) Documents(context.Context, *Query, string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		d := &memoryDoc{key: "d", text: "{}"}
		for range 2 {
			if !yield(d, nil) {
				return
			}
		}
		yield(nil, b.err)
	}
}

func TestSourceFails(t *testing.T) {
	disk := errors.New("the disk is gone")
	for _, text := range []string{"SELECT *", "SELECT COUNT()"} {
		page, err := mustParse(t, text).Run(t.Context(), broken{disk}, 10, nil)
		if !errors.Is(err, disk) || page.Rows != nil {
			t.Errorf("%s: %v with %d rows", text, err, len(page.Rows))
		}
	}
}

// TestStopsEarly: a page that is full looks for one match more, no further.
func TestStopsEarly(t *testing.T) {
	for text, want := range map[string]int{
		"SELECT * FROM devices":        11,
		"SELECT TOP 10 * FROM devices": 10,
		"SELECT TOP 3 * FROM devices":  3,
	} {
		src := &counted{n: 100, text: func(int) string { return "1" }}
		page, err := mustParse(t, text).Run(t.Context(), src, 10, nil)
		if err != nil || src.given != want {
			t.Errorf("%s: looked at %d documents for %d rows, want %d: %v", text, src.given, len(page.Rows), want, err)
		}
	}
}
