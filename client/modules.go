package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Module is the identity of a module, a part of a device. Of these fields a caller
// may set ID, DeviceID, ManagedBy and Authentication; the others are the hub's, and
// ignored in a request. Times are those of [Device].
type Module struct {
	ID                         string         `json:"moduleId"`
	DeviceID                   string         `json:"deviceId"`
	ManagedBy                  string         `json:"managedBy,omitempty"`
	GenerationID               string         `json:"generationId,omitempty"`
	Etag                       string         `json:"etag,omitempty"`
	ConnectionState            string         `json:"connectionState,omitempty"`
	ConnectionStateUpdatedTime string         `json:"connectionStateUpdatedTime,omitempty"`
	LastActivityTime           string         `json:"lastActivityTime,omitempty"`
	CloudToDeviceMessageCount  int            `json:"cloudToDeviceMessageCount"`
	Authentication             Authentication `json:"authentication"`
}

// identityPath is the path of a device, or of its module if that is not "", in a
// collection, and of what is below it.
func identityPath(collection, id, module string, rest ...string) []string {
	path := []string{collection, id}
	if module != "" {
		path = append(path, "modules", module)
	}
	return append(path, rest...)
}

// Module reads the identity of a module, keys included.
func (c *Client) Module(ctx context.Context, id, module string) (Module, error) {
	var m Module
	_, err := c.do(ctx, get("devices", id, "modules", module), &m)
	return m, err
}

// ListModules reads the identities of all modules of a device, in the order of
// their ids.
func (c *Client) ListModules(ctx context.Context, id string) ([]Module, error) {
	var list []Module
	_, err := c.do(ctx, get("devices", id, "modules"), &list)
	return list, err
}

// CreateModule registers a module and returns it with what the hub added. It fails
// with DeviceNotFound without the device, with ModuleAlreadyExistsOnDevice if the
// id is taken, and with TooManyModulesOnDevice if the device has 50.
func (c *Client) CreateModule(ctx context.Context, m Module) (Module, error) {
	return c.putModule(ctx, m, nil)
}

// UpdateModule replaces the identity of a module as a whole: keys left out are made
// anew. The condition is that of UpdateDevice.
func (c *Client) UpdateModule(ctx context.Context, m Module, etag string) (Module, error) {
	return c.putModule(ctx, m, ifMatch(etag))
}

func (c *Client) putModule(ctx context.Context, m Module, h http.Header) (Module, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return Module{}, err
	}
	var stored Module
	_, err = c.do(ctx, request{method: http.MethodPut, path: []string{"devices", m.DeviceID, "modules", m.ID}, header: h, body: body}, &stored)
	return stored, err
}

// DeleteModule removes a module and everything that belongs to it. The condition is
// that of DeleteDevice.
func (c *Client) DeleteModule(ctx context.Context, id, module, etag string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: []string{"devices", id, "modules", module}, header: ifMatch(etag)}, nil)
	return err
}
