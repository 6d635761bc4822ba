package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"strconv"
)

// Page is a part of the answer to a query.
type Page struct {
	// ItemType is what the rows are: "Twin" if they are whole twins, "Raw" if
	// they have only what was selected.
	ItemType string
	Rows     []json.RawMessage
	// Continuation asks for the next page; "" on the last one.
	Continuation string
}

// QueryPage runs a query and reads one page: the first if continuation is "".
// A page has at most size rows, and may have fewer; 0 leaves the size to the
// hub.
func (c *Client) QueryPage(ctx context.Context, text string, size int, continuation string) (Page, error) {
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		return Page{}, err
	}
	h := http.Header{}
	if size != 0 {
		h.Set("x-ms-max-item-count", strconv.Itoa(size))
	}
	if continuation != "" {
		h.Set("x-ms-continuation", continuation)
	}
	var p Page
	answered, err := c.do(ctx, request{method: http.MethodPost, path: []string{"devices", "query"}, header: h, body: body}, &p.Rows)
	if err != nil {
		return Page{}, err
	}
	p.ItemType, p.Continuation = answered.Get("x-ms-item-type"), answered.Get("x-ms-continuation")
	return p, nil
}

// Query runs a query and reads its pages one after the other, each when the
// loop asks for it. An error ends the loop, with an empty page.
func (c *Client) Query(ctx context.Context, text string, size int) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		continuation := ""
		for {
			p, err := c.QueryPage(ctx, text, size, continuation)
			if !yield(p, err) || err != nil || p.Continuation == "" {
				return
			}
			continuation = p.Continuation
		}
	}
}
