package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var testNames = []string{"localhost", "hub.localhost", "127.0.0.1", "::1", "hub.lan"}

// at is a moment of tests: certificates are made for the clock they are given.
var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func mustOpen(t *testing.T, dir string, names []string, now time.Time) Certificates {
	t.Helper()
	c, err := openCertificates(dir, names, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// trusted verifies the server's certificate as a client does that trusts file.
func trusted(t *testing.T, c Certificates, file, name string, now time.Time) error {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	_, err = c.server.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now})
	return err
}

func TestCertificates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	c := mustOpen(t, dir, testNames, at)

	for _, file := range []string{c.CAFile, c.BundleFile} {
		for _, name := range testNames {
			if err := trusted(t, c, file, name, at); err != nil {
				t.Errorf("%s as %s: %v", filepath.Base(file), name, err)
			}
		}
	}
	if trusted(t, c, c.CAFile, "example.com", at) == nil {
		t.Error("the certificate is good for any name")
	}

	leaf, ca := c.server.Leaf, readCertificate(t, c.CAFile)
	for name, cert := range map[string]*x509.Certificate{"server": leaf, "ca": ca} {
		if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
			t.Errorf("%s: the key is not ECDSA P-256", name)
		}
	}
	// OpenSSL's strict mode, Python's default, asks for the key identifiers.
	if len(ca.SubjectKeyId) == 0 || !bytes.Equal(leaf.AuthorityKeyId, ca.SubjectKeyId) {
		t.Error("the server's certificate does not point at the authority's key")
	}
	if !ca.IsCA || !ca.MaxPathLenZero || ca.KeyUsage&x509.KeyUsageCertSign == 0 {
		t.Error("the authority is none, or may have others below it")
	}
	if leaf.IsCA || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Error("the server's certificate is good for more than a server")
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 825*24*time.Hour {
		t.Errorf("the server's certificate lives %v, longer than Apple's clients accept", life)
	}

	for file, mode := range map[string]os.FileMode{"ca-key.pem": 0o600, "server.pem": 0o600, "ca.pem": 0o644, "ca-bundle.pem": 0o644} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", file, info.Mode().Perm(), mode)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 4 {
		t.Errorf("want four files, there are %v, %v", files, err)
	}
	if text, _ := os.ReadFile(c.CAFile); bytes.Contains(text, []byte("PRIVATE")) {
		t.Error("ca.pem has a private key")
	}
}

func readCertificate(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestCertificatesAgain opens the same directory under changed circumstances:
// the authority stays, the server's certificate is made anew if it must.
func TestCertificatesAgain(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name  string
		names []string
		now   time.Time
		kept  bool
	}{
		{"a day later", testNames, at.Add(day), true},
		{"fewer names", testNames[:2], at, true},
		{"a new name", append(slices.Clone(testNames), "new.lan"), at, false},
		{"a new address", append(slices.Clone(testNames), "10.0.0.7"), at, false},
		{"near its end", testNames, at.Add(serverLife - 30*day), false},
		{"after its end", testNames, at.Add(serverLife + day), false},
		{"before it began", testNames, at.Add(-day), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			first := mustOpen(t, dir, testNames, at)
			ca := readCertificate(t, first.CAFile)
			second := mustOpen(t, dir, c.names, c.now)
			if !readCertificate(t, second.CAFile).Equal(ca) {
				t.Error("there is a new authority, which nobody trusts")
			}
			if kept := second.server.Leaf.Equal(first.server.Leaf); kept != c.kept {
				t.Errorf("the server's certificate was kept: %v, want %v", kept, c.kept)
			}
			when := c.now
			if when.Before(ca.NotBefore) {
				return // the clock was set back; nothing is valid then
			}
			for _, name := range c.names {
				if err := trusted(t, second, second.CAFile, name, when); err != nil {
					t.Error(err)
				}
			}
			third := mustOpen(t, dir, c.names, c.now)
			if !third.server.Leaf.Equal(second.server.Leaf) {
				t.Error("the certificate is made anew at every start")
			}
		})
	}
}

// TestLastDays is an authority whose end is nearer than that of a server
// certificate should be.
func TestLastDays(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, testNames, at)
	now := at.Add(authorityLife - 24*time.Hour)
	c := mustOpen(t, dir, testNames, now)
	if err := trusted(t, c, c.CAFile, "localhost", now); err != nil {
		t.Error(err)
	}
	if !mustOpen(t, dir, testNames, now).server.Leaf.Equal(c.server.Leaf) {
		t.Error("the certificate is made anew at every start")
	}
	_, err := openCertificates(dir, testNames, at.Add(authorityLife+time.Hour))
	if err == nil || !strings.Contains(err.Error(), "ended on") || !strings.Contains(err.Error(), "remove") {
		t.Errorf("an authority that ended: %v", err)
	}
}

func TestDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	first := mustOpen(t, dir, testNames, at)
	damage := func(file string) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte("-----BEGIN"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damage("server.pem")
	damage("ca.pem")
	damage("ca-bundle.pem")
	c := mustOpen(t, dir, testNames, at)
	if err := trusted(t, c, c.CAFile, "localhost", at); err != nil {
		t.Error(err)
	}
	if c.server.Leaf.Equal(first.server.Leaf) {
		t.Error("a certificate came back from nowhere")
	}
	// The authority's key can't be had back, and must not be replaced silently.
	damage("ca-key.pem")
	if _, err := openCertificates(dir, testNames, at); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a damaged authority: %v", err)
	}
}

// TestTogether starts several hubs on a new directory at once.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	var all [8]Certificates
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			var err error
			if all[i], err = openCertificates(dir, testNames, at); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, c := range all {
		if c.server.Leaf == nil {
			continue
		}
		if err := trusted(t, c, c.CAFile, "localhost", at); err != nil {
			t.Error(err)
		}
	}
}
