// Package hub is the hub itself: one short method for each use case, whichever
// front end it comes from.
//
// A use case checks the caller's rights, builds the next state of one identity
// from its newest one, commits the difference together with the event that
// tells of it, and answers once that is durable. Everything that follows from a
// commit (desired notifications, closing the connection of a device that was
// disabled) is done by followers, from the commit log: see follow.go.
//
// # Newest and durable
//
// Each identity in use has a head: its newest state, on which the next change
// builds, and its durable state, which readers see. Changes of one identity are
// submitted in order under the lock of its head and do not wait for each other,
// so a device that sends many patches at once has them in one fsync. See
// heads.go.
//
// # Locks
//
// A shard's lock is held for map access only. A head's lock is held while a
// state is loaded, while the next state is computed, and while it is submitted.
// Callbacks of the store take no head's lock: Submit may block inside one. The
// lock of connectionStates comes after a head's, and that of presence after it.
//
// Begin at [Hub], then twins.go.
package hub
