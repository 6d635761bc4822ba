package auth

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// MaxChain is how many certificates a client may bring: its own, and those that
// lead from it to an authority.
const MaxChain = 10

// Chain is what a client brought to a TLS handshake: its own certificate, whose
// key it has, and those that lead from it to an authority. It remembers where it
// leads, so that a connection with many requests costs one verification. It may be
// used by many goroutines at once.
type Chain struct {
	certificates []*x509.Certificate

	mu   sync.Mutex
	last lead
}

// NewChain makes a chain of the certificates of a handshake, the client's own
// first. Without certificates it is nil.
func NewChain(certificates []*x509.Certificate) *Chain {
	if len(certificates) == 0 {
		return nil
	}
	return &Chain{certificates: certificates}
}

// lead is where a chain leads, with these authorities and in this time.
type lead struct {
	trust       *Trust
	from, until time.Time
	authority   string // its thumbprint
	err         error
}

// retryChain is for how long it is remembered that a chain leads nowhere. Looking
// for a way may cost a hundred signatures, and the client chooses what they are.
const retryChain = time.Minute

// lead says where the chain leads.
func (c *Chain) lead(trust *Trust, now time.Time) lead {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.last; l.trust != trust || now.Before(l.from) || now.After(l.until) {
		c.last = c.find(trust, now)
	}
	return c.last
}

// find looks for the way to a trusted authority.
func (c *Chain) find(trust *Trust, now time.Time) lead {
	between := x509.NewCertPool()
	for _, i := range c.certificates[1:] {
		between.AddCert(i)
	}
	ways, err := c.certificates[0].Verify(x509.VerifyOptions{
		Roots: trust.roots(), Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // The service asks for none (messaging-and-auth sheet, 9).
	})
	if err != nil {
		return lead{trust: trust, from: now, until: now.Add(retryChain), err: err}
	}
	way := ways[0]
	l := lead{trust: trust, from: way[0].NotBefore, until: way[0].NotAfter, authority: Thumbprint(way[len(way)-1])}
	for _, i := range way[1:] {
		if i.NotBefore.After(l.from) {
			l.from = i.NotBefore
		}
		if i.NotAfter.Before(l.until) {
			l.until = i.NotAfter
		}
	}
	return l
}

// certificate verifies a chain. See [Verifier.Device].
func (v *Verifier) certificate(ctx context.Context, id device.ID, chain *Chain, now time.Time) (Principal, error) {
	const code = fault.IotHubUnauthorized
	own := chain.certificates[0]
	switch n := len(chain.certificates); {
	case n > MaxChain:
		return Principal{}, fault.New(code, "Unauthorized: the client brought %d certificates, of at most %d", n, MaxChain)
	case now.Before(own.NotBefore):
		return Principal{}, fault.New(code, "Unauthorized: the certificate counts from %s on", own.NotBefore.Format(time.RFC3339))
	case now.After(own.NotAfter):
		return Principal{}, fault.New(code, "Unauthorized: the certificate expired at %s", own.NotAfter.Format(time.RFC3339))
	}
	identity, err := v.Keys.Identity(ctx, id)
	switch {
	case err != nil && isNotFound(err):
		return Principal{}, badCertificate(err)
	case err != nil:
		return Principal{}, fault.Of(err)
	}
	p := Principal{Permissions: DeviceConnect, ID: id, IdentityEtag: identity.Etag, Expires: own.NotAfter}
	switch a := identity.Authentication; a.Type {
	case device.SelfSigned:
		if !hasThumbprint(own, a.PrimaryThumbprint) && !hasThumbprint(own, a.SecondaryThumbprint) {
			return Principal{}, badCertificate(errors.New("neither thumbprint is that of the certificate"))
		}
	case device.CertificateAuthority:
		if name := own.Subject.CommonName; name != id.String() {
			return Principal{}, badCertificate(fmt.Errorf("the certificate is that of %.300q", name))
		}
		l := chain.lead(v.Keys.Trust(), now)
		if l.err != nil {
			return Principal{}, badCertificate(l.err)
		}
		p.Authority, p.Expires = l.authority, l.until
	default:
		return Principal{}, badCertificate(fmt.Errorf("%q does not prove itself by certificate", id))
	}
	if err := v.enabled(ctx, identity); err != nil {
		return Principal{}, err
	}
	return p, nil
}

// Thumbprint names a certificate: its SHA-256 in lower-case hexadecimal.
func Thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// hasThumbprint tells whether text is the SHA-1 or SHA-256 of c in hexadecimal, as
// it is registered: in any case, without separators (messaging-and-auth sheet, 9).
func hasThumbprint(c *x509.Certificate, text string) bool {
	switch len(text) {
	case 2 * sha1.Size:
		sum := sha1.Sum(c.Raw)
		return strings.EqualFold(text, hex.EncodeToString(sum[:]))
	case 2 * sha256.Size:
		return strings.EqualFold(text, Thumbprint(c))
	}
	return false
}

// badCertificate is one answer for an id that is not there, and for a certificate
// that is not its own.
func badCertificate(cause error) error {
	return fault.New(fault.IotHubUnauthorized, "Unauthorized: the certificate does not prove this identity").Because(cause)
}
