package server

// Sockets and files count against one limit of the operating system. If
// connections used it up, the store could not open its next file, and a store
// that failed to write takes nothing more until the hub is started anew: then
// anyone who can open sockets, without a token, could end the hub's work. So
// the store's part is set aside, and connections share the rest.
const (
	// storeFiles is set aside for the store, which keeps up to 1,000 files open,
	// and for listeners, logs and admin connections.
	storeFiles = 1200

	// maxDevices bounds MQTT connections, WebSockets included.
	maxDevices = 100_000
)

// connectionLimits says how many connections of each kind there may be where a
// process may have so many files and sockets open. Of a small limit the store
// gets half.
func connectionLimits(descriptors uint64) (https, devices int) {
	descriptors = min(descriptors, 1<<20) // more than the greatest limits need
	sockets := int(descriptors - min(storeFiles, descriptors/2))
	https = min(maxConnections, sockets/4)
	// The MQTT front end holds a sixteenth more for as long as it takes to refuse
	// them.
	devices = min(maxDevices, (sockets-https)/17*16)
	return max(https, 1), max(devices, 1)
}
