package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Certificate is a certificate authority of a hub. Devices that prove themselves by
// its certificates are let in while it is verified and enabled.
type Certificate struct {
	Name       string                `json:"name"`
	Properties CertificateProperties `json:"properties"`
}

// CertificateProperties are what the hub tells of a certificate.
type CertificateProperties struct {
	Subject    string    `json:"subject"`
	Thumbprint string    `json:"thumbprint"` // SHA-256, in hexadecimal
	Expiry     time.Time `json:"expiry"`
	IsVerified bool      `json:"isVerified"`
	IsEnabled  bool      `json:"isEnabled"`
	// VerificationCode is the common name that the proof must have; "" once the
	// certificate is verified.
	VerificationCode string    `json:"verificationCode,omitempty"`
	Created          time.Time `json:"created"`
	Updated          time.Time `json:"updated"`
	Certificate      []byte    `json:"certificate"` // DER
}

// Certificates lists the certificate authorities by name.
func (c *Client) Certificates(ctx context.Context) ([]Certificate, error) {
	var list struct {
		Value []Certificate `json:"value"`
	}
	_, err := c.do(ctx, get("$hubtwin", "certificates"), &list)
	return list.Value, err
}

// Certificate reads one of them. It fails with CertificateNotFound.
func (c *Client) Certificate(ctx context.Context, name string) (Certificate, error) {
	return c.certificate(ctx, get("$hubtwin", "certificates", name))
}

// AddCertificate registers the certificate of an authority, PEM or DER, under a name
// that is not taken. With verified the caller vouches for it; otherwise it counts
// from VerifyCertificate on.
func (c *Client) AddCertificate(ctx context.Context, name string, certificate []byte, verified bool) (Certificate, error) {
	body, err := json.Marshal(map[string]any{"properties": map[string]any{"certificate": certificate, "isVerified": verified}})
	if err != nil {
		return Certificate{}, err
	}
	return c.certificate(ctx, request{method: http.MethodPut, path: []string{"$hubtwin", "certificates", name}, body: body})
}

// VerifyCertificate proves possession of the authority's key: proof, PEM or DER, is
// a certificate that it has signed, with the verification code as common name.
func (c *Client) VerifyCertificate(ctx context.Context, name string, proof []byte) (Certificate, error) {
	body, err := json.Marshal(map[string]any{"certificate": proof})
	if err != nil {
		return Certificate{}, err
	}
	return c.certificate(ctx, request{method: http.MethodPost, path: []string{"$hubtwin", "certificates", name, "verify"}, body: body})
}

// EnableCertificate says whether the authority counts. If not, connections of
// devices that it let in end.
func (c *Client) EnableCertificate(ctx context.Context, name string, enabled bool) (Certificate, error) {
	verb := "enable"
	if !enabled {
		verb = "disable"
	}
	return c.certificate(ctx, request{method: http.MethodPost, path: []string{"$hubtwin", "certificates", name, verb}})
}

// DeleteCertificate forgets the authority. Connections of devices that it let in end.
func (c *Client) DeleteCertificate(ctx context.Context, name string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: []string{"$hubtwin", "certificates", name}}, nil)
	return err
}

func (c *Client) certificate(ctx context.Context, r request) (Certificate, error) {
	var of Certificate
	_, err := c.do(ctx, r, &of)
	return of, err
}
