package httpapi

import (
	"net/http"

	"github.com/hubtwin/hubtwin/document"
	"github.com/hubtwin/hubtwin/twin"
)

// twinRoom is how much room a twin's document is given at first, in bytes.
// Many fit in it.
const twinRoom = 2 << 10

// getTwin serves GET /twins/{id} and GET /twins/{id}/modules/{mid}.
func (a *api) getTwin(c *call) (*answer, error) {
	d, err := a.Hub.Twin(c.Context(), c.who, c.id)
	if err != nil {
		return nil, err
	}
	return twinAnswer(d), nil
}

// patchTwin serves PATCH of the same paths: a merge.
func (a *api) patchTwin(c *call) (*answer, error) {
	body, err := c.body(MaxTwinBody)
	if err != nil {
		return nil, err
	}
	p, err := twin.ParsePatch(body, c.rules)
	if err != nil {
		return nil, err
	}
	d, err := a.Hub.UpdateTwin(c.Context(), c.who, c.id, p, c.condition())
	if err != nil {
		return nil, err
	}
	return twinAnswer(d), nil
}

// putTwin serves PUT of the same paths: tags and desired properties anew.
func (a *api) putTwin(c *call) (*answer, error) {
	body, err := c.body(MaxTwinBody)
	if err != nil {
		return nil, err
	}
	replacement, err := twin.ParseReplacement(body, c.rules)
	if err != nil {
		return nil, err
	}
	d, err := a.Hub.ReplaceTwin(c.Context(), c.who, c.id, replacement, c.condition())
	if err != nil {
		return nil, err
	}
	return twinAnswer(d), nil
}

func twinAnswer(d *document.Document) *answer {
	return &answer{status: http.StatusOK, etag: d.Etag(), body: d.AppendJSON(make([]byte, 0, twinRoom))}
}
