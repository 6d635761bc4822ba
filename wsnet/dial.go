package wsnet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/gorilla/websocket"
)

// dialBufferSize is a client's buffer for each direction, in bytes. Clients are
// few and send large packets in as many frames as they fill buffers.
const dialBufferSize = 4 << 10

// Dial connects to the WebSocket at url (ws: or wss:), offering protocol as it is
// spelled; "" offers none. The context bounds the handshake only. A server that
// chooses no subprotocol, or another one, is an error. Messages received are
// bounded by DefaultMaxMessage. No proxy is used.
func Dial(ctx context.Context, url, protocol string, config *tls.Config) (net.Conn, error) {
	d := websocket.Dialer{
		TLSClientConfig: config,
		ReadBufferSize:  dialBufferSize,
		WriteBufferSize: dialBufferSize,
	}
	if protocol != "" {
		d.Subprotocols = []string{protocol}
	}
	ws, response, err := d.DialContext(ctx, url, nil)
	switch {
	case err != nil && response != nil:
		return nil, fmt.Errorf("connect to WebSocket %s: server answered %s", url, response.Status)
	case err != nil:
		return nil, fmt.Errorf("connect to WebSocket %s: %w", url, err)
	case !strings.EqualFold(ws.Subprotocol(), protocol):
		ws.Close()
		return nil, fmt.Errorf("connect to WebSocket %s: server chose subprotocol %q, not %q", url, ws.Subprotocol(), protocol)
	}
	return newConn(ws, DefaultMaxMessage), nil
}
