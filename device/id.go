// Package device holds the identities of devices and modules: who may connect,
// and how they prove who they are. It is pure: it knows neither storage nor
// transport, and takes the time as an argument. The things an identity says
// about a connection (connected, last active) belong to package presence; its
// documents belong to package document; checking a token belongs to package auth.
//
// A body of the REST API becomes an [Identity] with [ParseIdentity] (or many,
// with [ParseBulk]); [Create] and [Replace] make of it what is to be stored;
// [Encode] and [Decode] are the stored form, [AppendJSON] the form on the wire.
//
// Begin at [ID] and [Identity].
package device

import (
	"strings"

	"github.com/hubtwin/hubtwin/fault"
)

// MaxIDLength is the greatest length of a device id, and of a module id, in
// characters (service-rest-api sheet, 1.2). Every legal character is one byte.
const MaxIDLength = 128

// ID names a device, or a module of a device. Ids are case-sensitive and
// compared byte for byte.
type ID struct {
	Device string
	Module string // "" for the device itself
}

// IsModule tells whether id names a module.
func (id ID) IsModule() bool { return id.Module != "" }

// IsSystem tells whether id names a module that only the hub makes and changes,
// such as $edgeAgent.
func (id ID) IsSystem() bool { return strings.HasPrefix(id.Module, "$") }

// Parent is the device of a module, and a device itself.
func (id ID) Parent() ID { return ID{Device: id.Device} }

// String is the form of MQTT client ids: "device" or "device/module".
func (id ID) String() string {
	if id.Module == "" {
		return id.Device
	}
	return id.Device + "/" + id.Module
}

// Validate answers nil if id may name a device or module, and otherwise the
// failure ArgumentInvalid.
//
// The service's own pattern allows + and # as well. They are MQTT's wildcards,
// so an id that holds one has topics nobody can subscribe to; the hub refuses
// such an id here rather than register a device that can't be reached
// (service-rest-api sheet, 1.2; device-protocol sheet, 1.3.1).
func (id ID) Validate() error {
	if err := validateName("device", id.Device); err != nil {
		return err
	}
	if id.Module == "" {
		return nil
	}
	return validateName("module", id.Module)
}

func validateName(kind, name string) error {
	switch {
	case name == "":
		return fault.New(fault.ArgumentInvalid, "a %s id must not be empty", kind)
	case len(name) > MaxIDLength:
		return fault.New(fault.ArgumentInvalid, "a %s id has at most %d characters, this one has %d bytes", kind, MaxIDLength, len(name))
	}
	for i := range len(name) {
		if c := name[i]; !isIDByte(c) {
			return fault.New(fault.ArgumentInvalid, "a %s id must not contain %q: use ASCII letters, digits and - : . %% _ * ? ! ( ) , = @ ; $ '", kind, c)
		}
	}
	return nil
}

func isIDByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("-:.%_*?!(),=@;$'", c) >= 0
}
