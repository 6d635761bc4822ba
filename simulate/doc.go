// Package simulate is a fleet of devices that do not exist: it connects them to a
// hub over MQTT, lets them report, send telemetry, follow their desired
// properties and answer direct methods, cuts them off now and then, and counts
// and times what the hub makes of it.
//
//	Run ─▶ registry: create ─▶ ramp ─▶ device ─▶ connect ─▶ live ─┐ ─▶ leave ─▶ registry: remove
//	                                     ▲───── cut off ──────────┘
//
// A device is one goroutine with one socket: what is due next is the deadline of
// its read. So ten thousand of them are no more than that, and what one device
// does has an order. With the same seed each device has the same values in the
// same order; when they are sent depends on the machines.
//
// It is a client like any other, and knows nothing of the hub but the wire; the
// devices prove themselves with a token of a shared access policy that may
// connect as any of them.
//
// Begin at [Run].
package simulate
