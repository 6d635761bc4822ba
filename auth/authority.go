package auth

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// MaxAuthorities is how many certificate authorities a hub may have
// (messaging-and-auth sheet, 9).
const MaxAuthorities = 25

// MaxCertificate bounds the text of one certificate, PEM or DER, in bytes.
const MaxCertificate = 16 << 10

// Authority is a certificate authority that is registered with the hub. Devices
// that prove themselves by its certificates are let in while it is both Verified
// and Enabled. Its members are those of the stored form.
type Authority struct {
	Name        string
	Certificate []byte // DER
	// Verified says that somebody has shown that they hold its key, or that an
	// operator has vouched for it.
	Verified bool
	Enabled  bool
	// VerificationCode is the common name that a certificate must have which
	// proves possession of the key; "" once it is verified.
	VerificationCode string
	Created          time.Time
	Updated          time.Time
}

// Trusted tells whether certificates of the authority count.
func (a *Authority) Trusted() bool { return a.Verified && a.Enabled }

// Parsed is the certificate. The error is that of a Certificate that
// [ParseAuthority] has not seen.
func (a *Authority) Parsed() (*x509.Certificate, error) { return x509.ParseCertificate(a.Certificate) }

// NewVerificationCode makes a code that nobody can have seen before: 48
// hexadecimal digits, as the service has them.
func NewVerificationCode() string {
	var b [24]byte
	rand.Read(b[:])
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

// ParseAuthority reads the certificate of an authority, PEM or DER. The failure is
// ArgumentInvalid, also for a certificate that no authority can have, and for one
// whose time is over.
func ParseAuthority(text []byte, now time.Time) (*x509.Certificate, error) {
	c, err := parseCertificate(text)
	switch {
	case err != nil:
		return nil, err
	case !c.BasicConstraintsValid || !c.IsCA:
		return nil, fault.New(fault.ArgumentInvalid, "%.300q is not an authority: its basic constraints do not say CA:TRUE", c.Subject)
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, fault.New(fault.ArgumentInvalid, "%.300q may not sign certificates: its key usage does not say so", c.Subject)
	case now.After(c.NotAfter):
		return nil, fault.New(fault.ArgumentInvalid, "the certificate of %.300q expired at %s", c.Subject, c.NotAfter.Format(time.RFC3339))
	}
	return c, nil
}

// Prove checks that proof, PEM or DER, is a certificate whose common name is the
// verification code, signed with the authority's key. The failure is
// ArgumentInvalid.
func (a *Authority) Prove(proof []byte, now time.Time) error {
	c, err := parseCertificate(proof)
	if err != nil {
		return err
	}
	authority, err := a.Parsed()
	switch {
	case err != nil:
		return err
	case a.VerificationCode == "":
		return fault.New(fault.ArgumentInvalid, "certificate %q is verified already", a.Name)
	case c.Subject.CommonName != a.VerificationCode:
		return fault.New(fault.ArgumentInvalid, "the common name of the proof is %.100q, not the verification code", c.Subject.CommonName)
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return fault.New(fault.ArgumentInvalid, "the proof counts only from %s to %s", c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	if err := c.CheckSignatureFrom(authority); err != nil {
		return fault.New(fault.ArgumentInvalid, "the proof is not signed with the key of %q: %w", a.Name, err)
	}
	return nil
}

// parseCertificate reads one certificate, PEM or DER.
func parseCertificate(text []byte) (*x509.Certificate, error) {
	if len(text) > MaxCertificate {
		return nil, fault.New(fault.ArgumentInvalid, "a certificate has at most %d bytes", MaxCertificate)
	}
	der := text
	if block, rest := pem.Decode(text); block != nil {
		if block.Type != "CERTIFICATE" {
			return nil, fault.New(fault.ArgumentInvalid, "the PEM text is a %.40q, not a CERTIFICATE", block.Type)
		}
		if next, _ := pem.Decode(rest); next != nil {
			return nil, fault.New(fault.ArgumentInvalid, "the PEM text has more than one block; give one certificate")
		}
		der = block.Bytes
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.ArgumentInvalid, "this is not one certificate, in PEM or DER: %w", err)
	}
	return c, nil
}

// Trust is a set of authorities whose certificates count. It does not change;
// another one takes its place. The zero Trust is empty.
type Trust struct {
	pool    *x509.CertPool
	members map[string]bool // by thumbprint
}

// NewTrust makes a set of those of list that are trusted. The error is that of
// [Authority.Parsed].
func NewTrust(list []Authority) (*Trust, error) {
	t := &Trust{x509.NewCertPool(), map[string]bool{}}
	for i := range list {
		if !list[i].Trusted() {
			continue
		}
		c, err := list[i].Parsed()
		if err != nil {
			return nil, err
		}
		t.pool.AddCert(c)
		t.members[Thumbprint(c)] = true
	}
	return t, nil
}

// roots is the set as x509 wants it: nil would be the authorities of the machine.
func (t *Trust) roots() *x509.CertPool {
	if t.pool == nil {
		return x509.NewCertPool()
	}
	return t.pool
}

// Has tells whether the authority with this thumbprint is in the set.
func (t *Trust) Has(thumbprint string) bool { return t.members[thumbprint] }
