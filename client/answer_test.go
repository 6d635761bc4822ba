package client

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An answer without end must not fill the memory.
func TestEndlessAnswer(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c, err := New("HostName="+server.Listener.Addr().String()+";SharedAccessKeyName=x;SharedAccessKey=AAAA", Options{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.most = 10 << 10
	if _, err := c.Device(t.Context(), "d1"); err == nil || !strings.Contains(err.Error(), "larger than 10240 bytes") {
		t.Errorf("got %v", err)
	}
}
