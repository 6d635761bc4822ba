package client_test

import (
	"bytes"
	"testing"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/internal/certs"
)

// TestCertificates has the life of an authority, PEM and DER.
func TestCertificates(t *testing.T) {
	c, ctx := open(t, "registryReadWrite"), t.Context()
	root, other := certs.SelfSigned(t, "root", certs.CA), certs.SelfSigned(t, "other", certs.CA)
	added, err := c.AddCertificate(ctx, "plant", root.PEM(), false)
	if p := added.Properties; err != nil || p.IsVerified || !p.IsEnabled || p.Subject != "CN=root" || !p.Expiry.Equal(root.NotAfter) || !bytes.Equal(p.Certificate, root.Raw) {
		t.Fatalf("added %+v, %v", added, err)
	}
	if _, err := c.AddCertificate(ctx, "plant", other.Raw, false); !is(err, fault.PreconditionFailed) {
		t.Errorf("a name that is taken: %v", err)
	}
	if _, err := c.VerifyCertificate(ctx, "plant", other.Raw); !is(err, fault.ArgumentInvalid) {
		t.Errorf("no proof: %v", err)
	}
	verified, err := c.VerifyCertificate(ctx, "plant", root.Sign(t, added.Properties.VerificationCode).PEM())
	if p := verified.Properties; err != nil || !p.IsVerified || p.VerificationCode != "" {
		t.Errorf("verified %+v, %v", verified, err)
	}
	for _, enabled := range []bool{false, true} {
		if got, err := c.EnableCertificate(ctx, "plant", enabled); err != nil || got.Properties.IsEnabled != enabled {
			t.Errorf("enabled %t: %+v, %v", enabled, got, err)
		}
	}
	if got, err := c.AddCertificate(ctx, "other", other.Raw, true); err != nil || !got.Properties.IsVerified {
		t.Errorf("vouched for: %+v, %v", got, err)
	}
	list, err := c.Certificates(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "other" || list[1].Name != "plant" {
		t.Errorf("listed %+v, %v", list, err)
	}
	if got, err := c.Certificate(ctx, "plant"); err != nil || got.Name != "plant" || !got.Properties.IsVerified {
		t.Errorf("read %+v, %v", got, err)
	}
	if err := c.DeleteCertificate(ctx, "plant"); err != nil {
		t.Error(err)
	}
	if _, err := c.Certificate(ctx, "plant"); !is(err, fault.CertificateNotFound) {
		t.Errorf("reading what was deleted: %v", err)
	}
}
