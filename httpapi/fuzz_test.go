package httpapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzRequest sends what no client would to a real hub. Whatever it is, the
// answer must be whole, and never the hub's own failure.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/devices/d1?api-version=2021-04-12", "", "", "")
	f.Add("PUT", "/devices%2Fd1?api-version=2021-04-12", `"*"`, "", `{"deviceId":"d1"}`)
	f.Add("POST", "/devices/?api-version=2018-06-30", "", "", `[{"id":"d1","tags":{"a":[1]}}]`)
	f.Add("POST", "/devices/query?api-version=2021-04-12", "", "AAAA", `{"query":"SELECT * FROM devices"}`)
	f.Add("PATCH", "/twins/d1/modules/m1?api-version=2021-04-12-preview", `W/"AAAAAAAAAAE="`, "", `{"tags":null}`)
	f.Add("POST", "/twins/d1/methods?api-version=2021-04-12", "", "", `{"methodName":"m","payload":[1,"é"],"responseTimeoutInSeconds":5}`)
	f.Add("POST", "/digitaltwins/d1/components/c/commands/m?api-version=2020-09-30&responseTimeoutInSeconds=5", "", "", `1`)
	f.Add("HEAD", "//%2e%2e/%00", "", "", "")
	g := newRig(f, nil)
	handler, token := g.server.Config.Handler, g.goodToken("iothubowner")
	f.Fuzz(func(t *testing.T, method, target, ifMatch, continuation, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip("net/http refuses this target itself")
		}
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL = method, u
		r.Header["Authorization"] = []string{token}
		r.Header["If-Match"] = []string{ifMatch}
		r.Header["X-Ms-Continuation"] = []string{continuation}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch {
		case w.Code >= 500:
			t.Errorf("status %d: %s", w.Code, w.Body)
		case w.Code != http.StatusNoContent && !json.Valid(w.Body.Bytes()):
			t.Errorf("status %d with a body that is no JSON: %q", w.Code, w.Body)
		case w.Code >= 400 && len(w.Header()[codeHeader]) != 1:
			t.Errorf("status %d without a code", w.Code)
		}
	})
}

// codeHeader is spelled as the hub writes it, not as Go would.
var codeHeader = "iothub-errorcode"

// The hot calls, without the network.
func BenchmarkGetTwin(b *testing.B) { benchmark(b, "GET", "/twins/d50", "") }

func BenchmarkPatchTwin(b *testing.B) {
	benchmark(b, "PATCH", "/twins/d50", `{"tags":{"location":{"region":"US","plant":"Redmond43"}}}`)
}

func BenchmarkQueryHundredTwins(b *testing.B) {
	benchmark(b, "POST", "/devices/query", `{"query":"SELECT * FROM devices"}`)
}

func benchmark(b *testing.B, method, path, body string) {
	g := newRig(b, nil)
	var items []map[string]any
	for i := range 100 {
		items = append(items, map[string]any{"id": "d" + string(rune('0'+i/10)) + string(rune('0'+i%10)), "tags": map[string]any{"floor": i}})
	}
	devices, err := json.Marshal(items)
	if err != nil {
		b.Fatal(err)
	}
	g.request("iothubowner", "POST /devices", string(devices))
	handler, token := g.server.Config.Handler, g.goodToken("service")
	b.ReportAllocs()
	r := httptest.NewRequest(method, path+"?api-version=2021-04-12", strings.NewReader(body))
	r.Header["Authorization"] = []string{token}
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(body))
		w := &discard{header: http.Header{}}
		handler.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			b.Fatalf("status %d", w.status)
		}
	}
}

// discard is a ResponseWriter that keeps the status only.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
