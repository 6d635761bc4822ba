// Package client speaks to a hub as a back end does, over its REST API:
// identities, twins, queries and statistics. It is for Go programs, for the
// command line, and for tests from end to end.
//
// It is not a device: devices speak MQTT. It knows nothing of a hub's inside and
// works with every hub that has this API.
//
// A client signs its own tokens, renews them, and may be used by many
// goroutines at once. It retries nothing and has no timeouts of its own: the
// context given to a call is its limit. Failures that the hub answers with are
// [*Error]; all others are of the way there.
//
// Begin at [New].
package client
