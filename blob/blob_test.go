package blob_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/blob"
)

const key = "AAECAwQFBgcICQoLDA0ODw=="

func TestOpen(t *testing.T) {
	for _, c := range []struct{ text, host, container, uri string }{
		{"AccountName=acct;AccountKey=" + key, "acct.blob.core.windows.net", "files", "https://acct.blob.core.windows.net/files/d/a%20b"},
		{"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" + key + ";EndpointSuffix=core.example.com;", "acct.blob.core.example.com", "files", "https://acct.blob.core.example.com/files/d/a%20b"},
		{"AccountName=acct;AccountKey=" + key + ";BlobEndpoint=http://127.0.0.1:10000/acct/", "127.0.0.1:10000", "acct/files", "http://127.0.0.1:10000/acct/files/d/a%20b"},
		{"UseDevelopmentStorage=true", "127.0.0.1:10000", "devstoreaccount1/files", "http://127.0.0.1:10000/devstoreaccount1/files/d/a%20b"},
	} {
		s, err := blob.Open(c.text, "files")
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if s.Host() != c.host || s.Container() != c.container || s.URI("d/a b") != c.uri {
			t.Errorf("%s: %s, %s, %s", c.text, s.Host(), s.Container(), s.URI("d/a b"))
		}
	}
	for text, container := range map[string]string{
		"AccountName=acct": "files", "AccountKey=" + key: "files", "AccountName=a;AccountKey=?": "files", "nonsense": "files",
		"AccountName=a;AccountKey=" + key + ";BlobEndpoint=ftp://x": "files", "UseDevelopmentStorage=true": "Files", "UseDevelopmentStorage=true;": "a",
	} {
		if _, err := blob.Open(text, container); err == nil {
			t.Errorf("%s, %s: no error", text, container)
		}
	}
}

// The signature was checked once against the emulator of the service.
func TestSign(t *testing.T) {
	s, err := blob.Open("UseDevelopmentStorage=true", "files")
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(s.Sign("d/a b.txt", "rw", time.Unix(1893456000, 0)), "?")
	q, err := url.ParseQuery(text)
	if !ok || err != nil {
		t.Fatal(text, err)
	}
	want := url.Values{"sv": {"2020-12-06"}, "sr": {"b"}, "sp": {"rw"}, "se": {"2030-01-01T00:00:00Z"}, "sig": {"blZUiz4yVdyuHpFmPo2+lXW1ZA8GfsExakYyI7F8aI4="}}
	if q.Encode() != want.Encode() {
		t.Errorf("%v, want %v", q, want)
	}
}

func TestProperties(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodHead || r.URL.Query().Get("sig") == "" || r.URL.Query().Get("sp") != "r":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/acct/files/d/a b":
			w.Header().Set("Last-Modified", "Tue, 24 Nov 2026 10:00:00 GMT")
			w.Header().Set("Content-Length", "17")
		case r.URL.Path == "/acct/files/broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	s, err := blob.Open("AccountName=acct;AccountKey="+key+";BlobEndpoint="+server.URL+"/acct", "files")
	if err != nil {
		t.Fatal(err)
	}
	size, modified, err := s.Properties(t.Context(), "d/a b")
	if err != nil || size != 17 || !modified.Equal(time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("%d, %v, %v", size, modified, err)
	}
	if _, _, err := s.Properties(t.Context(), "none"); !errors.Is(err, blob.ErrNoBlob) {
		t.Errorf("of none: %v", err)
	}
	if _, _, err := s.Properties(t.Context(), "broken"); err == nil || errors.Is(err, blob.ErrNoBlob) {
		t.Errorf("of a store that fails: %v", err)
	}
}
