package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/httpapi"
	"github.com/hubtwin/hubtwin/internal/memnet"
)

// brokenKeys is a store of keys whose disk has failed.
type brokenKeys struct{}

var errDisk = errors.New("read sector 7: input/output error")

func (brokenKeys) Policy(context.Context, string) (auth.Policy, error) {
	return auth.Policy{}, errDisk
}

func (brokenKeys) Trust() *auth.Trust { return nil }

func (brokenKeys) Identity(context.Context, device.ID) (device.Identity, error) {
	return device.Identity{}, errDisk
}

// Failures of the hub itself, bugs included, tell the caller nothing but the
// name under which the log has the rest.
func TestInnerFailures(t *testing.T) {
	for _, test := range []struct {
		name      string
		configure func(*httpapi.Config)
		secret    string // what only the log may show
	}{
		{"panic", func(c *httpapi.Config) { c.Hub = nil }, "nil pointer"},
		{"broken disk", func(c *httpapi.Config) {
			c.Verifier = &auth.Verifier{Keys: brokenKeys{}, Hosts: c.Verifier.Hosts}
		}, "sector 7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, test.configure)
			got := g.request("iothubowner", "GET /twins/d1", "")
			if got.status != "500" || got.headers["iothub-errorcode"] != "ServerError" {
				t.Errorf("want a ServerError, got:\n%s", got.raw)
			}
			if strings.Contains(got.raw, test.secret) {
				t.Errorf("the caller was told of the inside:\n%s", got.raw)
			}
			id := got.headers["x-ms-request-id"]
			log := g.log.String()
			if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "rid="+id) || !strings.Contains(log, test.secret) {
				t.Errorf("the log does not tell of %s:\n%s", id, log)
			}
			if !strings.Contains(got.body, "Tracking ID:"+id) {
				t.Errorf("the body does not name %s:\n%s", id, got.body)
			}
		})
	}
}

// Refusals are the caller's affair: the log has them for those who look, with
// the cause that the caller is not told.
func TestRefusalIsLoggedQuietly(t *testing.T) {
	g := newRig(t, nil)
	token := strings.Replace(g.goodToken("service"), "skn=service", "skn=nobody", 1)
	got := send(t, g.server.Listener.Addr().String(), fmt.Appendf(nil,
		"GET /devices?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: %s\r\n\r\n", token))
	if got.status != "401" || strings.Contains(got.body, "nobody") {
		t.Errorf("got:\n%s", got.raw)
	}
	log := g.log.String()
	if !strings.Contains(log, "level=DEBUG") || strings.Contains(log, "level=ERROR") || !strings.Contains(log, "nobody") {
		t.Errorf("the log says:\n%s", log)
	}
	if strings.Contains(log, "sig=") {
		t.Errorf("the log has a token:\n%s", log)
	}
}

// The WebSocket path goes to its own handler, without a token, whatever its
// spelling.
func TestWebsocket(t *testing.T) {
	var paths []string
	g := newRig(t, func(c *httpapi.Config) {
		c.Websocket = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			paths = append(paths, r.URL.Path)
			w.WriteHeader(http.StatusTeapot)
		})
	})
	for path, want := range map[string]string{
		"/$iothub/websocket":                            "418",
		"/%24iothub/websocket":                          "418",
		"/$iothub%2Fwebsocket":                          "418",
		"/$iothub/websocket/":                           "418",
		"/$iothub/websocket?iothub-no-client-cert=true": "418",
		"/$IotHub/WebSocket":                            "418",
		"/%2524iothub/websocket":                        "401",
		"/$iothub/websocket/more":                       "401",
		"/$iothub":                                      "401",
	} {
		got := send(t, g.server.Listener.Addr().String(), []byte("GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
		if got.status != want {
			t.Errorf("%s: got %s, want %s", path, got.status, want)
		}
	}
	if len(paths) != 6 {
		t.Errorf("the handler saw %q", paths)
	}
}

// Who is refused for what the head of a request says is refused before the body
// is asked for: without a good token, and with a length that is too great.
func TestRefusedBeforeTheBody(t *testing.T) {
	g := newRig(t, nil)
	for token, want := range map[string]string{"none": "401", g.goodToken("service"): "413"} {
		conn, err := net.Dial("tcp", g.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "PATCH /twins/d1?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n", token)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Errorf("got %q, %v; want %s", line, err, want)
		}
	}
}

