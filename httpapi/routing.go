package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// serveFunc answers one kind of request. It returns a *fault.Error for whatever
// the caller can act on.
type serveFunc func(*api, *call) (*answer, error)

// endpoint is one kind of request, and who may make it.
type endpoint struct {
	serve serveFunc
	// device says that the identity in the path calls, with credentials of its
	// own, and not a back end.
	device bool
	// edge says that a device may call as well, if a header names it (see
	// edgeCaller).
	edge bool
	// parent says that the device in the path may call as well, with credentials
	// of its own (device-protocol sheet, 7.5).
	parent bool
}

func back(f serveFunc) endpoint { return endpoint{serve: f} }

// ofModule is an endpoint for the identities of modules, whose failures have a
// form of their own (REST sheet, 0.3).
func ofModule(f serveFunc) endpoint {
	return endpoint{parent: true, serve: func(a *api, c *call) (*answer, error) {
		ans, err := f(a, c)
		if err != nil {
			return nil, &nestedFailure{err}
		}
		return ans, nil
	}}
}

// row is a path with the methods it takes. In a pattern, names in braces stand
// for any segment; {id} and {mid} are the identity.
type row struct {
	pattern []string
	methods methods
}

type methods map[string]endpoint

// rows is the endpoint map (REST sheet, 0). What begins with $hubtwin is ours:
// the cloud has nothing there, and no id can be in its place. The first row that has both the
// path and the method serves, so a literal before an id outranks it; the id
// "query" stays within reach of the methods that the literal does not take.
var rows = []row{
	{segments("devices/query"), methods{http.MethodPost: back((*api).query)}},
	{segments("$hubtwin/explain"), methods{http.MethodPost: back((*api).explain)}},
	{segments("$hubtwin/import"), methods{http.MethodPost: back((*api).importLines)}},
	{segments("$hubtwin/export"), methods{http.MethodGet: back((*api).exportLines)}},
	{segments("$hubtwin/faults"), methods{
		http.MethodGet: back((*api).listFaults), http.MethodPost: back((*api).addFault), http.MethodDelete: back((*api).clearFaults),
	}},
	{segments("$hubtwin/faults/{id}"), methods{http.MethodDelete: back((*api).clearFaults)}},
	{segments("$hubtwin/faults/disconnect/{id}"), methods{http.MethodPost: back((*api).disconnect)}},
	{segments("devices"), methods{http.MethodGet: back((*api).listDevices), http.MethodPost: back((*api).bulk)}},
	{segments("devices/{id}"), methods{
		http.MethodGet: back((*api).getIdentity), http.MethodPut: back((*api).putIdentity), http.MethodDelete: back((*api).deleteIdentity),
	}},
	{segments("devices/{id}/messages/events"), sendEvents},
	{segments("devices/{id}/modules/{mid}/messages/events"), sendEvents},
	{segments("devices/{id}/files"), beginUpload},
	{segments("devices/{id}/modules/{mid}/files"), beginUpload},
	{segments("devices/{id}/files/notifications"), endUpload},
	{segments("devices/{id}/files/notifications/{correlation}"), endUpload},
	{segments("devices/{id}/modules/{mid}/files/notifications"), endUpload},
	{segments("devices/{id}/modules/{mid}/files/notifications/{correlation}"), endUpload},
	{segments("devices/{id}/messages/devicebound"), deviceboundMethods},
	{segments("devices/{id}/messages/devicebound/{token}"), settleMethods},
	{segments("devices/{id}/messages/devicebound/{token}/abandon"), abandonMethods},
	{segments("devices/{id}/commands"), purgeMethods},
	{segments("devices/{id}/modules/{mid}/messages/devicebound"), deviceboundMethods},
	{segments("devices/{id}/modules/{mid}/messages/devicebound/{token}"), settleMethods},
	{segments("devices/{id}/modules/{mid}/messages/devicebound/{token}/abandon"), abandonMethods},
	{segments("devices/{id}/modules/{mid}/commands"), purgeMethods},
	{segments("messages/servicebound/feedback"), methods{http.MethodGet: back((*api).receiveFeedback)}},
	{segments("messages/servicebound/feedback/{token}"), methods{http.MethodDelete: back((*api).completeFeedback)}},
	{segments("messages/servicebound/feedback/{token}/abandon"), methods{http.MethodPost: back((*api).abandonFeedback)}},
	{segments("$hubtwin/events"), methods{http.MethodGet: back((*api).readEvents)}},
	{segments("$hubtwin/certificates"), methods{http.MethodGet: back((*api).listCertificates)}},
	{segments("$hubtwin/certificates/{name}"), methods{
		http.MethodGet: back((*api).getCertificate), http.MethodPut: back((*api).addCertificate), http.MethodDelete: back((*api).deleteCertificate),
	}},
	{segments("$hubtwin/certificates/{name}/verify"), methods{http.MethodPost: back((*api).verifyCertificate)}},
	{segments("$hubtwin/certificates/{name}/enable"), methods{http.MethodPost: back((*api).enableCertificate)}},
	{segments("$hubtwin/certificates/{name}/disable"), methods{http.MethodPost: back((*api).disableCertificate)}},
	{segments("$hubtwin/routing"), methods{http.MethodGet: back((*api).getRouting), http.MethodPut: back((*api).putRouting)}},
	{segments("$hubtwin/routing/endpoints"), methods{http.MethodGet: back((*api).listEndpoints)}},
	{segments("$hubtwin/routing/test"), methods{http.MethodPost: back((*api).testRouting)}},
	{segments("devices/{id}/modules"), methods{http.MethodGet: ofModule((*api).listModules)}},
	{segments("devices/{id}/modules/{mid}"), methods{
		http.MethodGet: ofModule((*api).getIdentity), http.MethodPut: ofModule((*api).putIdentity), http.MethodDelete: ofModule((*api).deleteIdentity),
	}},
	{segments("twins/{id}"), twinMethods},
	{segments("twins/{id}/modules/{mid}"), twinMethods},
	{segments("twins/{id}/methods"), methods{http.MethodPost: invocation}},
	{segments("twins/{id}/modules/{mid}/methods"), methods{http.MethodPost: invocation}},
	{segments("digitaltwins/{id}/commands/{command}"), methods{http.MethodPost: back((*api).invokeCommand)}},
	{segments("digitaltwins/{id}/components/{component}/commands/{command}"), methods{http.MethodPost: back((*api).invokeCommand)}},
	{segments("jobs/create"), methods{http.MethodPost: back((*api).createJob)}},
	{segments("jobs"), methods{http.MethodGet: back((*api).listJobs)}},
	{segments("jobs/{id}"), methods{http.MethodGet: back((*api).getJob), http.MethodDelete: back((*api).cancelJob)}},
	{segments("statistics/devices"), methods{http.MethodGet: back((*api).deviceStatistics)}},
	{segments("statistics/service"), methods{http.MethodGet: back((*api).serviceStatistics)}},
}

