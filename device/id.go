// Package device holds the identities of devices and modules: who may connect,
// and how they prove who they are. It is pure: it knows neither storage nor
// transport. The things an identity says about a connection (connected, last
// active) belong to package presence; its documents belong to package twin.
//
// Begin at [ID] and [Identity].
package device

// ID names a device, or a module of a device. Ids are case-sensitive and
// compared byte for byte.
type ID struct {
	Device string
	Module string // "" for the device itself
}

// IsModule tells whether id names a module.
func (id ID) IsModule() bool { return id.Module != "" }

// Parent is the device of a module, and a device itself.
func (id ID) Parent() ID { return ID{Device: id.Device} }

// String is the form of MQTT client ids: "device" or "device/module".
func (id ID) String() string {
	if id.Module == "" {
		return id.Device
	}
	return id.Device + "/" + id.Module
}
