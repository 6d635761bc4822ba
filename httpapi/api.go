package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/injection"
	"github.com/hubtwin/hubtwin/job"
	"github.com/hubtwin/hubtwin/twin"
)

// Config is what the API stands on. Only Websocket may be left out.
type Config struct {
	Hub      *hub.Hub
	Jobs     *job.Manager
	Verifier *auth.Verifier
	Log      *slog.Logger
	// Websocket serves /$iothub/websocket, where devices speak MQTT. It does
	// its own authentication. Without it the path does not exist.
	Websocket http.Handler
	// Faults are those to be injected; nil for none, ever.
	Faults *injection.Table
	// Ending ends when the hub is about to: streams of events end with it. Nil
	// never does.
	Ending context.Context
}

// New makes the handler of the whole API. It starts no goroutines and holds
// none back: once a request is answered nothing of it is left.
//
// The handler bounds bodies. The server must bound the rest: the size of
// headers, and how long a caller may take to send and to receive.
func New(c Config) http.Handler {
	if c.Ending == nil {
		c.Ending = context.Background()
	}
	return &api{Config: c, imports: make(chan struct{}, maxImports)}
}

type api struct {
	Config
	imports chan struct{} // holds one for each import and export under way
}

// ServeHTTP answers one request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := splitPath(r.URL.Path)
	if ok && isWebsocket(path) && a.Websocket != nil {
		a.Websocket.ServeHTTP(w, r)
		return
	}
	began := time.Now()
	rid := newRequestID()
	ans, err := a.serve(w, r, path, rid)
	if err != nil {
		ans = a.failure(r, rid, began, err)
		drain(r)
	}
	ans.write(w, rid)
	if ans.sent != nil {
		ans.sent()
	}
}

// maxDrained bounds what is read of a refused body, in bytes: twice the largest
// that is taken.
const maxDrained = 2 * MaxBulkBody

// drain reads the rest of a refused body. Its sender may read the answer only
// when all is sent, and a connection that is closed before is reset, the answer
// lost. Who asks first whether to send (Expect) is told not to.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" && r.ContentLength <= maxDrained {
		io.CopyN(io.Discard, r.Body, maxDrained)
	}
}

// serve finds the answer. A panic on the way is an error like any other: at
// that point nothing has been written yet.
func (a *api) serve(w http.ResponseWriter, r *http.Request, path []string, rid string) (ans *answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			ans, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	// Whoever has no credentials does not learn what there is at a path.
	e, id, unknown := resolve(method(r), path)
	who, err := a.authenticate(r, e, id)
	if err != nil {
		return nil, err
	}
	parameters := r.URL.Query()
	var rules twin.Rules
	// Some devices send no api-version (device-protocol sheet, 7.1).
	if version := parameters.Get("api-version"); version != "" || who.ID == (device.ID{}) {
		if rules, err = parseVersion(version); err != nil {
			return nil, err
		}
	}
	if unknown != nil {
		return nil, unknown
	}
	if a.Faults != nil {
		if err := a.disturb(r, id); err != nil {
			return nil, err
		}
	}
	return e.serve(a, &call{
		Request: r, w: w, rid: rid, who: who, path: path, id: id, rules: rules, parameters: parameters,
	})
}

// authenticate finds out who calls e: a back end, or the identity id itself, or
// the device that it is a module of.
func (a *api) authenticate(r *http.Request, e endpoint, id device.ID) (auth.Principal, error) {
	token := r.Header.Get("Authorization")
	credentials := auth.Credentials{Token: token, Chain: chainOf(r)}
	if caller, ok := edgeCaller(r); ok && e.edge {
		if caller.Validate() != nil {
			return auth.Principal{}, fault.New(fault.IotHubUnauthorized, "Unauthorized: x-ms-edge-moduleId is not the name of a device or module")
		}
		return a.Verifier.Device(r.Context(), caller, credentials, time.Now())
	}
	if e.device {
		return a.Verifier.Device(r.Context(), id, credentials, time.Now())
	}
	if e.parent && ofDevice(credentials) {
		return a.Verifier.Device(r.Context(), id.Parent(), credentials, time.Now())
	}
	return a.Verifier.Service(r.Context(), token, time.Now())
}

// ofDevice tells whether credentials are those of a device rather than of a back
// end, which has a token of a policy.
func ofDevice(c auth.Credentials) bool {
	if c.Token == "" {
		return c.Chain != nil
	}
	t, err := auth.ParseToken(c.Token)
	return err == nil && t.Policy == ""
}

// chainKey is where the context of a connection has its *lazyChain.
type chainKey struct{}

// lazyChain is the chain of a connection's client, once the handshake is over.
type lazyChain struct {
	once  sync.Once
	chain *auth.Chain
}

// ConnContext is for [http.Server.ConnContext]. With it a client's certificates are
// verified once for each connection, and without it for each request.
func ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, chainKey{}, new(lazyChain))
}

// chainOf is what the client brought to the TLS handshake, nil for nothing.
func chainOf(r *http.Request) *auth.Chain {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	c, ok := r.Context().Value(chainKey{}).(*lazyChain)
	if !ok {
		c = new(lazyChain)
	}
	c.once.Do(func() { c.chain = auth.NewChain(r.TLS.PeerCertificates) })
	return c.chain
}

// newRequestID makes the name of a request: 32 hexadecimal digits, which appear
// in the answer and in the log.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// failure turns an error into an answer. What the caller must not see goes to
// the log, under the request's id.
func (a *api) failure(r *http.Request, rid string, began time.Time, err error) *answer {
	f := fault.Of(err)
	level := slog.LevelDebug
	// A caller who went away is no failure of the hub, nor is a device's silence.
	device := f.Code == fault.GatewayTimeout || f.Code == fault.GenericBadGateway
	if f.Code.Status() >= 500 && !device && r.Context().Err() == nil {
		level = slog.LevelError
	}
	a.Log.LogAttrs(r.Context(), level, "request failed",
		slog.String("rid", rid),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("code", int(f.Code)),
		slog.Duration("took", time.Since(began)),
		slog.Any("error", err),
		slog.Any("cause", f.Unwrap()))
	return faultAnswer(f, err, rid, time.Now())
}
