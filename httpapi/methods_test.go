package httpapi_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/internal/memnet"
	"github.com/hubtwin/hubtwin/presence"

	"github.com/hubtwin/hubtwin/hub"
)

// slow is a device that never answers, and counts the calls that somebody waits
// for.
type slow struct {
	scripted
	waiting chan struct{}
}

func (d *slow) Invoke(presence.MethodCall, func(presence.MethodAnswer, error)) (func(), error) {
	d.waiting <- struct{}{}
	return func() { <-d.waiting }, nil
}

// TestMethodsOutlastOtherRequests calls a device that does not answer, through a
// server whose limits are those of a hub's. The caller is told in time, and what
// follows on the connection has the usual limits.
func TestMethodsOutlastOtherRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := openRig(t, hub.Config{}, nil)
		l := memnet.Listen()
		server := http.Server{Handler: g.handler, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute}
		go server.Serve(l)
		defer server.Close()
		conn, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answers := bufio.NewReader(conn)
		status := func(line, body string) int {
			ask(t, g, conn, line, body)
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.StatusCode
		}
		status("POST /devices", `[{"id":"d1"}]`)
		began := time.Now()
		if got := status("POST /twins/d1/methods", `{"methodName":"m","responseTimeoutInSeconds":300,"connectTimeoutInSeconds":300}`); got != 404 {
			t.Errorf("a device that is away: status %d", got)
		}
		if took := time.Since(began); took != 300*time.Second {
			t.Errorf("a device that is away: took %s", took)
		}
		d := &slow{waiting: make(chan struct{}, 1)}
		g.connectAs("d1", d)
		began = time.Now()
		if got := status("POST /twins/d1/methods", `{"methodName":"m","responseTimeoutInSeconds":300}`); got != 504 {
			t.Errorf("a device that does not answer: status %d", got)
		}
		if strings.Contains(g.log.String(), "level=ERROR") {
			t.Errorf("a device that does not answer is the hub's failure:\n%s", g.log)
		}
		if took := time.Since(began); took != 299*time.Second {
			t.Errorf("a device that does not answer: took %s", took)
		}
		if got := status("POST /twins/d1/methods", `{"methodName":"m","responseTimeoutInSeconds":-1000000}`); got != 400 {
			t.Errorf("a time that can't be: status %d", got)
		}
		if got := status("GET /twins/d1", ""); got != 200 {
			t.Errorf("the next request on the connection: status %d", got)
		}

		// Who goes away is waited for by nobody.
		ask(t, g, conn, "POST /twins/d1/methods", `{"methodName":"m","responseTimeoutInSeconds":300}`)
		synctest.Wait()
		if len(d.waiting) != 1 {
			t.Error("the device is not called")
		}
		conn.Close()
		synctest.Wait()
		if len(d.waiting) != 0 {
			t.Error("the call goes on although its caller has gone")
		}
	})
}

func ask(t *testing.T, g *rig, conn net.Conn, line, body string) {
	t.Helper()
	_, err := fmt.Fprintf(conn, "%s?api-version=2021-04-12 HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		line, hostName, g.goodToken("iothubowner"), len(body), body)
	if err != nil {
		t.Fatal(err)
	}
}
