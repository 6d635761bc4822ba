package wsnet

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/websocket"
)

// DefaultMaxMessage bounds a message when an Upgrader sets nothing else, in
// bytes: the hub's largest packet (256 KB of payload and a 64 KB topic) and room
// for others beside it.
const DefaultMaxMessage = 512 << 10

// Upgrader turns HTTP requests into connections (device-protocol 1.1). The zero
// Upgrader is ready to use.
type Upgrader struct {
	// MaxMessage bounds what one message may bring, in bytes; 0 means
	// DefaultMaxMessage. A larger one closes the connection with code 1009. It is a
	// bound on what a peer may do, not memory: messages are never held whole.
	MaxMessage int64
}

// Upgrade answers r with a switch to WebSocket and returns the connection and
// which of protocols, the subprotocols served here (at least one), the peer
// speaks.
//
// The peer's first subprotocol that is served wins, whatever its case, and is
// echoed in the peer's own spelling: the C SDK says MQTT, and Paho insists on an
// echo. A peer that offers none gets protocols[0]. One that offers only others,
// as AMQPWSB10 where AMQP is not served, is refused with 400. The path and query
// are the caller's business. Compression is never negotiated.
//
// A request with an Origin, which browsers always send, must come from the host
// it is made to, else 403: a browser presents an installed client certificate to
// any host a page names, so a foreign page could act as that device. (Python's
// Paho sends an Origin too, of the host itself.)
//
// When Upgrade fails it has answered the request; the error is for the log. When
// it succeeds, the handler should hand the connection to a fresh goroutine and
// return, because net/http's own, with its grown stack and 4 KB buffer, would
// otherwise stay for as long as the connection lives.
func (u Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, protocols ...string) (net.Conn, string, error) {
	protocol, spelling, ok := choose(offered(r.Header), protocols)
	if !ok {
		http.Error(w, "none of the offered WebSocket subprotocols is served here", http.StatusBadRequest)
		return nil, "", fmt.Errorf("WebSocket subprotocols %q are not served", r.Header.Values("Sec-Websocket-Protocol"))
	}
	// The library would compare with case, so it is told the answer instead.
	header := http.Header{}
	if spelling != "" {
		header.Set("Sec-Websocket-Protocol", spelling)
	}
	ws, err := upgrader.Upgrade(w, r, header)
	if err != nil {
		return nil, "", fmt.Errorf("upgrade to WebSocket: %w", err)
	}
	limit := u.MaxMessage
	if limit == 0 {
		limit = DefaultMaxMessage
	}
	return newConn(ws, limit), protocol, nil
}

var upgrader = websocket.Upgrader{
	ReadBufferSize:  bufferSize,
	WriteBufferSize: bufferSize,
	WriteBufferPool: &writeBuffers,
	CheckOrigin:     sameOrigin,
}

// offered lists the subprotocols of a request in the peer's order of preference.
// net/http has bounded the headers.
func offered(h http.Header) []string {
	var names []string
	for _, line := range h.Values("Sec-Websocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// choose picks the first of offered that is among served: its name there, and
// the peer's spelling, which is empty if the peer offered nothing.
func choose(offered, served []string) (protocol, spelling string, ok bool) {
	if len(offered) == 0 {
		return served[0], "", true
	}
	for _, name := range offered {
		for _, s := range served {
			if strings.EqualFold(name, s) {
				return s, name, true
			}
		}
	}
	return "", "", false
}

// sameOrigin tells whether a request has no Origin, or one whose host and port
// are those the request is made to.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(withPort(u.Host), withPort(r.Host))
}

// withPort adds the port that clients may leave out.
func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "443")
}
