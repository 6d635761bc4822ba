// Package httpapi is the hub's REST API for back ends: identities, twins,
// queries, direct methods and statistics over HTTPS, in the form that the service
// SDKs, the az command line and IoT Explorer expect. What the cloud has not, and
// we have, stands below /$hubtwin.
//
// It translates and nothing more. What a request means, and whether its caller
// may make it, is for package hub to say; limits of time and of connections,
// TLS, and the size of headers belong to the server around the handler. Devices
// are not served here, but the WebSocket they tunnel MQTT through has a path of
// this API, which is handed on.
//
// # The way of a request
//
//	path ─▶ WebSocket? handed on
//	  │
//	  └─▶ token ─▶ api-version ─▶ route ─▶ body ─▶ use case ─▶ answer
//	       401       400001      404/405   413/415
//
// The first step that fails gives the answer. The token comes first, so that
// without a good one there is nothing to be learned or to be made work: not
// which paths exist, and no byte of the body is read. The right to make a call
// is asked for by the use case, thus last.
//
// An endpoint is a function from a call to an answer or an error; it never
// touches the ResponseWriter. So there is one place where answers are written,
// one where errors are, and one where a panic becomes a 500 (see api.go). Imports and
// exports are streams: their answer is written line by line (see stream.go).
//
// # What is not served yet
//
// Scheduled jobs, configurations, digital twins but for their commands, and key
// regeneration (404000).
//
// Begin at [New], then routing.go, then twins.go.
package httpapi
