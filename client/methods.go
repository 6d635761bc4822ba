package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Method is a call of a direct method.
type Method struct {
	Name    string
	Payload json.RawMessage // nil for none
	// ResponseTimeout is how long the device may take to answer, 5 to 300 s in
	// whole seconds; 0 leaves it to the hub, which then takes 30 s.
	ResponseTimeout time.Duration
	// ConnectTimeout is how long to wait for a device that is not connected; at
	// most ResponseTimeout.
	ConnectTimeout time.Duration
}

// MethodAnswer is what a device answered.
type MethodAnswer struct {
	// Status is the device's own. By custom it is like that of HTTP.
	Status  int             `json:"status"`
	Payload json.RawMessage `json:"payload"` // null if the device sent none
	// Document is the whole answer, as the hub sent it.
	Document json.RawMessage `json:"-"`
}

// InvokeMethod calls a direct method of a device, or of its module if that is
// not "", and waits for the answer. Failures that tell about the device are
// fault.DeviceNotOnline (it was not called) and fault.GatewayTimeout and
// fault.DeviceConnectionClosedRemotely (it may have done what it was asked).
func (c *Client) InvokeMethod(ctx context.Context, id, module string, m Method) (MethodAnswer, error) {
	body, err := json.Marshal(struct {
		Name     string          `json:"methodName"`
		Payload  json.RawMessage `json:"payload,omitempty"`
		Response int64           `json:"responseTimeoutInSeconds,omitempty"`
		Connect  int64           `json:"connectTimeoutInSeconds,omitempty"`
	}{m.Name, m.Payload, int64(m.ResponseTimeout / time.Second), int64(m.ConnectTimeout / time.Second)})
	if err != nil {
		return MethodAnswer{}, err
	}
	path := identityPath("twins", id, module, "methods")
	var a MethodAnswer
	if _, err := c.do(ctx, request{method: http.MethodPost, path: path, body: body}, &a.Document); err != nil {
		return MethodAnswer{}, err
	}
	err = json.Unmarshal(a.Document, &a)
	return a, err
}
