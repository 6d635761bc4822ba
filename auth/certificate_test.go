package auth

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/internal/certs"
)

func sha1Of(c *certs.Issued) string {
	sum := sha1.Sum(c.Raw)
	return hex.EncodeToString(sum[:])
}

func sha256Of(c *certs.Issued) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// trusted is a set of authorities that count.
func trusted(t *testing.T, list ...*certs.Issued) *Trust {
	t.Helper()
	var all []Authority
	for _, c := range list {
		all = append(all, Authority{Certificate: c.Raw, Verified: true, Enabled: true})
	}
	trust, err := NewTrust(all)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func chainOf(list ...*certs.Issued) *Chain {
	var all []*x509.Certificate
	for _, c := range list {
		all = append(all, c.Certificate)
	}
	return NewChain(all)
}

// TestCertificates has each way in which a certificate is good, or not.
func TestCertificates(t *testing.T) {
	const day = 24 * time.Hour
	at := time.Now()
	past, future := certs.Between(at.Add(-2*day), at.Add(-day)), certs.Between(at.Add(day), at.Add(2*day))
	dev, mod := device.ID{Device: "dev-1"}, device.ID{Device: "dev-1", Module: "mod-1"}

	own, other := certs.SelfSigned(t, "anything"), certs.SelfSigned(t, "anything")
	expired, early := certs.SelfSigned(t, "dev-1", past), certs.SelfSigned(t, "dev-1", future)
	self := func(primary, secondary string) device.Authentication {
		return device.Authentication{Type: device.SelfSigned, PrimaryThumbprint: primary, SecondaryThumbprint: secondary}
	}

	root, stranger := certs.SelfSigned(t, "root", certs.CA), certs.SelfSigned(t, "root", certs.CA)
	plant := root.Sign(t, "plant", certs.CA)
	line := plant.Sign(t, "line", certs.CA)
	noCA := root.Sign(t, "dev-2")
	oldPlant, oldRoot := root.Sign(t, "plant", certs.CA, past), certs.SelfSigned(t, "root", certs.CA, past)
	newPlant := root.Sign(t, "plant", certs.CA, future)
	signed := device.Authentication{Type: device.CertificateAuthority}
	server := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }

	sas := device.Authentication{Type: device.SAS, PrimaryKey: primary, SecondaryKey: secondary}
	disable := func(id device.ID) func(*registry) {
		return func(r *registry) {
			i := r.identities[id]
			i.Status = device.Disabled
			r.identities[id] = i
		}
	}
	const no = fault.IotHubUnauthorized
	for _, c := range []struct {
		what  string
		id    device.ID
		how   device.Authentication
		chain *Chain
		setup func(*registry)
		want  fault.Code
	}{
		{"SHA-256, primary", dev, self(sha256Of(own), ""), chainOf(own), nil, 0},
		{"SHA-256, secondary", dev, self(sha256Of(other), sha256Of(own)), chainOf(own), nil, 0},
		{"SHA-256, upper case", dev, self(strings.ToUpper(sha256Of(own)), ""), chainOf(own), nil, 0},
		{"SHA-1, primary", dev, self(sha1Of(own), ""), chainOf(own), nil, 0},
		{"SHA-1, secondary, upper case", dev, self("", strings.ToUpper(sha1Of(own))), chainOf(own), nil, 0},
		{"thumbprint, module", mod, self(sha256Of(own), ""), chainOf(own), nil, 0},
		{"thumbprint of a certificate that an authority signed", dev, self(sha256Of(noCA), ""), chainOf(noCA, root), nil, 0},
		{"another certificate of the same name", dev, self(sha256Of(own), sha1Of(own)), chainOf(other), nil, no},
		{"no thumbprint is registered", dev, self("", ""), chainOf(own), nil, no},
		{"half a thumbprint", dev, self(sha256Of(own)[:40], ""), chainOf(own), nil, no},
		{"the right one comes second", dev, self(sha256Of(own), ""), chainOf(other, own), nil, no},
		{"thumbprint, expired", dev, self(sha256Of(expired), ""), chainOf(expired), nil, no},
		{"thumbprint, too early", dev, self(sha256Of(early), ""), chainOf(early), nil, no},

		{"signed by the root", dev, signed, chainOf(root.Sign(t, "dev-1")), nil, 0},
		{"signed by the root, which comes too", dev, signed, chainOf(root.Sign(t, "dev-1"), root), nil, 0},
		{"two intermediates", dev, signed, chainOf(line.Sign(t, "dev-1"), line, plant), nil, 0},
		{"two intermediates, out of order", dev, signed, chainOf(line.Sign(t, "dev-1"), plant, line), nil, 0},
		{"for servers", dev, signed, chainOf(root.Sign(t, "dev-1", server)), nil, 0},
		{"module", mod, signed, chainOf(root.Sign(t, "dev-1/mod-1")), nil, 0},
		{"the trusted authority is an intermediate", dev, signed, chainOf(plant.Sign(t, "dev-1")), func(r *registry) { r.trust = trusted(t, plant) }, 0},
		{"an intermediate is missing", dev, signed, chainOf(line.Sign(t, "dev-1"), plant), nil, no},
		{"authority of the same name", dev, signed, chainOf(stranger.Sign(t, "dev-1"), stranger), nil, no},
		{"no authority counts", dev, signed, chainOf(root.Sign(t, "dev-1"), root), func(r *registry) { r.trust = trusted(t) }, no},
		{"self-signed", dev, signed, chainOf(certs.SelfSigned(t, "dev-1")), nil, no},
		{"another device", dev, signed, chainOf(root.Sign(t, "dev-2")), nil, no},
		{"the name in another case", dev, signed, chainOf(root.Sign(t, "DEV-1")), nil, no},
		{"no name", dev, signed, chainOf(root.Sign(t, "")), nil, no},
		{"the device for its module", mod, signed, chainOf(root.Sign(t, "dev-1")), nil, no},
		{"the module for its device", dev, signed, chainOf(root.Sign(t, "dev-1/mod-1")), nil, no},
		{"signed by another device", dev, signed, chainOf(noCA.Sign(t, "dev-1"), noCA), nil, no},
		{"expired", dev, signed, chainOf(root.Sign(t, "dev-1", past)), nil, no},
		{"too early", dev, signed, chainOf(root.Sign(t, "dev-1", future)), nil, no},
		{"intermediate expired", dev, signed, chainOf(oldPlant.Sign(t, "dev-1"), oldPlant), nil, no},
		{"intermediate too early", dev, signed, chainOf(newPlant.Sign(t, "dev-1"), newPlant), nil, no},
		{"authority expired", dev, signed, chainOf(oldRoot.Sign(t, "dev-1")), func(r *registry) { r.trust = trusted(t, oldRoot) }, no},
		{"ten certificates", dev, signed, chainOf(slices.Repeat([]*certs.Issued{root.Sign(t, "dev-1")}, MaxChain)...), nil, 0},
		{"eleven certificates", dev, signed, chainOf(slices.Repeat([]*certs.Issued{root.Sign(t, "dev-1")}, MaxChain+1)...), nil, no},

		{"a device with keys", dev, sas, chainOf(root.Sign(t, "dev-1")), nil, no},
		{"unknown device", device.ID{Device: "dev-9"}, sas, chainOf(root.Sign(t, "dev-9")), func(r *registry) { delete(r.identities, device.ID{Device: "dev-9"}) }, no},
		{"nobody", device.ID{}, sas, chainOf(own), func(r *registry) { delete(r.identities, device.ID{}) }, no},
		{"disabled", dev, signed, chainOf(root.Sign(t, "dev-1")), disable(dev), fault.DeviceDisabled},
		{"disabled, thumbprint", dev, self(sha256Of(own), ""), chainOf(own), disable(dev), fault.DeviceDisabled},
		{"disabled, another certificate", dev, self(sha256Of(own), ""), chainOf(other), disable(dev), no},
		{"module of a disabled device", mod, signed, chainOf(root.Sign(t, "dev-1/mod-1")), disable(dev), fault.DeviceDisabled},
		{"module without its device", mod, signed, chainOf(root.Sign(t, "dev-1/mod-1")), func(r *registry) { delete(r.identities, dev) }, no},
		{"store is closed", dev, signed, chainOf(root.Sign(t, "dev-1")), func(r *registry) { r.err = errors.New("store is closed") }, fault.ServerError},
		{"store is busy", dev, signed, chainOf(root.Sign(t, "dev-1")), func(r *registry) { r.err = fault.New(fault.ServiceUnavailable, "starting") }, fault.ServiceUnavailable},
	} {
		v, r := newVerifier()
		r.trust = trusted(t, root)
		i := r.add(c.id)
		i.Authentication = c.how
		r.identities[c.id] = i
		if c.setup != nil {
			c.setup(r)
		}
		got, err := v.Device(t.Context(), c.id, Credentials{Chain: c.chain}, at)
		wantCode(t, c.what, err, c.want)
		switch {
		case err != nil && got != (Principal{}):
			t.Errorf("%s: refused, but made %+v", c.what, got)
		case err == nil && (got.MayActAs(c.id) != nil || got.Permissions != DeviceConnect || got.IdentityEtag != i.Etag):
			t.Errorf("%s: %+v", c.what, got)
		case err == nil && (c.how.Type == device.SelfSigned) != (got.Authority == ""):
			t.Errorf("%s: authority %q", c.what, got.Authority)
		}
	}
}

