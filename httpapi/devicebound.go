package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
)

// sendMessage serves POST /devices/{id}/messages/deviceBound: a message to a
// device from a back end, with its properties in headers (REST sheet, 8).
func (a *api) sendMessage(c *call) (*answer, error) {
	body, err := c.anyBody(message.MaxC2D)
	if err != nil {
		return nil, err
	}
	m := message.Message{Body: body}
	if err := m.FromHeader(c.Header); err != nil {
		return nil, err
	}
	err = a.Hub.SendMessage(c.Context(), c.who, c.id, &m)
	if id, twice := escapedTwice(c.id); twice && fault.Is(err, fault.DeviceNotFound) {
		err = a.Hub.SendMessage(c.Context(), c.who, id, &m)
	}
	if err != nil {
		return nil, err
	}
	return noContent(), nil
}

// escapedTwice gives the id that IoT Explorer means, which escapes it twice here.
func escapedTwice(id device.ID) (meant device.ID, twice bool) {
	name, err := url.PathUnescape(id.Device)
	meant = device.ID{Device: name, Module: id.Module}
	return meant, err == nil && meant != id && meant.Validate() == nil
}

// purgeMessages serves DELETE /devices/{id}/commands.
func (a *api) purgeMessages(c *call) (*answer, error) {
	n, err := a.Hub.PurgeMessages(c.Context(), c.who, c.id)
	if err != nil {
		return nil, err
	}
	return marshal(struct {
		Purged   int     `json:"totalMessagesPurged"`
		DeviceID string  `json:"deviceId"`
		ModuleID *string `json:"moduleId"`
	}{n, c.id.Device, orNull(c.id.Module)})
}

// receiveMessage serves GET /devices/{id}/messages/deviceBound: the device fetches
// its next message (device-protocol sheet, 7.3).
func (a *api) receiveMessage(c *call) (*answer, error) {
	d, err := a.Hub.ReceiveMessage(c.Context(), c.who, c.id)
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return noContent(), nil
	}
	ans := &answer{status: http.StatusOK, etag: d.Token, body: d.Message.Body}
	ans.header = map[string]string{
		"Content-Type":          "application/octet-stream",
		"iothub-enqueuedtime":   device.FormatTime(d.Entry.Enqueued),
		"iothub-sequencenumber": strconv.FormatUint(d.Entry.Sequence, 10),
		"iothub-deliverycount":  strconv.Itoa(d.Entry.DeliveryCount),
	}
	d.Message.SetHeader(ans.header)
	ans.header["iothub-expiry"] = device.FormatTime(d.Entry.Expiry)
	return ans, nil
}

// settleMessage serves DELETE /devices/{id}/messages/deviceBound/{token}: complete,
// or reject with the parameter of that name. One SDK writes ?reject for it.
func (a *api) settleMessage(c *call) (*answer, error) {
	settle := a.Hub.CompleteMessage
	if c.has("reject") || c.has("?reject") {
		settle = a.Hub.RejectMessage
	}
	if err := settle(c.Context(), c.who, c.id, c.token()); err != nil {
		return nil, err
	}
	return noContent(), nil
}

// abandonMessage serves POST /devices/{id}/messages/deviceBound/{token}/abandon.
func (a *api) abandonMessage(c *call) (*answer, error) {
	if err := a.Hub.AbandonMessage(c.Context(), c.who, c.id, c.token()); err != nil {
		return nil, err
	}
	return noContent(), nil
}

// has tells whether a parameter is there and not false.
func (c *call) has(name string) bool {
	return c.parameters.Has(name) && !strings.EqualFold(c.parameters.Get(name), "false")
}

// token is the lock token in the path: the last segment, or the one before
// "abandon", which is a POST. What a client says in If-Match counts for nothing:
// they spell it in too many ways (device-protocol sheet, 7.3).
func (c *call) token() string {
	path, _ := splitPath(c.URL.Path)
	last := path[len(path)-1]
	if c.Method == http.MethodPost {
		last = path[len(path)-2]
	}
	return strings.Trim(last, `"`)
}
