// Package injection makes a hub fail on purpose, for the tests of those who must
// cope with it. A [Rule] says whose requests, which of them, what happens to
// them in place of the usual, and how often or how long; a [Table] holds the
// rules in force.
//
//	request ──▶ Table.Meet ──▶ nothing? ──▶ as usual
//	                 └───────▶ Effect: fail with a code, wait, or no answer at all
//
// The front ends ask the table and carry the effect out; the table knows neither
// connections nor transports. It is in memory only, and every rule ends: a hub
// that fails on purpose must not go on doing so for ever. A nil *Table has no
// rules, which is a hub without fault injection.
//
// Begin at [Rule] and [Table.Meet]; sdk.go has the orders that the SDKs' own
// tests send as telemetry.
package injection
