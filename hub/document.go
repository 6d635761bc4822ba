package hub

import (
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/document"
)

// document is the twin of id as back ends see it, in the state s.
func (h *Hub) document(id device.ID, s *state) *document.Document {
	d := &document.Document{ID: id, Twin: s.twin}
	d.Head.SetIdentity(s.identity)
	d.Head.CloudToDeviceMessageCount = s.queue.Len()
	if s.connection == nil {
		d.Head.SetConnection(document.Connection{})
		return d
	}
	c := h.shownConnection(s.connection)
	c.LastActivity = h.connection(id, s).LastActivityTime
	d.Head.SetConnection(*c)
	return d
}

// connection is what twin and identity say of the connection: the committed
// record, with the activity of the live link on top.
func (h *Hub) connection(id device.ID, s *state) device.Connection {
	c := device.Connection{State: device.Disconnected, CloudToDeviceMessageCount: s.queue.Len()}
	r := s.connection
	if r == nil {
		return c
	}
	c.StateUpdatedTime, c.LastActivityTime = r.Since, r.Activity
	if !h.isConnected(r) {
		return c
	}
	c.State = device.Connected
	if t := h.lastActivity(id); t.After(c.LastActivityTime) {
		c.LastActivityTime = t
	}
	return c
}
