// Package route decides where events go: which routes a message matches, which
// endpoints get it for that, and what is added to it on the way.
//
//	Config ──Compile──► Table ──Route──► streams of endpoints ──► Endpoint
//	JSON                pure             kept by the hub          webhook, file
//
// A [Config] is what people write, in the JSON form of the service's
// properties.routing. A [Table] is that, checked and compiled; it is pure and does
// not change. An [Endpoint] takes events out of the hub. That events are kept
// until an endpoint has taken them, and are offered again if it has not, is the
// hub's part: it writes each event into a stream of the event log for every
// endpoint that gets it, in the commit that the event tells of.
//
// Begin at [Parse] and [Table.Route]. Conditions are package query's.
package route
