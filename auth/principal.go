// Package auth decides who a caller is and what they may do.
//
// Back ends come with a shared access policy, devices with their own key or a
// certificate. [Verifier] turns either into a [Principal]; the hub
// asks the principal before every use case. Where keys are kept is behind
// [Keys]. There is no anonymous principal: the zero Principal may do nothing.
package auth

import (
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// Permission is a set of rights of a shared access policy.
type Permission uint8

// The rights (messaging-and-auth sheet, 8.4).
const (
	// RegistryRead is to read identities.
	RegistryRead Permission = 1 << iota
	// RegistryWrite is to write identities. It includes RegistryRead.
	RegistryWrite
	// ServiceConnect is to do everything else a back end does.
	ServiceConnect
	// DeviceConnect is to act as a device.
	DeviceConnect
)

// String lists the rights as the management API spells them, for example
// "RegistryRead, ServiceConnect".
func (p Permission) String() string {
	var s []string
	for _, n := range []struct {
		p    Permission
		name string
	}{{RegistryRead, "RegistryRead"}, {RegistryWrite, "RegistryWrite"}, {ServiceConnect, "ServiceConnect"}, {DeviceConnect, "DeviceConnect"}} {
		if p&n.p != 0 {
			s = append(s, n.name)
		}
	}
	return strings.Join(s, ", ")
}

// Policy is a shared access policy: a name, two keys (base64 text) and rights.
type Policy struct {
	Name         string
	PrimaryKey   string
	SecondaryKey string
	Permissions  Permission
}

// Principal is a caller whose credentials were verified.
type Principal struct {
	// Policy is the name of the policy whose key signed the token, or "" for
	// credentials of a device or module.
	Policy      string
	Permissions Permission
	// ID is the identity that a device-side caller acts as. Zero for back ends.
	ID device.ID
	// IdentityEtag is the etag of the device's identity at the moment when its
	// credentials were verified.
	IdentityEtag string
	// Authority is the thumbprint of the authority to which the device's certificate
	// led; "" if it proved itself in another way.
	Authority string
	// Expires is when the token ends, or the first certificate of the chain.
	Expires time.Time
}

// May answers nil if the principal has every right of need, and otherwise the
// failure 401002: the hub answers 401 for a missing right, never 403.
func (p Principal) May(need Permission) error {
	have := p.Permissions
	if have&RegistryWrite != 0 {
		have |= RegistryRead
	}
	if have&need == need && need != 0 {
		return nil
	}
	if p.Policy == "" {
		return fault.New(fault.IotHubUnauthorizedAccess, "Unauthorized: this call needs a shared access policy with the right %s", need)
	}
	return fault.New(fault.IotHubUnauthorizedAccess, "Unauthorized: policy %q lacks the right %s", p.Policy, need)
}

// MayActAs answers nil if the principal is the device or module id itself.
func (p Principal) MayActAs(id device.ID) error {
	if p.Permissions&DeviceConnect != 0 && p.ID == id && id.Device != "" {
		return nil
	}
	return fault.New(fault.IotHubUnauthorizedAccess, "Unauthorized: these credentials are not those of %q", id)
}
