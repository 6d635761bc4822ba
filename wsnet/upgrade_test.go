package wsnet

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestUpgrade(t *testing.T) {
	for _, c := range []struct {
		name     string
		served   []string
		target   string
		headers  []string // HOST stands for the server's address
		protocol string
		echo     string
		status   string
	}{
		{"mqtt", []string{"mqtt"}, "/$iothub/websocket", []string{"Sec-WebSocket-Protocol: mqtt"}, "mqtt", "mqtt", "101"},
		{"C SDK spelling", []string{"mqtt"}, "/$iothub/websocket", []string{"Sec-WebSocket-Protocol: MQTT"}, "mqtt", "MQTT", "101"},
		{"Java query", []string{"mqtt"}, "/$iothub/websocket?iothub-no-client-cert=true", []string{"Sec-WebSocket-Protocol: mqtt"}, "mqtt", "mqtt", "101"},
		{"none offered", []string{"mqtt", "AMQPWSB10"}, "/$iothub/websocket", nil, "mqtt", "", "101"},
		{"peer's order", []string{"mqtt", "AMQPWSB10"}, "/", []string{"Sec-WebSocket-Protocol: x, amqpwsb10,mqtt"}, "AMQPWSB10", "amqpwsb10", "101"},
		{"two headers", []string{"mqtt"}, "/", []string{"Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: Mqtt"}, "mqtt", "Mqtt", "101"},
		{"AMQP not served", []string{"mqtt"}, "/$iothub/websocket", []string{"Sec-WebSocket-Protocol: AMQPWSB10"}, "", "", "400"},
		{"compression", []string{"mqtt"}, "/", []string{"Sec-WebSocket-Extensions: permessage-deflate"}, "mqtt", "", "101"},
		{"same origin", []string{"mqtt"}, "/", []string{"Origin: https://HOST"}, "mqtt", "", "101"},
		{"foreign origin", []string{"mqtt"}, "/", []string{"Origin: https://evil.example"}, "", "", "403"},
		{"origin on another port", []string{"mqtt"}, "/", []string{"Origin: https://127.0.0.1:1"}, "", "", "403"},
		{"hidden origin", []string{"mqtt"}, "/", []string{"Origin: null"}, "", "", "403"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, conns := serve(t, Upgrader{}, c.served...)
			lines := append([]string{"GET " + c.target + " HTTP/1.1"}, handshake[1:]...)
			for _, h := range c.headers {
				lines = append(lines, strings.Replace(h, "HOST", s.Listener.Addr().String(), 1))
			}
			_, head := raw(t, s, lines...)
			a := <-conns
			if (a.err == nil) != (c.status == "101") || a.protocol != c.protocol {
				t.Errorf("protocol %q, error %v", a.protocol, a.err)
			}
			if a.conn != nil {
				defer a.conn.Close()
			}
			checkHead(t, head, c.status, c.echo)
		})
	}
}

// checkHead wants the spelling and the single blanks that Paho's parser of the
// answer relies on.
func checkHead(t *testing.T, head []string, status, echo string) {
	t.Helper()
	if !strings.HasPrefix(head[0], "HTTP/1.1 "+status+" ") {
		t.Errorf("answer %q, want status %s", head[0], status)
	}
	if status != "101" {
		return
	}
	want := []string{"Upgrade: websocket", "Connection: Upgrade"}
	if echo != "" {
		want = append(want, "Sec-WebSocket-Protocol: "+echo)
	}
	for _, line := range want {
		if !slices.Contains(head, line) {
			t.Errorf("answer %q lacks %q", head, line)
		}
	}
	for _, line := range head {
		if strings.HasPrefix(line, "Sec-WebSocket-Extensions") || echo == "" && strings.HasPrefix(line, "Sec-WebSocket-Protocol") {
			t.Errorf("answer has %q", line)
		}
	}
}

func TestUpgradeRefusesOtherRequests(t *testing.T) {
	for name, c := range map[string]struct {
		lines  []string
		status string
	}{
		"no upgrade": {[]string{"GET / HTTP/1.1"}, "400"},
		"POST":       {append([]string{"POST / HTTP/1.1"}, handshake[1:]...), "405"},
		"short key":  {append([]string{"Sec-WebSocket-Key: eA=="}, handshake[1:4]...), "400"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.HasSuffix(c.lines[0], "HTTP/1.1") {
				c.lines = append([]string{"GET / HTTP/1.1"}, c.lines...)
			}
			s, conns := serve(t, Upgrader{}, "mqtt")
			_, head := raw(t, s, c.lines...)
			if a := <-conns; a.err == nil {
				t.Error("upgraded")
			}
			checkHead(t, head, c.status, "")
		})
	}
}

func TestSameOriginPorts(t *testing.T) {
	for _, c := range [][2]string{{"hub.example.com", "hub.example.com:443"}, {"[::1]", "[::1]:443"}} {
		if withPort(c[0]) != withPort(c[1]) {
			t.Errorf("%q and %q differ", c[0], c[1])
		}
	}
	if withPort("hub.example.com") == withPort("hub.example.com:8443") {
		t.Error("another port counts as the same")
	}
}

func TestDialFails(t *testing.T) {
	s, conns := serve(t, Upgrader{}, "mqtt")
	url := "wss" + strings.TrimPrefix(s.URL, "https")
	if _, err := Dial(t.Context(), url, "AMQPWSB10", clientConfig(s)); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("refused subprotocol: error %v", err)
	}
	<-conns
	if _, err := Dial(t.Context(), url, "mqtt", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown CA: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, url, "mqtt", clientConfig(s)); err == nil {
		t.Error("dialed with an ended context")
	}
}

// A server that does not choose the subprotocol would speak who knows what.
func TestDialWantsItsProtocol(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := upgrader.Upgrade(w, r, nil); err == nil {
			ws.Close()
		}
	}))
	defer s.Close()
	if _, err := Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http"), "mqtt", nil); err == nil || !strings.Contains(err.Error(), "subprotocol") {
		t.Errorf("error %v", err)
	}
}

func TestDialWithoutProtocol(t *testing.T) {
	s, conns := serve(t, Upgrader{}, "mqtt")
	client, err := Dial(t.Context(), "wss"+strings.TrimPrefix(s.URL, "https"), "", clientConfig(s))
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	a := <-conns
	if a.protocol != "mqtt" {
		t.Errorf("protocol %q", a.protocol)
	}
	a.conn.Close()
}
