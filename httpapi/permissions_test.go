package httpapi_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/httpapi"
	"github.com/hubtwin/hubtwin/injection"
)

// bodies are what the requests of permissions.txt send.
var bodies = map[string]string{
	"PUT /devices/d1": `{"deviceId":"d1"}`,
	"POST /devices":   `[{"id":"d2"}]`,
	"PATCH /twins/d1": `{"tags":{"a":1}}`,

	"PUT /devices/d2/modules/m": `{"moduleId":"m"}`,
	"PATCH /twins/d2/modules/m": `{"tags":{"a":1}}`,

	"PUT /twins/d1":       `{"tags":{"a":1}}`,
	"POST /devices/query": `{"query":"SELECT * FROM devices"}`,

	"POST /twins/d2/methods": `{"methodName":"m"}`,
	"POST /jobs/create":      `{"type":"export"}`,

	"PUT /$hubtwin/routing":       `{}`,
	"POST /$hubtwin/routing/test": `{}`,

	"PUT /$hubtwin/certificates/none":         `{"properties":{"certificate":"AAAA"}}`,
	"POST /$hubtwin/certificates/none/verify": `{"certificate":"AAAA"}`,

	"POST /$hubtwin/explain": `{"query":"SELECT * FROM devices"}`,
	"POST /$hubtwin/faults":  `{"effect":"drop","device":"d2","duration":"1m"}`,
}

func TestPermissions(t *testing.T) {
	g := newRig(t, func(c *httpapi.Config) { c.Faults = injection.New(c.Log) })
	g.request("iothubowner", "POST /devices", `[{"id":"d1"},{"id":"d2"},{"id":"d2","moduleId":"m"}]`)
	text, err := os.ReadFile("testdata/permissions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var policies []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "request":
			policies = words[1:]
		default:
			request := words[0] + " " + words[1]
			for i, policy := range policies {
				got := g.request(policy, request, bodies[request])
				if want := words[2+i]; got.status != want {
					t.Errorf("%s as %s: got %s, want %s\n%s", request, policy, got.status, want, got.body)
				}
				if got.status == "401" && !strings.Contains(got.body, "IotHubUnauthorizedAccess") {
					t.Errorf("%s as %s: %s", request, policy, got.body)
				}
			}
		}
	}
}

// request sends a request, with a condition that every existing thing holds.
func (g *rig) request(policy, line, body string) answer {
	g.t.Helper()
	return send(g.t, g.server.Listener.Addr().String(), fmt.Appendf(nil,
		"%s?api-version=2021-04-12 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nIf-Match: *\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		line, hostName, g.goodToken(policy), len(body), body))
}
