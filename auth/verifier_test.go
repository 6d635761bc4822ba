package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"pgregory.net/rapid"
)

const (
	host      = "hub.example.com"
	primary   = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	secondary = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
	otherKey  = "/////////////////////////////////////////w=="
)

var (
	end = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	now = end.Add(-time.Hour)
)

// registry is a Keys in memory, which can fail.
type registry struct {
	policies   map[string]Policy
	identities map[device.ID]device.Identity
	trust      *Trust
	err        error
	asked      int
}

func (r *registry) Trust() *Trust { return r.trust }

func (r *registry) Policy(_ context.Context, name string) (Policy, error) {
	r.asked++
	if r.err != nil {
		return Policy{}, r.err
	}
	if p, ok := r.policies[name]; ok {
		return p, nil
	}
	return Policy{}, fault.New(fault.GenericNotFound, "no policy %q", name)
}

func (r *registry) Identity(_ context.Context, id device.ID) (device.Identity, error) {
	r.asked++
	if r.err != nil {
		return device.Identity{}, r.err
	}
	if i, ok := r.identities[id]; ok {
		return i, nil
	}
	return device.Identity{}, fmt.Errorf("identity: %w", fault.New(fault.DeviceNotFound, "device %q is not registered", id))
}

func (r *registry) add(id device.ID) device.Identity {
	i := device.Identity{
		ID: id, Etag: "etag of " + id.String(), Status: device.Enabled,
		Authentication: device.Authentication{Type: device.SAS, PrimaryKey: primary, SecondaryKey: secondary},
	}
	r.identities[id] = i
	return i
}

// newVerifier has the default policies, all with the keys of this file, and
// the devices dev-1 and dev-2, each with a module mod-1.
func newVerifier() (*Verifier, *registry) {
	r := &registry{policies: map[string]Policy{}, identities: map[device.ID]device.Identity{}, trust: &Trust{}}
	for _, p := range DefaultPolicies() {
		p.PrimaryKey, p.SecondaryKey = primary, secondary
		r.policies[p.Name] = p
	}
	// A trap: no token without skn may ever be taken for one of this policy.
	r.policies[""] = Policy{PrimaryKey: primary, SecondaryKey: secondary, Permissions: ServiceConnect}
	for _, d := range []string{"dev-1", "dev-2"} {
		r.add(device.ID{Device: d})
		r.add(device.ID{Device: d, Module: "mod-1"})
	}
	return &Verifier{Keys: r, Hosts: []string{"Hub.Example.com:8883", "localhost", "[::1]:8883"}}, r
}

