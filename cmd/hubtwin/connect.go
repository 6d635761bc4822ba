package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"syscall"

	"github.com/hubtwin/hubtwin/client"
)

// connection has the flags of every command that speaks to a hub.
type connection struct {
	ConnectionString string `name:"connection-string" env:"HUBTWIN_CONNECTION_STRING,IOTHUB_CONNECTION_STRING" placeholder:"TEXT" help:"Connection string of a shared access policy: HostName=…;SharedAccessKeyName=…;SharedAccessKey=… (${env})."`
	CA               string `name:"ca" placeholder:"FILE" help:"Trust the certificate authorities in this PEM file, on top of the machine's and of those in the files that SSL_CERT_FILE and NODE_EXTRA_CA_CERTS name."`
}

// open makes the client. It does not talk to the hub yet.
func (f connection) open() (*client.Client, error) {
	if f.ConnectionString == "" {
		return nil, usagef(`which hub? Set HUBTWIN_CONNECTION_STRING or give --connection-string.
"hubtwin dev" prints a line to paste that sets it`)
	}
	roots, err := f.roots()
	if err != nil {
		return nil, err
	}
	c, err := client.New(f.ConnectionString, client.Options{RootCAs: roots})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// roots reads the authorities to trust. Files that only the environment names
// may be missing: they are meant for all programs, and some are stale.
func (f connection) roots() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, variable := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"} {
		if text, err := os.ReadFile(os.Getenv(variable)); err == nil {
			pool.AppendCertsFromPEM(text)
		}
	}
	if f.CA == "" {
		return pool, nil
	}
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, usagef("--ca: %w", err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, usagef("--ca: %s has no certificate in PEM form", f.CA)
	}
	return pool, nil
}

// explained adds to a failed call what may mend it.
func explained(err error) error {
	var way *url.Error
	if !errors.As(err, &way) {
		return err
	}
	host := way.URL
	if u, parseErr := url.Parse(way.URL); parseErr == nil {
		host = u.Host
	}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%s: its certificate is not of an authority that is trusted here\nhint: give the hub's authority with --ca FILE or NODE_EXTRA_CA_CERTS; hubtwin dev prints the file's name", host)
	case errors.As(err, &name):
		return fmt.Errorf("%s: %w\nhint: start the hub with --hostname %s", host, name, name.Host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: no hub answers there (connection refused)\nhint: start one with hubtwin dev, or look at the HostName of the connection string", host)
	}
	return fmt.Errorf("%s: %w", host, way.Err)
}
