// Package mqtt is the front end for devices that speak MQTT 3.1.1: it turns
// packets and the $iothub/ topics into calls of the hub, and what the hub
// answers or announces into packets.
//
// It is not a broker. No message goes from one client to another, every device
// has a private copy of the same topics, and a topic outside the hub's own ends
// the connection. The codec is package packet; TLS and WebSocket come as a
// net.Conn.
//
// # A connection
//
//	accept ──▶ admitting ──────────────▶ connected ─────────▶ ended
//	           TLS handshake,            loop: read, act,     out of the hub,
//	           CONNECT, CONNACK          flush                socket closed
//	               │  refused: CONNACK       │  DISCONNECT, end of input,
//	               └──────────▶ ended        │  a broken rule, keep-alive,
//	                                         │  token expired, taken over,
//	                                         └─ revoked, slow, shutdown ──▶ ended
//
// The goroutine of [Server.ServeConn] reads, decodes in place and acts. Admission
// runs in a goroutine of its own, whose stack, grown by handshakes and
// signatures, ends with it: an idle connection keeps a small one.
//
// Calls of the hub return at once; it answers later, in order, from its own
// goroutines. Answers are appended to the connection's output, which is written
// either by the reading goroutine, when it has worked off its input, or by a
// flusher, a goroutine that lives while there is something to write. So the
// answers to many requests share a write, and a client that does not read holds
// up nobody but itself. See output.go.
//
// # Locks
//
// There is one: that of the output. It is held for appends, never for I/O, a
// call of the hub, or a wait other than on its own condition.
//
// Begin at [Server.ServeConn], then conn.go.
package mqtt
