package hub

import (
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
)

// document is the twin of id as back ends see it, in the state s.
func (h *Hub) document(id device.ID, s *state) *document.Document {
	d := &document.Document{ID: id, Twin: s.twin}
	d.Head.SetIdentity(s.identity)
	c := h.connection(id, s)
	shown := document.Connection{
		Connected:                 c.State == device.Connected,
		LastActivity:              c.LastActivityTime,
		CloudToDeviceMessageCount: c.CloudToDeviceMessageCount,
	}
	if s.connection != nil {
		shown.ModelID = s.connection.ModelID
	}
	d.Head.SetConnection(shown)
	return d
}

// connection is what twin and identity say of the connection: the committed
// record, with the activity of the live link on top. A record of an earlier run
// that says "connected" is of a hub that died: the device is not.
func (h *Hub) connection(id device.ID, s *state) device.Connection {
	c := device.Connection{State: device.Disconnected}
	r := s.connection
	if r == nil {
		return c
	}
	c.StateUpdatedTime, c.LastActivityTime = r.Since, r.Activity
	if !r.Connected || r.Epoch != h.epoch {
		return c
	}
	c.State = device.Connected
	if link := h.table.Find(id); link != nil {
		if t := link.LastActivity(); t.After(c.LastActivityTime) {
			c.LastActivityTime = t
		}
	}
	return c
}
