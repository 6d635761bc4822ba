package mqtt_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// TestReadsAndNotifications lets a device read its twin, over and over, on
// connection after connection, while the back end changes it. On each connection
// notifications must be numbered without a gap, from the one behind the first
// read at the latest, and a read must never show an older state than the
// notification before it: the device would go back in time.
func TestReadsAndNotifications(t *testing.T) {
	l := newLoopback(t)
	l.create(t, "dev-1")
	connect := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", l.plain)
		if err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
	first, r := connect()
	write(t, first, "CONNECT dev-1 ; SUBSCRIBE 1 $iothub/twin/res/# 0 $iothub/twin/PATCH/properties/desired/# 0")
	for range 2 {
		if _, err := readPacket(r); err != nil {
			t.Fatal(err)
		}
	}
	first.Close()

	stop := make(chan struct{})
	var back sync.WaitGroup
	back.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				l.patch(t, "dev-1", fmt.Sprintf(`{"properties":{"desired":{"n":%d}}}`, n))
			}
		}
	})
	for range 30 {
		c, r := connect()
		write(t, c, "CONNECT dev-1")
		watch(t, c, r)
		c.Close()
	}
	close(stop)
	back.Wait()
}

// watch reads the twin 50 times and checks what comes.
func watch(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	var told, reads int64 // the last version told
	write(t, c, "PUBLISH 0 0 $iothub/twin/GET/?$rid=1")
	for reads < 50 {
		line, err := readPacket(r)
		if err != nil {
			t.Fatal(err)
		}
		topic, body, _ := strings.Cut(strings.TrimPrefix(line, "PUBLISH 0 "), " ")
		switch {
		case strings.HasPrefix(topic, "$iothub/twin/res/200/"):
			reads++
			if at := versionIn(t, body, true); at < told {
				t.Fatalf("version %d was told, and then %d read", told, at)
			} else if told == 0 {
				told = at // From here on no version may be missing.
			}
			write(t, c, "PUBLISH 0 0 $iothub/twin/GET/?$rid=1")
		case strings.HasPrefix(topic, "$iothub/twin/PATCH/"):
			v := versionIn(t, body, false)
			if told != 0 && v > told+1 {
				t.Fatalf("version %d was told after %d", v, told)
			}
			told = max(told, v)
		}
	}
}

func versionIn(t *testing.T, body string, whole bool) int64 {
	t.Helper()
	var twin struct {
		Version int64 `json:"$version"`
		Desired struct {
			Version int64 `json:"$version"`
		} `json:"desired"`
	}
	if err := json.Unmarshal([]byte(body), &twin); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if whole {
		return twin.Desired.Version
	}
	return twin.Version
}

func write(t testing.TB, c io.Writer, line string) {
	t.Helper()
	wire, err := encode(line)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(wire); err != nil {
		t.Fatal(err)
	}
}
