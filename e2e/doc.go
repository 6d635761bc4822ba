// Package e2e holds tests only: a real hub process, and the official SDKs as
// they come from npm talking to it over real sockets with real TLS.
//
// They need Node and the packages of examples/tutorial (make test installs
// them), and port 443 on a loopback address, because the service SDK for Node
// has no way to be told another one.
package e2e
