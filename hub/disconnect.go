package hub

import (
	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// Disconnect ends the connection of id, as the network might, and tells whether
// there was one. It asks for the right ServiceConnect.
func (h *Hub) Disconnect(who auth.Principal, id device.ID) (was bool, err error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return false, err
	}
	s, err := h.heads.read(id)
	if err != nil {
		return false, err
	}
	if !s.registered() {
		return false, notRegistered(id)
	}
	link := h.table.Find(id)
	if link == nil {
		return false, nil
	}
	link.Device.Close(fault.New(fault.DeviceConnectionClosedRemotely, "a back end has ended the connection of %q", id))
	return true, nil
}
