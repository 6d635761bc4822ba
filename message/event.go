package message

import (
	"time"

	"github.com/hubtwin/hubtwin/device"
)

// Source says what kind of event a message is (messaging-and-auth sheet, 4.1).
type Source uint8

// The sources of events.
const (
	DeviceMessages Source = iota // telemetry
	TwinChangeEvents
	DeviceLifecycleEvents
	DeviceConnectionStateEvents
	DeviceJobLifecycleEvents
	DigitalTwinChangeEvents
	sources
)

// names are those of routes, and those that events carry in
// iothub-message-source.
var names = [sources]struct{ route, stamp string }{
	DeviceMessages:              {"DeviceMessages", "Telemetry"},
	TwinChangeEvents:            {"TwinChangeEvents", "twinChangeEvents"},
	DeviceLifecycleEvents:       {"DeviceLifecycleEvents", "deviceLifecycleEvents"},
	DeviceConnectionStateEvents: {"DeviceConnectionStateEvents", "deviceConnectionStateEvents"},
	DeviceJobLifecycleEvents:    {"DeviceJobLifecycleEvents", "deviceJobLifecycleEvents"},
	DigitalTwinChangeEvents:     {"DigitalTwinChangeEvents", "digitalTwinChangeEvents"},
}

// String is the name of the source in a route, such as "DeviceMessages".
func (s Source) String() string {
	if s < sources {
		return names[s].route
	}
	return ""
}

// ParseSource finds the source that a route names.
func ParseSource(name string) (Source, bool) {
	for s := range names {
		if names[s].route == name {
			return Source(s), true
		}
	}
	return 0, false
}

// Event is a message with what the hub stamps on it
// (messaging-and-auth sheet, 1.2).
type Event struct {
	Message
	Source       Source
	DeviceID     string
	ModuleID     string // "" unless a module sent it
	GenerationID string // of the identity
	AuthMethod   string // JSON text; see AuthMethod
	ModelID      string // of a plug-and-play device: dt-dataschema
	Enqueued     time.Time
}

// AuthMethod is the JSON text that tells how the sender proved who it is. Scope
// is "device", "module" or "hub" (with the key of a policy), kind "sas" or "x509".
func AuthMethod(scope, kind string) string {
	return `{"scope":"` + scope + `","type":"` + kind + `","issuer":"iothub","acceptingIpFilterRule":null}`
}

// Lookup gives a system property by its name in routing conditions, without the
// $. Names are the same whatever their case. It allocates for the enqueued time
// only.
func (e *Event) Lookup(name string) (value string, ok bool) {
	if name == "" { // some properties have no name in conditions
		return "", false
	}
	for k := range spellings {
		if equalFold(spellings[k].routing, name) {
			return e.System[k], e.System[k] != ""
		}
	}
	switch {
	case equalFold("connectionDeviceId", name):
		value = e.DeviceID
	case equalFold("connectionModuleId", name):
		value = e.ModuleID
	case equalFold("connectionDeviceGenerationId", name):
		value = e.GenerationID
	case equalFold("connectionAuthMethod", name):
		value = e.AuthMethod
	case equalFold("dt-dataschema", name):
		value = e.ModelID
	case equalFold("enqueuedTime", name):
		return device.FormatTime(e.Enqueued), true
	case equalFold("iothub-message-source", name):
		return names[e.Source].stamp, true
	}
	return value, value != ""
}