var twinMethods = methods{
	http.MethodGet: back((*api).getTwin), http.MethodPatch: back((*api).patchTwin), http.MethodPut: back((*api).putTwin),
}

var (
	beginUpload = methods{http.MethodPost: {serve: (*api).beginUpload, device: true}}
	endUpload   = methods{http.MethodPost: {serve: (*api).endUpload, device: true}}
)

var sendEvents = methods{http.MethodPost: {serve: (*api).sendEvents, device: true}}
var invocation = endpoint{serve: (*api).invokeMethod, edge: true}

var (
	deviceboundMethods = methods{
		http.MethodGet:  {serve: (*api).receiveMessage, device: true},
		http.MethodPost: back((*api).sendMessage),
	}
	settleMethods  = methods{http.MethodDelete: {serve: (*api).settleMessage, device: true}}
	abandonMethods = methods{http.MethodPost: {serve: (*api).abandonMessage, device: true}}
	purgeMethods   = methods{http.MethodDelete: back((*api).purgeMessages)}
)

func segments(path string) []string { return strings.Split(path, "/") }

// splitPath cuts a path into its segments. It takes a path that net/http has
// unescaped as a whole, because that is how IoT Explorer wants to be read: it
// sends /devices%2Fquery (REST sheet, 0.2). Ids hold no slash, so nothing is
// lost. One slash at the end means nothing; other empty segments, and those
// that proxies and clients resolve, are no path of this API.
func splitPath(path string) (list []string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	if !ok {
		return nil, false
	}
	list = segments(strings.TrimSuffix(path, "/"))
	for _, s := range list {
		if s == "" || s == "." || s == ".." {
			return nil, false
		}
	}
	return list, true
}

// isWebsocket tells whether the path is where devices open a WebSocket
// (device-protocol sheet, 1.1). Some escape the dollar sign, which is the same
// once unescaped.
func isWebsocket(path []string) bool {
	return len(path) == 2 && strings.EqualFold(path[0], "$iothub") && strings.EqualFold(path[1], "websocket")
}

// method is what the request asks for. Java's SDK can not send PATCH and sends
// POST with a header that says so (REST sheet, 0.2).
func method(r *http.Request) string {
	if r.Method == http.MethodPost && strings.EqualFold(r.Header.Get("X-HTTP-Method-Override"), http.MethodPatch) {
		return http.MethodPatch
	}
	return r.Method
}

// resolve finds the endpoint for a path, and the id in it. The failures are
// GenericNotFound, GenericMethodNotAllowed (with the methods of the path) and,
// for an id that nothing can have, ArgumentInvalid.
func resolve(method string, path []string) (endpoint, device.ID, error) {
	var allowed []string
	for i := range rows {
		id, ok := rows[i].match(path)
		if !ok {
			continue
		}
		if e, ok := rows[i].methods[method]; ok {
			return e, id, validate(id)
		}
		for m := range rows[i].methods {
			allowed = append(allowed, m)
		}
	}
	if allowed == nil {
		return endpoint{}, device.ID{}, fault.New(fault.GenericNotFound, "there is nothing at this path, or this version of the hub does not serve it yet")
	}
	slices.Sort(allowed)
	return endpoint{}, device.ID{}, methodNotAllowed(method, slices.Compact(allowed))
}

// validate checks the id of a path that has one.
func validate(id device.ID) error {
	if id == (device.ID{}) {
		return nil
	}
	return id.Validate()
}

// match tells whether path has the row's pattern, and gives the id in it.
func (w *row) match(path []string) (id device.ID, ok bool) {
	if len(path) != len(w.pattern) {
		return id, false
	}
	for i, want := range w.pattern {
		switch {
		case want == "{id}":
			id.Device = path[i]
		case want == "{mid}":
			id.Module = path[i]
		case want == path[i], want[0] == '{':
		case strings.HasSuffix(want, "bound") && strings.EqualFold(want, path[i]):
			// deviceBound has two spellings (device-protocol sheet, 7.1).
		default:
			return id, false
		}
	}
	return id, true
}
