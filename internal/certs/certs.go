// Package certs makes certificates for tests: authorities, and what they sign.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Issued is a certificate with its key.
type Issued struct {
	*x509.Certificate
	Key crypto.Signer
}

// Change makes a template other than usual.
type Change func(*x509.Certificate)

// Between sets the time in which a certificate counts.
func Between(from, until time.Time) Change {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }
}

// CA makes an authority of a template.
func CA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
}

// SelfSigned makes a certificate with this common name that its own key signs. It
// counts for an hour on each side of now.
func SelfSigned(t testing.TB, name string, changes ...Change) *Issued {
	t.Helper()
	return issue(t, name, nil, changes)
}

// Sign makes a certificate that i signs.
func (i *Issued) Sign(t testing.TB, name string, changes ...Change) *Issued {
	t.Helper()
	return issue(t, name, i, changes)
}

func issue(t testing.TB, name string, by *Issued, changes []Change) *Issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	number, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, change := range changes {
		change(template)
	}
	if by == nil {
		by = &Issued{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.Key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Issued{made, key}
}

// PEM is the certificate as text.
func (i *Issued) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Raw})
}

// TLS is what a client brings to a handshake: i, and the certificates above it.
func (i *Issued) TLS(above ...*Issued) tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{i.Raw}, PrivateKey: i.Key}
	for _, a := range above {
		c.Certificate = append(c.Certificate, a.Raw)
	}
	return c
}
