package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/presence"
)

// echo is a device that answers each call with the call.
type echo struct{}

func (echo) Desired(presence.DesiredChange) {}
func (echo) Wake()                          {}
func (echo) Close(error)                    {}

func (echo) Invoke(c presence.MethodCall, answered func(presence.MethodAnswer, error)) (func(), error) {
	answered(presence.MethodAnswer{Status: 202, Payload: []byte(`["` + c.Name + `",` + string(c.Payload) + `]`)}, nil)
	return func() {}, nil
}

func TestInvokeMethod(t *testing.T) {
	h, connectionStrings, roots, stop := startHub()
	defer stop()
	c, err := client.New(connectionStrings["iothubowner"], client.Options{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	if _, err := c.CreateDevice(ctx, client.Device{ID: "d1"}); err != nil {
		t.Fatal(err)
	}
	m := client.Method{Name: "a*b", Payload: []byte(`{"n":1}`), ResponseTimeout: time.Minute, ConnectTimeout: time.Second}
	for target, want := range map[[2]string]struct {
		code fault.Code
		text string
	}{
		{"d2"}:       {fault.DeviceNotFound, `device "d2" is not registered (DeviceNotFound, HTTP 404)`},
		{"d1"}:       {fault.DeviceNotOnline, `The operation failed because the requested device isn't online: "d1" is not connected (DeviceNotOnline, HTTP 404)`},
		{"d1", "m1"}: {fault.ModuleNotFound, `module "d1/m1" is not registered (ModuleNotFound, HTTP 404)`},
	} {
		_, err := c.InvokeMethod(ctx, target[0], target[1], m)
		var e *client.Error
		if !errors.As(err, &e) || e.Code != want.code || !strings.HasSuffix(e.Error(), want.text) {
			t.Errorf("%s: %v", target, err)
		}
	}

	identity, err := h.Secrets().Identity(ctx, device.ID{Device: "d1"})
	if err != nil {
		t.Fatal(err)
	}
	connection, err := h.Connect(ctx, auth.Principal{Permissions: auth.DeviceConnect, ID: identity.ID, IdentityEtag: identity.Etag}, echo{}, true, "")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	for want, m := range map[string]client.Method{`["a*b",{"n":1}]`: m, `["c",null]`: {Name: "c"}} {
		a, err := c.InvokeMethod(ctx, "d1", "", m)
		if err != nil || a.Status != 202 || string(a.Payload) != want || string(a.Document) != `{"status":202,"payload":`+want+`}` {
			t.Errorf("%s: %d %s, %v", a.Document, a.Status, a.Payload, err)
		}
	}
}
