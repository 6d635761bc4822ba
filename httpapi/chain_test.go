package httpapi

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/internal/certs"
)

// TestConnectionsHaveOneChain: what a chain remembers serves all requests of its
// connection, and no other ones.
func TestConnectionsHaveOneChain(t *testing.T) {
	var chains []*auth.Chain
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { chains = append(chains, chainOf(r)) }))
	s.Config.ConnContext = ConnContext
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	defer s.Close()
	client := s.Client()
	with := client.Transport.(*http.Transport).TLSClientConfig
	with.Certificates = []tls.Certificate{certs.SelfSigned(t, "pump-7").TLS()}
	for range 3 {
		answer, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if len(chains) == 2 {
			client.CloseIdleConnections()
		}
	}
	if len(chains) != 3 || chains[0] == nil || chains[0] != chains[1] || chains[1] == chains[2] {
		t.Errorf("chains %v", chains)
	}
}
