package hub_test

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/internal/certs"
	"github.com/hubtwin/hubtwin/store/memory"
)

// addAuthority registers c, vouched for, as name.
func addAuthority(t testing.TB, h *hub.Hub, name string, c *certs.Issued) auth.Authority {
	t.Helper()
	a, err := h.AddAuthority(t.Context(), owner, name, c.PEM(), true)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// registerSigned registers a device that proves itself by a certificate authority.
func registerSigned(t testing.TB, h *hub.Hub, name string) device.Identity {
	t.Helper()
	i, err := h.PutIdentity(t.Context(), owner, device.Identity{
		ID: device.ID{Device: name}, Status: device.Enabled, Authentication: device.Authentication{Type: device.CertificateAuthority},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	return i.Identity
}

// prove verifies a chain as a front end does.
func prove(t testing.TB, h *hub.Hub, i device.Identity, chain *auth.Chain) (auth.Principal, error) {
	t.Helper()
	return (&auth.Verifier{Keys: h.Secrets()}).Device(t.Context(), i.ID, auth.Credentials{Chain: chain}, time.Now())
}

// chainOf is what a client brings that has one certificate.
func chainOf(c *certs.Issued) *auth.Chain { return auth.NewChain([]*x509.Certificate{c.Certificate}) }

// TestProofOfPossession: what is registered counts from the proof on.
func TestProofOfPossession(t *testing.T) {
	h, root := open(t, nil), certs.SelfSigned(t, "root", certs.CA)
	i := registerSigned(t, h, "d")
	chain := chainOf(root.Sign(t, "d"))
	refused := func(when string) {
		t.Helper()
		if _, err := prove(t, h, i, chain); !fault.Is(err, fault.IotHubUnauthorized) {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused("nothing is registered")
	a, err := h.AddAuthority(t.Context(), owner, "plant", root.PEM(), false)
	if err != nil || a.Verified || !a.Enabled || len(a.VerificationCode) != 48 {
		t.Fatalf("%+v, %v", a, err)
	}
	refused("not verified")
	_, err = h.VerifyAuthority(t.Context(), owner, "plant", root.Sign(t, auth.NewVerificationCode()).PEM())
	wantFault(t, err, fault.ArgumentInvalid)
	refused("another code")
	code := a.VerificationCode
	a, err = h.VerifyAuthority(t.Context(), owner, "plant", root.Sign(t, code).PEM())
	if err != nil || !a.Verified || a.VerificationCode != "" {
		t.Fatalf("%+v, %v", a, err)
	}
	_, err = h.VerifyAuthority(t.Context(), owner, "plant", root.Sign(t, code).PEM())
	wantFault(t, err, fault.ArgumentInvalid)
	if who, err := prove(t, h, i, chain); err != nil || who.Authority != auth.Thumbprint(root.Certificate) {
		t.Errorf("verified: %+v, %v", who, err)
	}
}

// TestAuthorities has what can be wrong with one, and the order of the list.
func TestAuthorities(t *testing.T) {
	h, root := open(t, nil), certs.SelfSigned(t, "root", certs.CA)
	addAuthority(t, h, "plant", root)
	for what, c := range map[string]struct {
		name string
		text []byte
		want fault.Code
	}{
		"name is taken":        {"plant", certs.SelfSigned(t, "other", certs.CA).PEM(), fault.PreconditionFailed},
		"certificate is there": {"other", root.PEM(), fault.ArgumentInvalid},
		"no name":              {"", certs.SelfSigned(t, "other", certs.CA).PEM(), fault.ArgumentInvalid},
		"name too long":        {strings.Repeat("a", 65), certs.SelfSigned(t, "other", certs.CA).PEM(), fault.ArgumentInvalid},
		"name with a blank":    {"a b", certs.SelfSigned(t, "other", certs.CA).PEM(), fault.ArgumentInvalid},
		"no authority":         {"other", certs.SelfSigned(t, "other").PEM(), fault.ArgumentInvalid},
	} {
		_, err := h.AddAuthority(t.Context(), owner, c.name, c.text, true)
		if !fault.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := 1; n < auth.MaxAuthorities; n++ {
		addAuthority(t, h, fmt.Sprintf("a%02d", n), certs.SelfSigned(t, "root", certs.CA))
	}
	_, err := h.AddAuthority(t.Context(), owner, "one-more", certs.SelfSigned(t, "root", certs.CA).PEM(), true)
	wantFault(t, err, fault.IotHubQuotaExceeded)
	list, err := h.Authorities(owner)
	if err != nil || len(list) != auth.MaxAuthorities || list[0].Name != "a01" || list[len(list)-1].Name != "plant" {
		t.Errorf("%d, %v", len(list), err)
	}
	if err := h.DeleteAuthority(t.Context(), owner, "plant"); err != nil {
		t.Fatal(err)
	}
	wantFault(t, h.DeleteAuthority(t.Context(), owner, "plant"), fault.CertificateNotFound)
	_, err = h.Authority(owner, "plant")
	wantFault(t, err, fault.CertificateNotFound)
	addAuthority(t, h, "plant", root) // there is room again, and for the same one
}

// TestAuthoritiesAreKept: they are there after a restart, and count as before.
func TestAuthoritiesAreKept(t *testing.T) {
	s := memory.New()
	defer s.Close()
	h, good, bad := open(t, s), certs.SelfSigned(t, "root", certs.CA), certs.SelfSigned(t, "root", certs.CA)
	i := registerSigned(t, h, "d")
	addAuthority(t, h, "good", good)
	addAuthority(t, h, "bad", bad)
	addAuthority(t, h, "gone", certs.SelfSigned(t, "root", certs.CA))
	if _, err := h.EnableAuthority(t.Context(), owner, "bad", false); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteAuthority(t.Context(), owner, "gone"); err != nil {
		t.Fatal(err)
	}
	before, err := h.Authorities(owner)
	if err != nil || len(before) != 2 {
		t.Fatalf("%v, %v", before, err)
	}
	h.Close()
	h = open(t, s)
	after, err := h.Authorities(owner)
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("%v (-before +after):\n%s", err, diff)
	}
	if _, err := prove(t, h, i, chainOf(good.Sign(t, "d"))); err != nil {
		t.Errorf("good: %v", err)
	}
	if _, err := prove(t, h, i, chainOf(bad.Sign(t, "d"))); err == nil {
		t.Error("an authority that is disabled counts after a restart")
	}
	// What was changed in the first run can be changed in the second.
	if _, err := h.EnableAuthority(t.Context(), owner, "bad", true); err != nil {
		t.Error(err)
	}
}

// TestUntrustedAuthorityEndsConnections: when an authority ceases to count, those
// that it let in are gone, and others are not.
func TestUntrustedAuthorityEndsConnections(t *testing.T) {
	for name, revoke := range map[string]func(*hub.Hub) error{
		"disabled": func(h *hub.Hub) error { _, err := h.EnableAuthority(t.Context(), owner, "a", false); return err },
		"deleted":  func(h *hub.Hub) error { return h.DeleteAuthority(t.Context(), owner, "a") },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			a, b := certs.SelfSigned(t, "a", certs.CA), certs.SelfSigned(t, "b", certs.CA)
			addAuthority(t, h, "a", a)
			addAuthority(t, h, "b", b)
			enter := func(i device.Identity, by *certs.Issued) (*recorder, auth.Principal) {
				t.Helper()
				who, err := prove(t, h, i, chainOf(by.Sign(t, i.ID.Device)))
				if err != nil {
					t.Fatal(err)
				}
				r := newRecorder()
				c, err := h.Connect(t.Context(), who, r, true, "")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(c.Close)
				return r, who
			}
			i := registerSigned(t, h, "of-a")
			ofA, who := enter(i, a)
			ofB, _ := enter(registerSigned(t, h, "of-b"), b)
			byKey := newRecorder()
			defer connect(t, h, register(t, h, "by-key"), byKey, true).Close()
			if err := revoke(h); err != nil {
				t.Fatal(err)
			}
			if !fault.Is(ofA.closed, fault.IotHubUnauthorized) {
				t.Errorf("of a: %v", ofA.closed)
			}
			if ofB.closed != nil || byKey.closed != nil {
				t.Errorf("of b: %v; by key: %v", ofB.closed, byKey.closed)
			}
			// Who was verified a moment before does not get in any more.
			_, err := h.Connect(t.Context(), who, newRecorder(), true, "")
			wantFault(t, err, fault.IotHubUnauthorized)
			waitFor(t, func() bool { return state(t, h, "of-a") == "Disconnected" })
		})
	}
}

// TestNewThumbprintEndsTheConnection: it is other credentials.
func TestNewThumbprintEndsTheConnection(t *testing.T) {
	h, old, next := open(t, nil), certs.SelfSigned(t, "d"), certs.SelfSigned(t, "d")
	put := func(c hub.Condition, primary, secondary *certs.Issued) device.Identity {
		t.Helper()
		want := device.Identity{ID: device.ID{Device: "d"}, Status: device.Enabled, Authentication: device.Authentication{Type: device.SelfSigned}}
		want.Authentication.PrimaryThumbprint = auth.Thumbprint(primary.Certificate)
		if secondary != nil {
			want.Authentication.SecondaryThumbprint = auth.Thumbprint(secondary.Certificate)
		}
		d, err := h.PutIdentity(t.Context(), owner, want, c)
		if err != nil {
			t.Fatal(err)
		}
		return d.Identity
	}
	i := put("", old, nil)
	who, err := prove(t, h, i, chainOf(old))
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	c, err := h.Connect(t.Context(), who, r, true, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	put(hub.Any, next, old)
	r.wait(func() bool { return r.closed != nil })
	for what, c := range map[string]*certs.Issued{"old": old, "new": next} {
		if _, err := prove(t, h, i, chainOf(c)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	put(hub.Any, next, nil)
	if _, err := prove(t, h, i, chainOf(old)); err == nil {
		t.Error("the old certificate counts still")
	}
}

// TestAuthoritiesAskForRights: reading is RegistryRead, changing is RegistryWrite.
func TestAuthoritiesAskForRights(t *testing.T) {
	h := open(t, nil)
	text := certs.SelfSigned(t, "root", certs.CA).PEM()
	for name, call := range map[string]func(auth.Principal) error{
		"list":    func(w auth.Principal) error { _, err := h.Authorities(w); return err },
		"show":    func(w auth.Principal) error { _, err := h.Authority(w, "none"); return err },
		"add":     func(w auth.Principal) error { _, err := h.AddAuthority(t.Context(), w, "a", text, true); return err },
		"verify":  func(w auth.Principal) error { _, err := h.VerifyAuthority(t.Context(), w, "none", text); return err },
		"disable": func(w auth.Principal) error { _, err := h.EnableAuthority(t.Context(), w, "none", false); return err },
		"delete":  func(w auth.Principal) error { return h.DeleteAuthority(t.Context(), w, "none") },
	} {
		reads := name == "list" || name == "show"
		for _, have := range []auth.Permission{auth.RegistryRead, auth.RegistryWrite, auth.ServiceConnect, auth.DeviceConnect} {
			err := call(auth.Principal{Policy: "p", Permissions: have})
			allowed := have == auth.RegistryWrite || have == auth.RegistryRead && reads
			if fault.Is(err, fault.IotHubUnauthorizedAccess) == allowed {
				t.Errorf("%s with %s: %v", name, have, err)
			}
		}
	}
}

// TestAuthorityThatIsNotDurable: it does not count, and its name is free.
func TestAuthorityThatIsNotDurable(t *testing.T) {
	s := memory.New()
	h, root := open(t, s), certs.SelfSigned(t, "root", certs.CA)
	s.Close()
	if _, err := h.AddAuthority(t.Context(), owner, "plant", root.PEM(), true); err == nil {
		t.Fatal("there is no store")
	}
	if h.Secrets().Trust().Has(auth.Thumbprint(root.Certificate)) {
		t.Error("it counts")
	}
	_, err := h.Authority(owner, "plant")
	wantFault(t, err, fault.CertificateNotFound)
}