// A client that reads no answer before its whole body is sent gets one, also
// when the body is refused: it must not meet a connection that is closed. The
// connection in memory holds little, so the hub has to read.
func TestRefusedBodyIsTaken(t *testing.T) {
	g := newRig(t, nil)
	l := memnet.Listen()
	server := &http.Server{Handler: g.server.Config.Handler}
	go server.Serve(l)
	defer server.Close()
	for _, c := range []struct{ name, head, want string }{
		{"no token", "Content-Length: 1000000", "401"},
		{"too large", "Authorization: " + g.goodToken("service") + "\r\nContent-Length: 1000000", "413"},
		{"too large, chunked", "Authorization: " + g.goodToken("service") + "\r\nTransfer-Encoding: chunked", "413"},
	} {
		conn, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PATCH /twins/d1?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", c.head)
		body := strings.Repeat(" ", 1_000_000)
		if strings.Contains(c.head, "chunked") {
			body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		}
		if _, err := io.WriteString(conn, body); err != nil {
			t.Errorf("%s: send the body: %v", c.name, err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, c.want) {
			t.Errorf("%s: got %q, %v; want %s", c.name, line, err, c.want)
		}
		conn.Close()
	}
}

// A caller who goes away in the middle of a body leaves nothing behind: the
// leak check of TestMain sees to that. Nor does half a body change a twin.
func TestCallerGoesAway(t *testing.T) {
	g := newRig(t, nil)
	g.request("iothubowner", "POST /devices", `[{"id":"d1"}]`)
	for range 10 {
		conn, err := net.Dial("tcp", g.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PATCH /twins/d1?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nContent-Length: 100\r\n\r\n{\"tags\":{\"a\":1}}", g.goodToken("service"))
		conn.(*net.TCPConn).CloseWrite()
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, "400") {
			t.Errorf("got %q, %v", line, err)
		}
		conn.Close()
	}
	if got := g.request("service", "GET /twins/d1", ""); got.headers["ETag"] != `"AAAAAAAAAAE="` {
		t.Errorf("half a body changed the twin:\n%s", got.raw)
	}
}

// Every code that this API can answer with has a case in a transcript. The
// others are of transports and features that are not served here.
func TestEveryCodeHasACase(t *testing.T) {
	var all strings.Builder
	files, _ := filepath.Glob("testdata/*.http")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, c := range []fault.Code{
		fault.InvalidProtocolVersion, fault.ArgumentInvalid, fault.ArgumentNull, fault.IotHubFormatError,
		fault.DeviceDefinedMultipleTimes, fault.DeserializationError, fault.BulkRegistryOperationFailure,
		fault.InvalidDeviceScope, fault.IotHubUnauthorizedAccess, fault.GenericNotFound, fault.DeviceNotFound,
		fault.ModuleNotFound, fault.GenericMethodNotAllowed, fault.DeviceAlreadyExists, fault.PreconditionFailed,
		fault.MessageTooLarge, fault.TooManyDevices, fault.DeviceNotOnline, fault.DeviceConnectionClosedRemotely, fault.GenericBadGateway, fault.GenericUnsupportedMediaType,
		fault.BlobContainerValidationError, fault.JobNotFound,
	} {
		if want := fmt.Sprintf("\n< %d %s\n", c.Status(), c.Name()); !strings.Contains(all.String(), want) {
			t.Errorf("no transcript has%s", want)
		}
	}
	if regexp.MustCompile(`\n< 50[0134]`).MatchString(all.String()) {
		t.Error("a transcript expects the hub to fail")
	}
}