// TestTokenBesideCertificate: how an identity proves itself is registered, whatever
// else it brings.
func TestTokenBesideCertificate(t *testing.T) {
	root := certs.SelfSigned(t, "root", certs.CA)
	id, at := device.ID{Device: "dev-1"}, time.Now()
	token := mustSign(t, host+"/devices/dev-1", primary, "")
	wrong := mustSign(t, host+"/devices/dev-1", otherKey, "")
	chain := chainOf(root.Sign(t, "dev-1"))
	for _, c := range []struct {
		how  device.AuthenticationType
		with Credentials
		want fault.Code
	}{
		{device.SAS, Credentials{token, chain}, 0},
		{device.SAS, Credentials{wrong, chain}, fault.IotHubUnauthorized},
		{device.SAS, Credentials{"", chain}, fault.IotHubUnauthorized},
		{device.CertificateAuthority, Credentials{token, chain}, fault.IotHubUnauthorized},
		{device.CertificateAuthority, Credentials{token, nil}, fault.IotHubUnauthorized},
		{device.CertificateAuthority, Credentials{}, fault.IotHubUnauthorized},
		{device.CertificateAuthority, Credentials{"", chain}, 0},
	} {
		v, r := newVerifier()
		r.trust = trusted(t, root)
		i := r.add(id)
		i.Authentication.Type = c.how
		r.identities[id] = i
		_, err := v.Device(t.Context(), id, c.with, at)
		wantCode(t, fmt.Sprintf("%s, %q, chain %t", c.how, c.with.Token, c.with.Chain != nil), err, c.want)
	}
}

