package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/hubtwin/hubtwin/fault"
)

// query serves POST /devices/query.
func (a *api) query(c *call) (*answer, error) {
	text, err := c.queryText()
	if err != nil {
		return nil, err
	}
	// The page size is a wish. What is no number is 0, and the query takes its
	// default for that as for all that is out of range: never an error
	// (query-language sheet, P5).
	size, _ := strconv.Atoi(c.Header.Get("x-ms-max-item-count"))
	page, err := a.Hub.Query(c.Context(), c.who, text, size, c.Header.Get("x-ms-continuation"))
	if err != nil {
		return nil, err
	}
	ans := array(page.Rows)
	ans.sent = page.Free
	ans.header = map[string]string{"x-ms-item-type": page.ItemType}
	if page.Continuation != "" {
		ans.header["x-ms-continuation"] = page.Continuation
	}
	return ans, nil
}

// explain serves POST /$hubtwin/explain: the request is that of a query, the
// answer tells how it is found.
func (a *api) explain(c *call) (*answer, error) {
	text, err := c.queryText()
	if err != nil {
		return nil, err
	}
	plan, err := a.Hub.Explain(c.Context(), c.who, text)
	if err != nil {
		return nil, err
	}
	return marshal(plan)
}

// queryText reads the query in the body.
func (c *call) queryText() (string, error) {
	body, err := c.body(MaxQueryBody)
	if err != nil {
		return "", err
	}
	return parseQuery(body)
}

// parseQuery finds the text in the body (query-language sheet, A8). The case of
// the member's name does not matter: Go's client writes Query.
func parseQuery(body []byte) (string, error) {
	var b struct {
		Query *string `json:"query"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return "", fault.New(fault.IotHubFormatError, `BadRequest the body must be {"query":"SELECT …"}: %w`, err)
	}
	if b.Query == nil {
		return "", fault.New(fault.ArgumentNull, `BadRequest the body has no member "query"`)
	}
	return *b.Query, nil
}

// array answers with a JSON array, which has brackets even when it is empty.
func array(rows [][]byte) *answer {
	if len(rows) == 0 {
		return ok([]byte("[]"))
	}
	return &answer{status: http.StatusOK, rows: rows}
}
