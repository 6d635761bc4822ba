package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Twin is the twin of a device or module. What people write into it stays JSON text,
// exactly as it was written.
type Twin struct {
	DeviceID string          `json:"deviceId"`
	ModuleID string          `json:"moduleId"` // "" for a device
	ModelID  string          `json:"modelId"`
	Etag     string          `json:"etag"`
	Version  int64           `json:"version"`
	Tags     json.RawMessage `json:"tags"` // nil if there are none
	// Desired and reported properties, with $metadata and $version.
	Properties struct {
		Desired  json.RawMessage `json:"desired"`
		Reported json.RawMessage `json:"reported"`
	} `json:"properties"`
	// Document is the whole twin, as the hub sent it.
	Document json.RawMessage `json:"-"`
}

// Twin reads the twin of a device, or of its module if that is not "".
func (c *Client) Twin(ctx context.Context, id, module string) (Twin, error) {
	return c.twin(ctx, get(identityPath("twins", id, module)...))
}

// PatchTwin merges a patch, such as {"tags":{"floor":2}}, into the twin of a device
// or module and returns the twin as it is then. null removes a member. It fails with
// PreconditionFailed unless the twin has this etag; with "" any will do.
func (c *Client) PatchTwin(ctx context.Context, id, module string, patch json.RawMessage, etag string) (Twin, error) {
	return c.twin(ctx, request{
		method: http.MethodPatch, path: identityPath("twins", id, module), header: ifMatch(etag), body: patch,
	})
}

// ReplaceTwin puts the tags and desired properties of document in place of those of
// a device or module: what it leaves out is removed. The condition is that of
// PatchTwin.
func (c *Client) ReplaceTwin(ctx context.Context, id, module string, document json.RawMessage, etag string) (Twin, error) {
	return c.twin(ctx, request{
		method: http.MethodPut, path: identityPath("twins", id, module), header: ifMatch(etag), body: document,
	})
}

func (c *Client) twin(ctx context.Context, r request) (Twin, error) {
	var t Twin
	if _, err := c.do(ctx, r, &t.Document); err != nil {
		return Twin{}, err
	}
	err := json.Unmarshal(t.Document, &t)
	return t, err
}
