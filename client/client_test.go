package client_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/httpapi"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startHub runs a hub in memory behind TLS. It gives the hub, the connection strings of
// its policies by name, and the authority of its certificate.
func startHub() (h *hub.Hub, strings map[string]string, roots *x509.CertPool, stop func()) {
	st := memory.New()
	log := slog.New(slog.DiscardHandler)
	h, err := hub.Open(context.Background(), hub.Config{Store: st, Log: log})
	if err != nil {
		panic(err)
	}
	server := httptest.NewUnstartedServer(httpapi.New(httpapi.Config{
		Hub: h, Verifier: &auth.Verifier{Keys: h.Secrets(), Hosts: []string{"127.0.0.1"}}, Log: log,
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	strings = map[string]string{}
	for _, p := range h.Policies() {
		strings[p.Name] = "HostName=" + server.Listener.Addr().String() +
			";SharedAccessKeyName=" + p.Name + ";SharedAccessKey=" + p.PrimaryKey
	}
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return h, strings, roots, func() {
		server.Close()
		h.Close()
		st.Close()
	}
}

// open starts a hub and gives a client of it, for a policy.
func open(t *testing.T, policy string) *client.Client {
	t.Helper()
	_, connectionStrings, roots, stop := startHub()
	c, err := client.New(connectionStrings[policy], client.Options{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		stop()
	})
	return c
}

func TestIdentityLife(t *testing.T) {
	c, ctx := open(t, "iothubowner"), t.Context()

	created, err := c.CreateDevice(ctx, client.Device{ID: "pump-7%2F'x"})
	if err != nil {
		t.Fatal(err)
	}
	if created.Status != "enabled" || created.Authentication.SymmetricKey.PrimaryKey == "" || created.Etag == "" {
		t.Errorf("created %+v", created)
	}
	if _, err := c.CreateDevice(ctx, created); !is(err, fault.DeviceAlreadyExists) {
		t.Errorf("creating again: %v", err)
	}

	read, err := c.Device(ctx, created.ID)
	if err != nil || read.Etag != created.Etag || read.Authentication != created.Authentication {
		t.Errorf("read %+v, %v", read, err)
	}

	read.Status, read.StatusReason = "disabled", "in repair"
	updated, err := c.UpdateDevice(ctx, read, read.Etag)
	if err != nil || updated.Status != "disabled" || updated.StatusReason != "in repair" || updated.Authentication != created.Authentication {
		t.Errorf("updated %+v, %v", updated, err)
	}
	if _, err := c.UpdateDevice(ctx, read, created.Etag); !is(err, fault.PreconditionFailed) {
		t.Errorf("updating a stale identity: %v", err)
	}
	if _, err := c.UpdateDevice(ctx, updated, ""); err != nil {
		t.Errorf("updating whatever is there: %v", err)
	}
	if _, err := c.UpdateDevice(ctx, client.Device{ID: "d9"}, ""); !is(err, fault.DeviceNotFound) {
		t.Errorf("updating what is not there: %v", err)
	}

	list, err := c.ListDevices(ctx, 0)
	if err != nil || len(list) != 1 || list[0].ID != created.ID {
		t.Errorf("listed %+v, %v", list, err)
	}

	if err := c.DeleteDevice(ctx, created.ID, created.Etag); !is(err, fault.PreconditionFailed) {
		t.Errorf("deleting a stale identity: %v", err)
	}
	if err := c.DeleteDevice(ctx, created.ID, ""); err != nil {
		t.Error(err)
	}
	if _, err := c.Device(ctx, created.ID); !is(err, fault.DeviceNotFound) {
		t.Errorf("reading what was deleted: %v", err)
	}
}

func is(err error, code fault.Code) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Code == code
}

func TestListTop(t *testing.T) {
	c, ctx := open(t, "iothubowner"), t.Context()
	createDevices(t, c, "d1", "d2", "d3")
	list, err := c.ListDevices(ctx, 2)
	if err != nil || len(list) != 2 || list[1].ID != "d2" {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func createDevices(t *testing.T, c *client.Client, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if _, err := c.CreateDevice(t.Context(), client.Device{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwin(t *testing.T) {
	c, ctx := open(t, "iothubowner"), t.Context()
	createDevices(t, c, "d1")

	fresh, err := c.Twin(ctx, "d1", "")
	if err != nil || fresh.DeviceID != "d1" || fresh.Version != 2 || fresh.Tags != nil || !json.Valid(fresh.Document) {
		t.Errorf("fresh twin %+v, %v", fresh, err)
	}

	// Text goes there and back as it was written.
	patched, err := c.PatchTwin(ctx, "d1", "", json.RawMessage(`{"tags": {"n": 1.0, "s": "a<b&c"}, "properties": {"desired": {"rate": 5}}}`), fresh.Etag)
	if err != nil || string(patched.Tags) != `{"n":1.0,"s":"a<b&c"}` || !strings.HasPrefix(string(patched.Properties.Desired), `{"rate":5,"$metadata":`) {
		t.Errorf("patched twin %s, %v", patched.Document, err)
	}
	if patched.Etag == fresh.Etag || !strings.Contains(string(patched.Properties.Reported), `"$version":1`) {
		t.Errorf("patched twin %s", patched.Document)
	}

	if _, err := c.PatchTwin(ctx, "d1", "", json.RawMessage(`{}`), fresh.Etag); !is(err, fault.PreconditionFailed) {
		t.Errorf("patching a stale twin: %v", err)
	}
	if _, err := c.ReplaceTwin(ctx, "d1", "", json.RawMessage(`{}`), fresh.Etag); !is(err, fault.PreconditionFailed) {
		t.Errorf("replacing a stale twin: %v", err)
	}

	replaced, err := c.ReplaceTwin(ctx, "d1", "", json.RawMessage(`{"tags":{"b":2}}`), "")
	if err != nil || string(replaced.Tags) != `{"b":2}` || strings.Contains(string(replaced.Document), "rate") {
		t.Errorf("replaced twin %s, %v", replaced.Document, err)
	}
	if _, err := c.PatchTwin(ctx, "d1", "", nil, ""); !is(err, fault.ArgumentNull) {
		t.Errorf("patching with nothing: %v", err)
	}
}

func TestExplain(t *testing.T) {
	c, ctx := open(t, "iothubowner"), t.Context()
	createDevices(t, c, "d1", "d2", "d3")
	plan, err := c.Explain(ctx, "SELECT * FROM devices WHERE deviceId != 'd2'")
	if err != nil {
		t.Fatal(err)
	}
	if plan.Position == 0 || plan.Documents != 3 || plan.Rows != 2 {
		t.Errorf("%+v", plan)
	}
	if len(plan.Steps) != 1 || plan.Steps[0].Predicate != "deviceId != 'd2'" || plan.Steps[0].On == "" || plan.Steps[0].Rows != 2 {
		t.Errorf("steps %+v", plan.Steps)
	}
	if !json.Valid(plan.Document) || !strings.Contains(string(plan.Document), `"steps":[{`) {
		t.Errorf("document %s", plan.Document)
	}
	if _, err := c.Explain(ctx, "SELECT"); !is(err, fault.ArgumentInvalid) {
		t.Errorf("a query with a mistake: %v", err)
	}
}

func TestQuery(t *testing.T) {
	c, ctx := open(t, "iothubowner"), t.Context()
	createDevices(t, c, "d1", "d2", "d3", "d4", "d5")

	var sizes []int
	var rows []string
	for page, err := range c.Query(ctx, "SELECT deviceId FROM devices", 2) {
		if err != nil {
			t.Fatal(err)
		}
		if page.ItemType != "Raw" {
			t.Errorf("item type %q", page.ItemType)
		}
		sizes = append(sizes, len(page.Rows))
		for _, row := range page.Rows {
			rows = append(rows, string(row))
		}
	}
	if !slices.Equal(sizes, []int{2, 2, 1}) {
		t.Errorf("pages of %v", sizes)
	}
	if want := `{"deviceId":"d1"} {"deviceId":"d2"} {"deviceId":"d3"} {"deviceId":"d4"} {"deviceId":"d5"}`; strings.Join(rows, " ") != want {
		t.Errorf("rows %s", rows)
	}

	pages := 0
	for range c.Query(ctx, "SELECT * FROM devices", 1) {
		if pages++; pages == 2 {
			break
		}
	}
	if pages != 2 {
		t.Errorf("the loop went on to page %d", pages)
	}

	var failures []error
	for _, err := range c.Query(ctx, "SELECT", 0) {
		failures = append(failures, err)
	}
	if len(failures) != 1 || !is(failures[0], fault.ArgumentInvalid) {
		t.Errorf("a bad query gave %v", failures)
	}
}

func TestStatistics(t *testing.T) {
	c, ctx := open(t, "iothubowner"), t.Context()
	createDevices(t, c, "d1", "d2")
	if _, err := c.CreateDevice(ctx, client.Device{ID: "d3", Status: "disabled"}); err != nil {
		t.Fatal(err)
	}
	s, err := c.Statistics(ctx)
	if want := (client.Statistics{Total: 3, Enabled: 2, Disabled: 1}); err != nil || s != want {
		t.Errorf("got %+v, %v", s, err)
	}
}

// The text of an error must do without a look into the documentation.
func TestErrorText(t *testing.T) {
	c, ctx := open(t, "service"), t.Context()
	_, notFound := c.Twin(ctx, "pump-7", "")
	_, noRight := c.Device(ctx, "pump-7")
	for _, test := range []struct {
		err  error
		want string
	}{
		{notFound, `device "pump-7" is not registered (DeviceNotFound, HTTP 404)`},
		{noRight, `Unauthorized: policy "service" lacks the right RegistryRead (IotHubUnauthorizedAccess, HTTP 401)`},
	} {
		if test.err == nil || test.err.Error() != test.want {
			t.Errorf("got %v\nwant %s", test.err, test.want)
		}
	}
	var e *client.Error
	if !errors.As(notFound, &e) || e.Status != 404 || e.Name != "DeviceNotFound" || e.Message != "pump-7" || len(e.RequestID) != 32 {
		t.Errorf("got %+v", e)
	}
}

// An ended context ends a call; it is no *Error, because no hub answered.
func TestContext(t *testing.T) {
	c := open(t, "iothubowner")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Twin(ctx, "d1", "")
	if !errors.Is(err, context.Canceled) || errors.As(err, new(*client.Error)) {
		t.Errorf("got %v", err)
	}
}

// A certificate of an authority that the client was not told of is refused.
func TestUnknownAuthority(t *testing.T) {
	_, connectionStrings, _, stop := startHub()
	defer stop()
	c, err := client.New(connectionStrings["service"], client.Options{RootCAs: x509.NewCertPool()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var unknown x509.UnknownAuthorityError
	if _, err := c.Twin(t.Context(), "d1", ""); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}

// Answers of something that is no hub.
func TestStrangeAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"proxy", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, "Bad Gateway (HTTP 502)"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				w.Write([]byte(`{"deviceId":"stolen"}`))
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "Temporary Redirect (HTTP 307)"},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }, "is not what a hub sends"},
		{"code in the body only", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
			w.Write([]byte(`{"Message":"ErrorCode:ThrottlingException;slow down","ExceptionMessage":""}`))
		}, "slow down (ThrottlingException, HTTP 429)"},
		{"other JSON", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.Write([]byte(`{"message":"module gone"}`))
		}, "module gone (HTTP 404)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewTLSServer(test.answer)
			defer server.Close()
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			c, err := client.New("HostName="+server.Listener.Addr().String()+";SharedAccessKeyName=x;SharedAccessKey=AAAA", client.Options{RootCAs: roots})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Device(t.Context(), "d1"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
