package httpapi

import (
	"encoding/json"
	"strings"

	"github.com/hubtwin/hubtwin/fault"
)

// maxFileBody bounds what a device says of an upload, in bytes.
const maxFileBody = 16 << 10

// beginUpload serves POST /devices/{id}/files (device-protocol sheet, 8).
func (a *api) beginUpload(c *call) (*answer, error) {
	var body struct {
		BlobName string `json:"blobName"`
	}
	if err := c.decode(&body, `{"blobName":"…"}`); err != nil {
		return nil, err
	}
	u, err := a.Hub.BeginUpload(c.Context(), c.who, c.id, body.BlobName)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	return ok(text), nil
}

// endUpload serves POST /devices/{id}/files/notifications, with the correlation id
// in the path or in the body: SDKs differ.
func (a *api) endUpload(c *call) (*answer, error) {
	var body struct {
		CorrelationID string `json:"correlationId"`
		IsSuccess     *bool  `json:"isSuccess"`
	}
	if err := c.decode(&body, `{"correlationId":"…","isSuccess":true,"statusCode":200,"statusDescription":"…"}`); err != nil {
		return nil, err
	}
	if last := c.path[len(c.path)-1]; last != "notifications" {
		body.CorrelationID = last
	}
	if body.IsSuccess == nil {
		return nil, fault.New(fault.ArgumentNull, "the body does not say whether the upload isSuccess")
	}
	if err := a.Hub.EndUpload(c.Context(), c.who, c.id, body.CorrelationID, *body.IsSuccess); err != nil {
		return nil, err
	}
	return noContent(), nil
}

// decode reads a JSON body.
func (c *call) decode(v any, example string) error {
	body, err := c.body(maxFileBody)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fault.New(fault.IotHubFormatError, "BadRequest the body must be %s: %w", strings.TrimSpace(example), err)
	}
	return nil
}
