package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// Device is the identity of a device. Of these fields a caller may set ID,
// Status, StatusReason, Authentication, Capabilities and the scopes; the others
// are the hub's, and ignored in a request. Times are text as the hub writes
// them: UTC, or 0001-01-01T00:00:00 for never.
type Device struct {
	ID                         string         `json:"deviceId"`
	GenerationID               string         `json:"generationId,omitempty"`
	Etag                       string         `json:"etag,omitempty"`
	ConnectionState            string         `json:"connectionState,omitempty"`
	Status                     string         `json:"status,omitempty"` // enabled or disabled
	StatusReason               string         `json:"statusReason,omitempty"`
	ConnectionStateUpdatedTime string         `json:"connectionStateUpdatedTime,omitempty"`
	StatusUpdatedTime          string         `json:"statusUpdatedTime,omitempty"`
	LastActivityTime           string         `json:"lastActivityTime,omitempty"`
	CloudToDeviceMessageCount  int            `json:"cloudToDeviceMessageCount"`
	Authentication             Authentication `json:"authentication"`
	Capabilities               Capabilities   `json:"capabilities"`
	DeviceScope                string         `json:"deviceScope,omitempty"`
	ParentScopes               []string       `json:"parentScopes,omitempty"`
}

// Authentication is how a device proves itself. In a new device the zero
// Authentication asks the hub for two symmetric keys.
type Authentication struct {
	Type           string         `json:"type,omitempty"` // sas, selfSigned or certificateAuthority
	SymmetricKey   SymmetricKey   `json:"symmetricKey"`
	X509Thumbprint X509Thumbprint `json:"x509Thumbprint"`
}

// SymmetricKey is a pair of keys, in base64. Either will do.
type SymmetricKey struct {
	PrimaryKey   string `json:"primaryKey,omitempty"`
	SecondaryKey string `json:"secondaryKey,omitempty"`
}

// X509Thumbprint is a pair of thumbprints, in hexadecimal. Either will do.
type X509Thumbprint struct {
	PrimaryThumbprint   string `json:"primaryThumbprint,omitempty"`
	SecondaryThumbprint string `json:"secondaryThumbprint,omitempty"`
}

// Capabilities is what a device is beside a device.
type Capabilities struct {
	IoTEdge bool `json:"iotEdge"`
}

// Device reads the identity of a device, keys included.
func (c *Client) Device(ctx context.Context, id string) (Device, error) {
	var d Device
	_, err := c.do(ctx, get("devices", id), &d)
	return d, err
}

// ListDevices reads the identities of up to top devices, 1000 at most; 0 means
// as many. There is no way to ask for those beyond: use Query.
func (c *Client) ListDevices(ctx context.Context, top int) ([]Device, error) {
	r := get("devices")
	if top != 0 {
		r.query = url.Values{"top": {strconv.Itoa(top)}}
	}
	var list []Device
	_, err := c.do(ctx, r, &list)
	return list, err
}

// CreateDevice registers a device and returns it with what the hub added. It
// fails with DeviceAlreadyExists if the id is taken.
func (c *Client) CreateDevice(ctx context.Context, d Device) (Device, error) {
	return c.putDevice(ctx, d, nil)
}

// UpdateDevice replaces the identity of a device as a whole: keys left out are
// made anew. It fails with PreconditionFailed unless the identity has this
// etag; with "" it need only exist.
func (c *Client) UpdateDevice(ctx context.Context, d Device, etag string) (Device, error) {
	return c.putDevice(ctx, d, ifMatch(etag))
}

func (c *Client) putDevice(ctx context.Context, d Device, h http.Header) (Device, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return Device{}, err
	}
	var stored Device
	_, err = c.do(ctx, request{method: http.MethodPut, path: []string{"devices", d.ID}, header: h, body: body}, &stored)
	return stored, err
}

// DeleteDevice removes a device and everything that belongs to it. It fails
// with PreconditionFailed unless the identity has this etag; with "" it need
// only exist.
func (c *Client) DeleteDevice(ctx context.Context, id, etag string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: []string{"devices", id}, header: ifMatch(etag)}, nil)
	return err
}

// Statistics counts devices.
type Statistics struct {
	Total     int64 `json:"totalDeviceCount"`
	Enabled   int64 `json:"enabledDeviceCount"`
	Disabled  int64 `json:"disabledDeviceCount"`
	Connected int64 `json:"connectedDeviceCount"`
}

// Statistics reads how many devices there are, and how many are connected.
func (c *Client) Statistics(ctx context.Context) (Statistics, error) {
	var s Statistics
	if _, err := c.do(ctx, get("statistics", "devices"), &s); err != nil {
		return Statistics{}, err
	}
	_, err := c.do(ctx, get("statistics", "service"), &s)
	return s, err
}
