package document

import (
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/twin"
)

// Head is what a document shows of the identity and of its connection. Times are
// in ticks of 100 ns since year 1, and 0 is never.
type Head struct {
	DeviceEtag          string
	Status              string // of device.Status; always enabled in modules
	StatusReason        string
	AuthenticationType  string // of device.AuthenticationType
	PrimaryThumbprint   string
	SecondaryThumbprint string
	DeviceScope         string
	ParentScopes        string // JSON text of an array; "" if there are none
	IoTEdge             bool
	StatusUpdated       int64

	Connected                 bool
	LastActivity              int64
	ModelID                   string
	CloudToDeviceMessageCount int // messages that wait in the queue; not negative
}

// SetIdentity sets the fields that follow from the identity.
func (h *Head) SetIdentity(i *device.Identity) {
	h.DeviceEtag = i.Etag
	h.Status = string(i.Status)
	if i.ID.IsModule() {
		h.Status = string(device.Enabled) // modules have no status of their own
	}
	h.StatusReason = i.StatusReason
	h.AuthenticationType = string(i.Authentication.Type)
	h.PrimaryThumbprint = i.Authentication.PrimaryThumbprint
	h.SecondaryThumbprint = i.Authentication.SecondaryThumbprint
	h.DeviceScope = i.DeviceScope
	h.ParentScopes = array(i.ParentScopes)
	h.IoTEdge = i.IoTEdge
	h.StatusUpdated = twin.Ticks(i.StatusUpdatedTime)
}

// array is the JSON text of an array of strings, "" for none.
func array(list []string) string {
	if len(list) == 0 {
		return ""
	}
	b := []byte{'['}
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return string(append(b, ']'))
}

// Connection is what a document shows of how a device is reached.
type Connection struct {
	Connected    bool
	LastActivity time.Time // zero if the device never connected
	ModelID      string    // that the device named when it connected last
}

// SetConnection sets the fields that follow from the connection.
func (h *Head) SetConnection(c Connection) {
	h.Connected = c.Connected
	h.LastActivity = twin.Ticks(c.LastActivity)
	h.ModelID = c.ModelID
}

func (h *Head) connectionState() string {
	if h.Connected {
		return device.Connected
	}
	return device.Disconnected
}
