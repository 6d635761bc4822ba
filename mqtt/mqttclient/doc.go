// Package mqttclient is one end of an MQTT 3.1.1 connection as a device has it:
// it connects, sends packets that gather in a buffer, and hands out packets as
// they come.
//
// It starts no goroutine, keeps no session and sends nothing of its own accord:
// answers, keep-alive and reconnecting belong to its caller. So ten thousand of
// them are as many sockets and one goroutine each, and a benchmark can count
// every system call.
//
// Begin at [Dial].
package mqttclient
