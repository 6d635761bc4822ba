package httpapi

import (
	"net/http"
	"strconv"

	"github.com/hubtwin/hubtwin/device"
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
	return identities(list), nil
}

func identities(list []hub.IdentityDocument) *answer {
	rows := make([][]byte, len(list))
	for i, d := range list {
		rows[i] = d.AppendJSON(nil)
	}
	return array(rows)
}

// listModules serves GET /devices/{id}/modules: all of them.
func (a *api) listModules(c *call) (*answer, error) {
	list, err := a.Hub.Modules(c.Context(), c.who, c.id)
	if err != nil {
		return nil, err
	}
	return identities(list), nil
}

// getIdentity serves GET /devices/{id} and GET /devices/{id}/modules/{mid}.
func (a *api) getIdentity(c *call) (*answer, error) {
	d, err := a.Hub.Identity(c.Context(), c.who, c.id)
	if err != nil {
		return nil, err
	}
	return identityAnswer(d), nil
}

// putIdentity serves PUT of the same paths: without If-Match it creates, with it it
// replaces (REST sheet, 0.4).
func (a *api) putIdentity(c *call) (*answer, error) {
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

// deleteIdentity serves DELETE of the same paths.
func (a *api) deleteIdentity(c *call) (*answer, error) {
	if err := a.Hub.DeleteIdentity(c.Context(), c.who, c.id, c.condition()); err != nil {
		return nil, err
	}
	return noContent(), nil
}

func identityAnswer(d hub.IdentityDocument) *answer {
	return &answer{status: http.StatusOK, etag: d.Identity.Etag, body: d.AppendJSON(nil)}
}
