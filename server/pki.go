package server

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// The hub is its own certificate authority: there is no public one for
// localhost. Everything is ECDSA P-256, which all SDKs take and which makes
// handshakes cheap. The directory holds
//
//	ca.pem         the authority's certificate, for clients to trust
//	ca-bundle.pem  the same and the machine's roots, for clients that trust one file only
//	ca-key.pem     the authority's certificate and key, 0600
//	server.pem     the server's certificate and key, 0600
//
// The authority is made once and kept, because people tell their clients to
// trust it. It has no name constraints for the same reason: --hostname may add
// any name later, and a constraint can't be widened without everyone having to
// trust a new authority. What guards it is that its key never leaves this
// directory, and that clients trust it by an environment variable, program by
// program, not machine-wide.
//
// The server certificate is made anew when a name is missing or its end is
// near. Being short of 825 days keeps it within what Apple's clients accept.
const (
	authorityLife  = 10 * 365 * 24 * time.Hour
	serverLife     = 800 * 24 * time.Hour
	serverRenewal  = 400 * 24 * time.Hour // a hub may run this long without a restart
	clockTolerance = time.Hour            // clients' clocks may be behind
)

// Certificates are the files and keys of a hub's TLS.
type Certificates struct {
	CAFile     string // the authority alone: NODE_EXTRA_CA_CERTS
	BundleFile string // with the machine's roots: SSL_CERT_FILE, REQUESTS_CA_BUNDLE

	server tls.Certificate
}

// openCertificates reads what dir has and makes what it lacks. Several
// processes may do so at the same time.
func openCertificates(dir string, names []string, now time.Time) (Certificates, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Certificates{}, fmt.Errorf("certificates: %w", err)
	}
	c := Certificates{CAFile: filepath.Join(dir, "ca.pem"), BundleFile: filepath.Join(dir, "ca-bundle.pem")}
	ca, err := openAuthority(filepath.Join(dir, "ca-key.pem"), now)
	if err != nil {
		return Certificates{}, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Leaf.Raw})
	if err := writeFile(c.CAFile, public, 0o644); err != nil {
		return Certificates{}, err
	}
	if err := writeFile(c.BundleFile, append(public, machineRoots()...), 0o644); err != nil {
		return Certificates{}, err
	}
	c.server, err = openServer(filepath.Join(dir, "server.pem"), ca, names, now)
	return c, err
}

// openAuthority reads the authority, or makes it.
func openAuthority(file string, now time.Time) (tls.Certificate, error) {
	ca, err := readPair(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createAuthority(file, now); err != nil {
			return tls.Certificate{}, err
		}
		ca, err = readPair(file)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate authority: %w; remove the file to get a new authority, which clients then have to trust", err)
	}
	if now.After(ca.Leaf.NotAfter) {
		return tls.Certificate{}, fmt.Errorf("certificate authority: %s ended on %s; remove the file to get a new authority, which clients then have to trust", file, ca.Leaf.NotAfter.Format(time.DateOnly))
	}
	return ca, nil
}

// createAuthority makes an authority, unless someone else is faster.
func createAuthority(file string, now time.Time) error {
	machine, _ := os.Hostname()
	template := &x509.Certificate{
		// The time tells authorities apart that were made on one machine.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("hubtwin on %s, made %s", machine, now.UTC().Format("2006-01-02 15:04:05"))},
		NotBefore:             now.Add(-clockTolerance),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	text, err := issue(template, tls.Certificate{})
	if err != nil {
		return err
	}
	temporary, err := writeTemporary(file, text, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	// A link, unlike a rename, fails if the file is there: of two processes
	// that start at once, both must end with the same authority.
	if err := os.Link(temporary, file); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("certificate authority: %w", err)
	}
	return nil
}

// openServer reads the server certificate, or makes one if that does not serve.
func openServer(file string, ca tls.Certificate, names []string, now time.Time) (tls.Certificate, error) {
	if pair, err := readPair(file); err == nil && serves(pair.Leaf, ca, names, now) {
		return pair, nil
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "hubtwin"},
		NotBefore:   now.Add(-clockTolerance),
		NotAfter:    now.Add(serverLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if template.NotAfter.After(ca.Leaf.NotAfter) {
		template.NotAfter = ca.Leaf.NotAfter
	}
	for _, n := range names {
		if a, err := netip.ParseAddr(n); err == nil {
			template.IPAddresses = append(template.IPAddresses, a.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	text, err := issue(template, ca)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := writeFile(file, text, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(text, text)
}

// serves tells whether a server certificate is of this authority, holds all
// names, and lasts.
func serves(cert *x509.Certificate, ca tls.Certificate, names []string, now time.Time) bool {
	if cert.CheckSignatureFrom(ca.Leaf) != nil || now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return false
	}
	if now.Add(serverRenewal).After(cert.NotAfter) && cert.NotAfter.Before(ca.Leaf.NotAfter) {
		return false
	}
	for _, n := range names {
		if cert.VerifyHostname(n) != nil {
			return false
		}
	}
	return true
}

// issue makes a key and a certificate for it, signed by ca, or by itself if ca
// is zero. The result is PEM: key, then certificate.
func issue(template *x509.Certificate, ca tls.Certificate) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	parent, signer := template, crypto.PrivateKey(key)
	if ca.Leaf != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...), nil
}

// readPair reads a key and its certificate from one file.
func readPair(file string) (tls.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", file, err)
	}
	return pair, nil
}