func mustSign(t testing.TB, resource, key, policy string) string {
	t.Helper()
	token, err := Sign(resource, key, policy, end)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// signRaw signs an sr that is already written as it shall stand in the token.
func signRaw(sr, policy string) string {
	key, _ := base64.StdEncoding.DecodeString(primary)
	se := strconv.FormatInt(end.Unix(), 10)
	sig := base64.StdEncoding.EncodeToString(sign(key, sr, se))
	return "SharedAccessSignature sig=" + escape(sig) + "&se=" + se + "&sr=" + sr + "&skn=" + policy
}

func wantCode(t *testing.T, what string, err error, want fault.Code) {
	t.Helper()
	switch {
	case want == 0 && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != 0 && !fault.Is(err, want):
		t.Errorf("%s: %v, want code %d", what, err, want)
	}
}

// TestResources has every spelling of sr that an SDK is known to use.
func TestResources(t *testing.T) {
	type resourceCase struct {
		Note, Sr, Device, Module string
		Key, Policy              bool // whether a token signed so is accepted
	}
	for _, c := range golden[resourceCase](t, "resources.jsonl") {
		v, r := newVerifier()
		id := device.ID{Device: c.Device, Module: c.Module}
		r.add(id.Parent())
		r.add(id)
		for policy, accept := range map[string]bool{"": c.Key, "device": c.Policy} {
			want := fault.IotHubUnauthorized
			if accept {
				want = 0
			}
			_, err := v.Device(t.Context(), id, Credentials{Token: signRaw(c.Sr, policy)}, now)
			wantCode(t, fmt.Sprintf("%s, policy %q", c.Note, policy), err, want)
		}
	}
}

func TestDevice(t *testing.T) {
	dev := device.ID{Device: "dev-1"}
	mod := device.ID{Device: "dev-1", Module: "mod-1"}
	ownToken := mustSign(t, host+"/devices/dev-1", primary, "")
	modToken := mustSign(t, host+"/devices/dev-1/modules/mod-1", primary, "")
	disable := func(id device.ID) func(*registry) {
		return func(r *registry) {
			i := r.identities[id]
			i.Status = device.Disabled
			r.identities[id] = i
		}
	}
	authenticate := func(id device.ID, a device.Authentication) func(*registry) {
		return func(r *registry) {
			i := r.identities[id]
			i.Authentication = a
			r.identities[id] = i
		}
	}
	for _, c := range []struct {
		what  string
		id    device.ID
		token string
		setup func(*registry)
		want  fault.Code
	}{
		{"primary key", dev, ownToken, nil, 0},
		{"secondary key", dev, mustSign(t, host+"/devices/dev-1", secondary, ""), nil, 0},
		{"module", mod, modToken, nil, 0},
		{"policy device", dev, mustSign(t, host+"/devices/dev-1", primary, "device"), nil, 0},
		{"policy iothubowner, secondary key", mod, mustSign(t, host, secondary, "iothubowner"), nil, 0},

		{"wrong key", dev, mustSign(t, host+"/devices/dev-1", otherKey, ""), nil, fault.IotHubUnauthorized},
		{"other device's resource", dev, mustSign(t, host+"/devices/dev-2", primary, ""), nil, fault.IotHubUnauthorized},
		{"se changed", dev, strings.Replace(ownToken, "se=1893456000", "se=1893456001", 1), nil, fault.IotHubUnauthorized},
		{"sr changed, same meaning", dev, strings.Replace(ownToken, "%2F", "/", 1), nil, fault.IotHubUnauthorized},
		{"sig changed", dev, strings.Replace(ownToken, "sig=", "sig=A", 1), nil, fault.IotHubUnauthorized},
		{"no credentials", dev, "", nil, fault.IotHubUnauthorized},
		{"unknown device", device.ID{Device: "dev-9"}, mustSign(t, host+"/devices/dev-9", primary, ""), nil, fault.IotHubUnauthorized},
		{"unknown device by policy", device.ID{Device: "dev-9"}, mustSign(t, host, primary, "device"), nil, fault.IotHubUnauthorized},
		{"unknown module", device.ID{Device: "dev-1", Module: "mod-9"}, mustSign(t, host, primary, ""), nil, fault.IotHubUnauthorized},
		{"nobody", device.ID{}, mustSign(t, host, primary, "device"), nil, fault.IotHubUnauthorized},
		{"a module without its device", mod, modToken, func(r *registry) { delete(r.identities, dev) }, fault.IotHubUnauthorized},
		{"unknown policy", dev, mustSign(t, host, primary, "frob"), nil, fault.IotHubUnauthorized},
		{"policy, wrong key", dev, mustSign(t, host, otherKey, "device"), nil, fault.IotHubUnauthorized},
		{"policy without the right", dev, mustSign(t, host, primary, "service"), nil, fault.IotHubUnauthorizedAccess},
		{"device key that names a policy", dev, mustSign(t, host, otherKey, "device"), authenticate(dev, device.Authentication{Type: device.SAS, PrimaryKey: otherKey, SecondaryKey: otherKey}), fault.IotHubUnauthorized},

		{"disabled", dev, ownToken, disable(dev), fault.DeviceDisabled},
		{"disabled, by policy", dev, mustSign(t, host, primary, "device"), disable(dev), fault.DeviceDisabled},
		{"disabled device, module", mod, modToken, disable(dev), fault.DeviceDisabled},
		{"disabled, wrong key", dev, mustSign(t, host, otherKey, ""), disable(dev), fault.IotHubUnauthorized},
		{"module disabled, its device", dev, ownToken, disable(mod), 0},

		{"X.509 by its key", dev, ownToken, authenticate(dev, device.Authentication{Type: device.SelfSigned, PrimaryKey: primary, SecondaryKey: secondary}), fault.IotHubUnauthorized},
		{"X.509 by policy", dev, mustSign(t, host, primary, "device"), authenticate(dev, device.Authentication{Type: device.CertificateAuthority}), fault.IotHubUnauthorized},
		{"no keys, the key of zeros", dev, mustSign(t, host, base64.StdEncoding.EncodeToString(noKey), ""), authenticate(dev, device.Authentication{Type: device.SAS}), fault.IotHubUnauthorized},
		{"no keys, an empty key", dev, emptyKeyToken(), authenticate(dev, device.Authentication{Type: device.SAS}), fault.IotHubUnauthorized},
		{"broken key", dev, emptyKeyToken(), authenticate(dev, device.Authentication{Type: device.SAS, PrimaryKey: "*", SecondaryKey: "*"}), fault.IotHubUnauthorized},
		{"secondary key alone", dev, mustSign(t, host, secondary, ""), authenticate(dev, device.Authentication{Type: device.SAS, SecondaryKey: secondary}), 0},

		{"store is closed", dev, ownToken, func(r *registry) { r.err = errors.New("store is closed") }, fault.ServerError},
		{"store is busy", dev, ownToken, func(r *registry) { r.err = fault.New(fault.ServiceUnavailable, "starting") }, fault.ServiceUnavailable},
		{"request ended", dev, ownToken, func(r *registry) { r.err = context.Canceled }, fault.ServiceUnavailable},
		{"store is closed, policy", dev, mustSign(t, host, primary, "device"), func(r *registry) { r.err = errors.New("store is closed") }, fault.ServerError},
	} {
		v, r := newVerifier()
		if c.setup != nil {
			c.setup(r)
		}
		got, err := v.Device(t.Context(), c.id, Credentials{Token: c.token}, now)
		wantCode(t, c.what, err, c.want)
		if err != nil && got != (Principal{}) {
			t.Errorf("%s: refused, but made %+v", c.what, got)
		}
		if err == nil && (got.MayActAs(c.id) != nil || got.Permissions != DeviceConnect || !got.Expires.Equal(end) || got.IdentityEtag != r.identities[c.id].Etag) {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}

// emptyKeyToken is signed with a key of no bytes, which Sign won't do.
func emptyKeyToken() string {
	sig := base64.StdEncoding.EncodeToString(sign(nil, host, "1893456000"))
	return "SharedAccessSignature sr=" + host + "&se=1893456000&sig=" + escape(sig)
}

func TestDevicePrincipal(t *testing.T) {
	v, _ := newVerifier()
	got, err := v.Device(t.Context(), device.ID{Device: "dev-1"}, Credentials{Token: mustSign(t, host, primary, "iothubowner")}, now)
	want := Principal{Policy: "iothubowner", Permissions: DeviceConnect, ID: device.ID{Device: "dev-1"}, IdentityEtag: "etag of dev-1", Expires: end}
	if err != nil || got != want {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	for what, err := range map[string]error{
		"another device": got.MayActAs(device.ID{Device: "dev-2"}),
		"its module":     got.MayActAs(device.ID{Device: "dev-1", Module: "mod-1"}),
		"a back end":     got.May(ServiceConnect),
		"the registry":   got.May(RegistryRead),
	} {
		wantCode(t, what, err, fault.IotHubUnauthorizedAccess)
	}
}

// TestUnknownLooksLikeWrongKey: an attacker must not learn which devices exist,
// but the log must say it.
func TestUnknownLooksLikeWrongKey(t *testing.T) {
	v, _ := newVerifier()
	token := mustSign(t, host, otherKey, "")
	_, unknown := v.Device(t.Context(), device.ID{Device: "dev-9"}, Credentials{Token: token}, now)
	_, wrong := v.Device(t.Context(), device.ID{Device: "dev-1"}, Credentials{Token: token}, now)
	if unknown.Error() != wrong.Error() {
		t.Errorf("unknown: %v; wrong key: %v", unknown, wrong)
	}
	_, byPolicy := v.Device(t.Context(), device.ID{Device: "dev-9"}, Credentials{Token: mustSign(t, host, primary, "device")}, now)
	for _, err := range []error{unknown, byPolicy} {
		if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), "dev-9") {
			t.Errorf("the cause does not name the device: %v", cause)
		}
	}
}

// TestCheapChecksFirst: nothing is looked up for a token that can't be good.
func TestCheapChecksFirst(t *testing.T) {
	v, r := newVerifier()
	for _, token := range []string{
		"", strings.Repeat("x", MaxTokenBytes+1),
		mustSign(t, "hub.example.org", primary, ""),
		mustSign(t, host+"/devices/dev-2", primary, "device"),
	} {
		if _, err := v.Device(t.Context(), device.ID{Device: "dev-1"}, Credentials{Token: token}, now); err == nil {
			t.Errorf("accepted %q", token)
		}
	}
	if _, err := v.Device(t.Context(), device.ID{Device: "dev-1"}, Credentials{Token: mustSign(t, host, primary, "")}, end.Add(time.Hour)); err == nil {
		t.Error("accepted an expired token")
	}
	if _, err := v.Device(t.Context(), device.ID{}, Credentials{Token: mustSign(t, host, primary, "")}, now); err == nil {
		t.Error("accepted nobody")
	}
	if r.asked != 0 {
		t.Errorf("asked for keys %d times", r.asked)
	}
}

func TestExpiry(t *testing.T) {
	v, _ := newVerifier()
	for _, c := range []struct {
		late   time.Duration
		accept bool
	}{
		{-time.Hour, true}, {0, true}, {ExpiryGrace, true}, {ExpiryGrace + time.Second, false}, {100 * 365 * 24 * time.Hour, false},
	} {
		_, asDevice := v.Device(t.Context(), device.ID{Device: "dev-1"}, Credentials{Token: mustSign(t, host, primary, "")}, end.Add(c.late))
		_, asService := v.Service(t.Context(), mustSign(t, host, primary, "service"), end.Add(c.late))
		if c.accept {
			wantCode(t, c.late.String(), asDevice, 0)
			wantCode(t, c.late.String(), asService, 0)
			continue
		}
		wantCode(t, c.late.String(), asDevice, fault.IotHubUnauthorized)
		wantCode(t, c.late.String(), asService, fault.IotHubUnauthorizedAccess)
		if !strings.Contains(asDevice.Error(), "expired") {
			t.Errorf("does not say why: %v", asDevice)
		}
	}
}

func TestService(t *testing.T) {
	for _, c := range []struct {
		what, header string
		fail         error
		want         fault.Code
	}{
		{"primary key", mustSign(t, host, primary, "service"), nil, 0},
		{"secondary key", mustSign(t, host, secondary, "registryRead"), nil, 0},
		{"Node, raw port", signRaw("localhost:5671", "service"), nil, 0},
		{"Python, encoded port", signRaw("localhost%3A8443", "service"), nil, 0},
		{"slash at the end", signRaw("hub.example.com%2f", "service"), nil, 0},
		{"encoded twice", signRaw("hub.example.com%253A443", "service"), nil, 0},
		{"a version at the end", signRaw("hub.example.com/api-version=2016-11-14", "service"), nil, 0},
		{"upper case", signRaw("HUB.EXAMPLE.COM", "service"), nil, 0},

		{"none", "", nil, fault.IotHubUnauthorizedAccess},
		{"bearer", "Bearer x.y.z", nil, fault.IotHubUnauthorizedAccess},
		{"token of a device", mustSign(t, host+"/devices/dev-1", primary, ""), nil, fault.IotHubUnauthorizedAccess},
		{"device key, hub resource", mustSign(t, host, primary, ""), nil, fault.IotHubUnauthorizedAccess},
		{"wrong key", mustSign(t, host, otherKey, "service"), nil, fault.IotHubUnauthorizedAccess},
		{"unknown policy", mustSign(t, host, primary, "frob"), nil, fault.IotHubUnauthorizedAccess},
		{"case of the policy", mustSign(t, host, primary, "Service"), nil, fault.IotHubUnauthorizedAccess},
		{"another hub", mustSign(t, "hub.example.org", primary, "service"), nil, fault.IotHubUnauthorizedAccess},
		{"less than the hub", mustSign(t, host+"/devices", primary, "service"), nil, fault.IotHubUnauthorizedAccess},
		{"one device", mustSign(t, host+"/devices/dev-1", primary, "iothubowner"), nil, fault.IotHubUnauthorizedAccess},
		{"se changed", strings.Replace(mustSign(t, host, primary, "service"), "se=1", "se=2", 1), nil, fault.IotHubUnauthorizedAccess},
		{"skn changed", strings.Replace(mustSign(t, host, otherKey, "device"), "skn=device", "skn=iothubowner", 1), nil, fault.IotHubUnauthorizedAccess},

		{"store is closed", mustSign(t, host, primary, "service"), errors.New("store is closed"), fault.ServerError},
		{"store is busy", mustSign(t, host, primary, "service"), fault.New(fault.ServerBusy, "busy"), fault.ServerBusy},
	} {
		v, r := newVerifier()
		r.err = c.fail
		got, err := v.Service(t.Context(), c.header, now)
		wantCode(t, c.what, err, c.want)
		if err != nil && got != (Principal{}) {
			t.Errorf("%s: refused, but made %+v", c.what, got)
		}
		if err == nil && (got.Permissions != r.policies[got.Policy].Permissions || got.Permissions == 0 || got.ID != (device.ID{}) || !got.Expires.Equal(end)) {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}

func TestWithoutHostsNothingIsAccepted(t *testing.T) {
	v, _ := newVerifier()
	v.Hosts = nil
	for _, resource := range []string{host, "", "/devices/dev-1"} {
		_, err := v.Device(t.Context(), device.ID{Device: "dev-1"}, Credentials{Token: signRaw(resource, "")}, now)
		wantCode(t, resource, err, fault.IotHubUnauthorized)
	}
	_, err := v.Service(t.Context(), mustSign(t, host, primary, "service"), now)
	wantCode(t, "service", err, fault.IotHubUnauthorizedAccess)
}

// TestSignVerifies: whatever the names, a token made for an identity is
// accepted for it, and for nobody else.
func TestSignVerifies(t *testing.T) {
	name := rapid.StringMatching(`[A-Za-z0-9\-:.%_*?!(),=@;$']{1,128}`)
	rapid.Check(t, func(t *rapid.T) {
		v, r := newVerifier()
		id, other := device.ID{Device: name.Draw(t, "device")}, device.ID{Device: name.Draw(t, "other")}
		r.add(id)
		r.add(other)
		resource := host + "/devices/" + id.Device
		if rapid.Bool().Draw(t, "module") {
			id.Module = name.Draw(t, "module")
			r.add(id)
			resource += "/modules/" + id.Module
		}
		policy := rapid.SampledFrom([]string{"", "device"}).Draw(t, "policy")
		token, err := Sign(resource, primary, policy, end)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Device(context.Background(), id, Credentials{Token: token}, now); err != nil {
			t.Fatal(err)
		}
		if other == id.Parent() || policy == "" {
			return // All keys are the same here, so only a policy's resource tells.
		}
		if _, err := v.Device(context.Background(), other, Credentials{Token: token}, now); err == nil {
			t.Fatalf("a token for %q is one for %q", id, other)
		}
	})
}

func BenchmarkDevice(b *testing.B) {
	v, _ := newVerifier()
	token := mustSign(b, host+"/devices/dev-1", primary, "")
	for b.Loop() {
		if _, err := v.Device(b.Context(), device.ID{Device: "dev-1"}, Credentials{Token: token}, now); err != nil {
			b.Fatal(err)
		}
	}
}
