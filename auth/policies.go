package auth

import "github.com/hubtwin/hubtwin/device"

// DefaultPolicies are the policies that every new hub has, with fresh random
// keys (service-rest-api sheet, 10.2).
func DefaultPolicies() []Policy {
	policies := []Policy{
		{Name: "iothubowner", Permissions: RegistryRead | RegistryWrite | ServiceConnect | DeviceConnect},
		{Name: "service", Permissions: ServiceConnect},
		{Name: "device", Permissions: DeviceConnect},
		{Name: "registryRead", Permissions: RegistryRead},
		{Name: "registryReadWrite", Permissions: RegistryRead | RegistryWrite},
	}
	for i := range policies {
		policies[i].PrimaryKey, policies[i].SecondaryKey = device.NewKey(), device.NewKey()
	}
	return policies
}