// TestUnknownLooksLikeWrongCertificate is TestUnknownLooksLikeWrongKey for
// certificates.
func TestUnknownLooksLikeWrongCertificate(t *testing.T) {
	v, _ := newVerifier()
	chain := chainOf(certs.SelfSigned(t, "dev-9"))
	_, unknown := v.Device(t.Context(), device.ID{Device: "dev-9"}, Credentials{Chain: chain}, time.Now())
	_, wrong := v.Device(t.Context(), device.ID{Device: "dev-1"}, Credentials{Chain: chain}, time.Now())
	if unknown.Error() != wrong.Error() {
		t.Errorf("unknown: %v; wrong certificate: %v", unknown, wrong)
	}
	if cause := errors.Unwrap(unknown); cause == nil || !strings.Contains(cause.Error(), "dev-9") {
		t.Errorf("the cause does not name the device: %v", cause)
	}
}

func TestCertificatePrincipal(t *testing.T) {
	at := time.Now()
	until := at.Add(time.Minute).Truncate(time.Second).UTC()
	root := certs.SelfSigned(t, "root", certs.CA)
	plant := root.Sign(t, "plant", certs.CA, certs.Between(at.Add(-time.Minute), until))
	id := device.ID{Device: "dev-1"}
	v, r := newVerifier()
	r.trust = trusted(t, root)
	i := r.add(id)
	i.Authentication = device.Authentication{Type: device.CertificateAuthority}
	r.identities[id] = i
	got, err := v.Device(t.Context(), id, Credentials{Chain: chainOf(plant.Sign(t, "dev-1"), plant)}, at)
	want := Principal{Permissions: DeviceConnect, ID: id, IdentityEtag: i.Etag, Authority: sha256Of(root), Expires: until}
	if err != nil || got != want {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	wantCode(t, "as a back end", got.May(ServiceConnect), fault.IotHubUnauthorizedAccess)
}

// TestChainIsVerifiedOnce: what a chain led to is remembered, as long as nothing
// changes that.
func TestChainIsVerifiedOnce(t *testing.T) {
	at := time.Now()
	root := certs.SelfSigned(t, "root", certs.CA)
	plant := root.Sign(t, "plant", certs.CA, certs.Between(at.Add(-time.Minute), at.Add(10*time.Minute)))
	chain := chainOf(plant.Sign(t, "dev-1"), plant)
	trust := trusted(t, root)
	first := chain.lead(trust, at)
	if first.err != nil {
		t.Fatal(first.err)
	}
	verified := func() bool {
		before := chain.last
		before.authority = "as before"
		chain.last = before
		return chain.lead(trust, at).authority != "as before"
	}
	if verified() {
		t.Error("the same chain was verified again")
	}
	if trust = trusted(t, root); !verified() {
		t.Error("other authorities count, and it was not verified again")
	}
	at = at.Add(11 * time.Minute)
	if err := chain.lead(trust, at).err; err == nil {
		t.Error("an intermediate has expired")
	}
	if verified() {
		t.Error("the same bad chain was verified again at once")
	}
	if at = at.Add(2 * retryChain); !verified() {
		t.Error("a bad chain is bad for ever")
	}
}

func TestParseAuthority(t *testing.T) {
	root := certs.SelfSigned(t, "root", certs.CA)
	at := time.Now()
	mute := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }
	for what, c := range map[string]struct {
		text []byte
		want string // in the message; "" for none
	}{
		"PEM":                 {root.PEM(), ""},
		"DER":                 {root.Raw, ""},
		"PEM after a comment": {append([]byte("subject=CN = root\n"), root.PEM()...), ""},
		"not yet valid":       {certs.SelfSigned(t, "root", certs.CA, certs.Between(at.Add(time.Hour), at.Add(2*time.Hour))).PEM(), ""},
		"expired":             {certs.SelfSigned(t, "root", certs.CA, certs.Between(at.Add(-2*time.Hour), at.Add(-time.Hour))).PEM(), "expired at"},
		"a device":            {certs.SelfSigned(t, "dev-1").PEM(), "CA:TRUE"},
		"may not sign":        {certs.SelfSigned(t, "root", certs.CA, mute).PEM(), "key usage"},
		"two":                 {slices.Concat(root.PEM(), root.PEM()), "more than one"},
		"a key":               {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), `"PRIVATE KEY"`},
		"text":                {[]byte("certificate"), "PEM or DER"},
		"too long":            {make([]byte, MaxCertificate+1), "at most 16384 bytes"},
	} {
		got, err := ParseAuthority(c.text, at)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.want == "" && got.Subject.CommonName != "root":
			t.Errorf("%s: %s", what, got.Subject)
		case c.want != "" && (!fault.Is(err, fault.ArgumentInvalid) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

func TestProve(t *testing.T) {
	root, stranger := certs.SelfSigned(t, "root", certs.CA), certs.SelfSigned(t, "root", certs.CA)
	at, code := time.Now(), NewVerificationCode()
	a := Authority{Name: "plant", Certificate: root.Raw, VerificationCode: code}
	past := certs.Between(at.Add(-2*time.Hour), at.Add(-time.Hour))
	for what, c := range map[string]struct {
		proof []byte
		code  string
		want  string
	}{
		"PEM":               {root.Sign(t, code).PEM(), code, ""},
		"DER":               {root.Sign(t, code).Raw, code, ""},
		"another code":      {root.Sign(t, NewVerificationCode()).PEM(), code, "not the verification code"},
		"verified":          {root.Sign(t, "").PEM(), "", "verified already"},
		"another authority": {stranger.Sign(t, code).PEM(), code, "not signed with the key"},
		"self-signed":       {certs.SelfSigned(t, code).PEM(), code, "not signed with the key"},
		"expired":           {root.Sign(t, code, past).PEM(), code, "counts only"},
		"the authority":     {root.PEM(), code, "not the verification code"},
	} {
		a.VerificationCode = c.code
		err := a.Prove(c.proof, at)
		if c.want == "" && err != nil || c.want != "" && (!fault.Is(err, fault.ArgumentInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

// TestTrustedAuthorities: an authority counts when it is verified and enabled.
func TestTrustedAuthorities(t *testing.T) {
	root := certs.SelfSigned(t, "root", certs.CA)
	for _, a := range []Authority{{}, {Verified: true}, {Enabled: true}, {Verified: true, Enabled: true}} {
		a.Certificate = root.Raw
		trust, err := NewTrust([]Authority{a})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := trust.Has(sha256Of(root)), a.Verified && a.Enabled; got != want {
			t.Errorf("verified %t, enabled %t: %t", a.Verified, a.Enabled, got)
		}
	}
	if _, err := NewTrust([]Authority{{Certificate: []byte("x"), Verified: true, Enabled: true}}); err == nil {
		t.Error("made a set of something that is no certificate")
	}
}
