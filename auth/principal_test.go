package auth

import (
	"encoding/base64"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

func TestMay(t *testing.T) {
	for _, c := range []struct {
		have, need Permission
		ok         bool
	}{
		{RegistryRead, RegistryRead, true},
		{RegistryWrite, RegistryRead, true},
		{RegistryWrite, RegistryRead | RegistryWrite, true},
		{RegistryRead, RegistryWrite, false},
		{RegistryRead | RegistryWrite, ServiceConnect, false}, // live: 401 on /twins
		{ServiceConnect, ServiceConnect | RegistryRead, false},
		{ServiceConnect, DeviceConnect, false},
		{ServiceConnect, 0, false},
		{0, RegistryRead, false},
	} {
		for _, policy := range []string{"", "p"} {
			err := Principal{Policy: policy, Permissions: c.have}.May(c.need)
			if (err == nil) != c.ok || err != nil && !fault.Is(err, fault.IotHubUnauthorizedAccess) {
				t.Errorf("%s may %s: %v", c.have, c.need, err)
			}
		}
	}
}

func TestMayActAs(t *testing.T) {
	dev, mod := device.ID{Device: "d"}, device.ID{Device: "d", Module: "m"}
	for _, c := range []struct {
		p  Principal
		id device.ID
		ok bool
	}{
		{Principal{Permissions: DeviceConnect, ID: dev}, dev, true},
		{Principal{Permissions: DeviceConnect, ID: mod}, mod, true},
		{Principal{Permissions: DeviceConnect, ID: dev}, mod, false},
		{Principal{Permissions: DeviceConnect, ID: mod}, dev, false},
		{Principal{Permissions: DeviceConnect, ID: dev}, device.ID{Device: "D"}, false},
		{Principal{Permissions: ServiceConnect, ID: dev}, dev, false},
		{Principal{Permissions: DeviceConnect}, dev, false},
		{Principal{Permissions: DeviceConnect}, device.ID{}, false},
		{Principal{}, device.ID{}, false},
	} {
		err := c.p.MayActAs(c.id)
		if (err == nil) != c.ok || err != nil && !fault.Is(err, fault.IotHubUnauthorizedAccess) {
			t.Errorf("%+v as %q: %v", c.p, c.id, err)
		}
	}
}

func TestPermissionString(t *testing.T) {
	for p, want := range map[Permission]string{
		0:                            "",
		RegistryWrite | RegistryRead: "RegistryRead, RegistryWrite",
		RegistryRead | RegistryWrite | ServiceConnect | DeviceConnect: "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect",
	} {
		if got := p.String(); got != want {
			t.Errorf("%d: %q, want %q", p, got, want)
		}
	}
}

func TestDefaultPolicies(t *testing.T) {
	want := map[string]string{
		"iothubowner":       "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect",
		"service":           "ServiceConnect",
		"device":            "DeviceConnect",
		"registryRead":      "RegistryRead",
		"registryReadWrite": "RegistryRead, RegistryWrite",
	}
	policies := DefaultPolicies()
	if len(policies) != len(want) {
		t.Errorf("%d policies", len(policies))
	}
	keys := map[string]bool{}
	for _, p := range append(policies, DefaultPolicies()...) {
		if p.Permissions.String() != want[p.Name] {
			t.Errorf("%s: %s", p.Name, p.Permissions)
		}
		for _, k := range []string{p.PrimaryKey, p.SecondaryKey} {
			if b, err := base64.StdEncoding.DecodeString(k); err != nil || len(b) != 32 || keys[k] {
				t.Errorf("%s has the key %q", p.Name, k)
			}
			keys[k] = true
		}
	}
}
