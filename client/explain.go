package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Plan tells how a hub finds what a query asks for: what decided each term of its
// condition, and how many twins that left over.
type Plan struct {
	Position     uint64     `json:"position"`  // newest change that the query has seen
	Documents    int        `json:"documents"` // twins in the collection
	Steps        []PlanStep `json:"steps"`
	Rows         int        `json:"rows"`    // twins that satisfy the whole condition
	Decoded      int        `json:"decoded"` // twins that had to be looked at
	Microseconds int64      `json:"microseconds"`
	// Document is the whole plan, as the hub sent it.
	Document json.RawMessage `json:"-"`
}

// PlanStep is one of the terms that AND joins at the top of a condition.
type PlanStep struct {
	Predicate string `json:"predicate"`
	// On is what decided it: "keys", "postings", "columns" or "documents",
	// several of them joined by "+", or "nothing" if nothing was left to decide.
	On   string `json:"on"`
	Rows int    `json:"rows"` // twins left after it and the steps before
}

// Explain asks how the hub finds the twins that satisfy a query's condition.
// Only hubtwin can; other hubs answer with an [*Error] of status 404. A query
// with a mistake fails as in [Client.QueryPage].
func (c *Client) Explain(ctx context.Context, text string) (Plan, error) {
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		return Plan{}, err
	}
	var p Plan
	r := request{method: http.MethodPost, path: []string{"$hubtwin", "explain"}, body: body}
	if _, err := c.do(ctx, r, &p.Document); err != nil {
		return Plan{}, err
	}
	err = json.Unmarshal(p.Document, &p)
	return p, err
}
