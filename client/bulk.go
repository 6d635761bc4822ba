package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/hubtwin/hubtwin/fault"
)

// MaxBulk is how many items one bulk request may have.
const MaxBulk = 100

// BulkItem is one operation of a bulk request.
type BulkItem struct {
	ID   string `json:"id"`
	Mode string `json:"importMode"` // such as create or delete
}

// BulkError is an item that failed.
type BulkError struct {
	ID      string     `json:"deviceId"`
	Code    fault.Code `json:"errorCode"`
	Message string     `json:"errorStatus"`
}

// Bulk carries out up to [MaxBulk] operations on different devices, and gives
// those that failed; the others are done.
func (c *Client) Bulk(ctx context.Context, items []BulkItem) ([]BulkError, error) {
	body, err := json.Marshal(items)
	if err != nil {
		return nil, err
	}
	status, header, text, err := c.roundTrip(ctx, request{method: http.MethodPost, path: []string{"devices"}, body: body})
	if err != nil {
		return nil, err
	}
	// If an item failed, the status is 400, and the body is still the list.
	failed := newError(status, header, text)
	if status != http.StatusOK && failed.Code != fault.BulkRegistryOperationFailure {
		return nil, failed
	}
	var result struct{ Errors []BulkError }
	if err := json.Unmarshal(text, &result); err != nil {
		return nil, fmt.Errorf("the answer of %s is not what a hub sends: %w", c.host, err)
	}
	return result.Errors, nil
}
