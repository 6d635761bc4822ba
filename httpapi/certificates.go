package httpapi

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/fault"
)

// MaxCertificateBody is the limit of a request with a certificate, in bytes: one
// in base64, and what is around it.
const MaxCertificateBody = 2 * auth.MaxCertificate

// certificate is a certificate authority in the shape of the service's management
// API, with isEnabled added, SHA-256 thumbprints, and times as RFC 3339.
type certificate struct {
	Name       string                `json:"name"`
	Properties certificateProperties `json:"properties"`
}

type certificateProperties struct {
	Subject          string    `json:"subject"`
	Thumbprint       string    `json:"thumbprint"`
	Expiry           time.Time `json:"expiry"`
	IsVerified       bool      `json:"isVerified"`
	IsEnabled        bool      `json:"isEnabled"`
	VerificationCode string    `json:"verificationCode,omitempty"`
	Created          time.Time `json:"created"`
	Updated          time.Time `json:"updated"`
	Certificate      []byte    `json:"certificate"` // DER
}

func describe(a *auth.Authority) (certificate, error) {
	c, err := a.Parsed()
	if err != nil {
		return certificate{}, fmt.Errorf("certificate %q: %w", a.Name, err)
	}
	return certificate{a.Name, certificateProperties{
		Subject: c.Subject.String(), Thumbprint: auth.Thumbprint(c), Expiry: c.NotAfter.UTC(), IsVerified: a.Verified, IsEnabled: a.Enabled,
		VerificationCode: a.VerificationCode, Created: a.Created, Updated: a.Updated, Certificate: a.Certificate,
	}}, nil
}

// certificateAnswer shows what a use case has given.
func certificateAnswer(a auth.Authority, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	c, err := describe(&a)
	if err != nil {
		return nil, err
	}
	return marshal(c)
}

// certificateName is that in the path.
func (c *call) certificateName() string { return c.path[2] }

// listCertificates serves GET /$hubtwin/certificates.
func (a *api) listCertificates(c *call) (*answer, error) {
	all, err := a.Hub.Authorities(c.who)
	if err != nil {
		return nil, err
	}
	list := make([]certificate, len(all))
	for i := range all {
		if list[i], err = describe(&all[i]); err != nil {
			return nil, err
		}
	}
	return marshal(struct {
		Value []certificate `json:"value"`
	}{list})
}

// getCertificate serves GET /$hubtwin/certificates/{name}.
func (a *api) getCertificate(c *call) (*answer, error) {
	return certificateAnswer(a.Hub.Authority(c.who, c.certificateName()))
}

// addCertificate serves PUT /$hubtwin/certificates/{name}, whose body is
// {"properties":{"certificate":…,"isVerified":…}}.
func (a *api) addCertificate(c *call) (*answer, error) {
	body, err := c.body(MaxCertificateBody)
	if err != nil {
		return nil, err
	}
	var b struct {
		Properties struct {
			Certificate string `json:"certificate"`
			IsVerified  bool   `json:"isVerified"`
		} `json:"properties"`
	}
	text, err := decodeCertificate(body, &b, &b.Properties.Certificate)
	if err != nil {
		return nil, err
	}
	return certificateAnswer(a.Hub.AddAuthority(c.Context(), c.who, c.certificateName(), text, b.Properties.IsVerified))
}

// verifyCertificate serves POST /$hubtwin/certificates/{name}/verify, whose body is
// {"certificate":…}.
func (a *api) verifyCertificate(c *call) (*answer, error) {
	body, err := c.body(MaxCertificateBody)
	if err != nil {
		return nil, err
	}
	var b struct {
		Certificate string `json:"certificate"`
	}
	proof, err := decodeCertificate(body, &b, &b.Certificate)
	if err != nil {
		return nil, err
	}
	return certificateAnswer(a.Hub.VerifyAuthority(c.Context(), c.who, c.certificateName(), proof))
}

// enableCertificate serves POST /$hubtwin/certificates/{name}/enable.
func (a *api) enableCertificate(c *call) (*answer, error) {
	return certificateAnswer(a.Hub.EnableAuthority(c.Context(), c.who, c.certificateName(), true))
}

// disableCertificate serves POST /$hubtwin/certificates/{name}/disable.
func (a *api) disableCertificate(c *call) (*answer, error) {
	return certificateAnswer(a.Hub.EnableAuthority(c.Context(), c.who, c.certificateName(), false))
}

// deleteCertificate serves DELETE /$hubtwin/certificates/{name}.
func (a *api) deleteCertificate(c *call) (*answer, error) {
	if err := a.Hub.DeleteAuthority(c.Context(), c.who, c.certificateName()); err != nil {
		return nil, err
	}
	return noContent(), nil
}

// decodeCertificate reads body into b, and gives the certificate that is then in
// text: PEM, or PEM or DER in base64, as the command line of the service sends it.
func decodeCertificate(body []byte, b any, text *string) ([]byte, error) {
	if err := decode(body, b); err != nil {
		return nil, err
	}
	if *text == "" {
		return nil, fault.New(fault.ArgumentNull, "the body has no certificate")
	}
	if strings.HasPrefix(strings.TrimSpace(*text), "-----BEGIN ") {
		return []byte(*text), nil
	}
	decoded, err := base64.StdEncoding.DecodeString(*text)
	if err != nil {
		return nil, fault.New(fault.ArgumentInvalid, "the certificate is neither PEM text nor base64: %w", err)
	}
	return decoded, nil
}
