package httpapi

import (
	"net/http"
	"strconv"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
)

// listDevices serves GET /devices?top=N. There is no second page: whoever has
// more devices than fit on the first asks by query.
func (a *api) listDevices(c *call) (*answer, error) {
	// What is no number is 0, and counts as the greatest number like others
	// out of range (REST sheet, 1.4).
	top, _ := strconv.Atoi(c.parameters.Get("top"))
	list, err := a.Hub.Identities(c.Context(), c.who, top)
	if err != nil {
		return nil, err
	}
	rows := make([][]byte, len(list))
	for i, d := range list {
		rows[i] = d.AppendJSON(nil)
	}
	return array(rows), nil
}

// getDevice serves GET /devices/{id}.
func (a *api) getDevice(c *call) (*answer, error) {
	d, err := a.Hub.Identity(c.Context(), c.who, c.id)
	if err != nil {
		return nil, err
	}
	return identityAnswer(d), nil
}

// putDevice serves PUT /devices/{id}: without If-Match it creates, with it it
// replaces (REST sheet, 0.4).
func (a *api) putDevice(c *call) (*answer, error) {
	body, err := c.body(MaxIdentityBody)
	if err != nil {
		return nil, err
	}
	want, err := device.ParseIdentity(body, c.id)
	if err != nil {
		return nil, err
	}
	d, err := a.Hub.PutIdentity(c.Context(), c.who, want, c.condition())
	if err != nil {
		return nil, err
	}
	return identityAnswer(d), nil
}

// deleteDevice serves DELETE /devices/{id}.
func (a *api) deleteDevice(c *call) (*answer, error) {
	if err := a.Hub.DeleteIdentity(c.Context(), c.who, c.id, c.condition()); err != nil {
		return nil, err
	}
	return noContent(), nil
}

func identityAnswer(d hub.IdentityDocument) *answer {
	return &answer{status: http.StatusOK, etag: d.Identity.Etag, body: d.AppendJSON(nil)}
}

// noModules stands where module identities will be served.
func (a *api) noModules(*call) (*answer, error) {
	return nil, fault.New(fault.ModuleNotFound, "this version of the hub has no module identities yet")
}
