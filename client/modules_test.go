package client_test

import (
	"encoding/json"
	"testing"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/fault"
)

func TestModules(t *testing.T) {
	c, ctx := open(t, "iothubowner"), t.Context()
	if _, err := c.CreateModule(ctx, client.Module{DeviceID: "d1", ID: "m'%2F"}); !is(err, fault.DeviceNotFound) {
		t.Errorf("a module without a device: %v", err)
	}
	createDevices(t, c, "d1")
	created, err := c.CreateModule(ctx, client.Module{DeviceID: "d1", ID: "m'%2F", ManagedBy: "me"})
	if err != nil || created.ManagedBy != "me" || created.Authentication.SymmetricKey.PrimaryKey == "" || created.Etag == "" {
		t.Fatalf("created %+v, %v", created, err)
	}
	if _, err := c.CreateModule(ctx, created); !is(err, fault.ModuleAlreadyExistsOnDevice) {
		t.Errorf("creating again: %v", err)
	}
	read, err := c.Module(ctx, "d1", created.ID)
	if err != nil || read != created {
		t.Errorf("read %+v, %v", read, err)
	}
	read.ManagedBy = ""
	updated, err := c.UpdateModule(ctx, read, read.Etag)
	if err != nil || updated.ManagedBy != "" || updated.Authentication != created.Authentication {
		t.Errorf("updated %+v, %v", updated, err)
	}
	if _, err := c.UpdateModule(ctx, read, created.Etag); !is(err, fault.PreconditionFailed) {
		t.Errorf("updating a stale identity: %v", err)
	}
	list, err := c.ListModules(ctx, "d1")
	if err != nil || len(list) != 1 || list[0] != updated {
		t.Errorf("listed %+v, %v", list, err)
	}

	if _, err := c.PatchTwin(ctx, "d1", created.ID, json.RawMessage(`{"tags":{"a":1}}`), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReplaceTwin(ctx, "d1", created.ID, json.RawMessage(`{"tags":{"b":2}}`), ""); err != nil {
		t.Fatal(err)
	}
	tw, err := c.Twin(ctx, "d1", created.ID)
	if err != nil || tw.DeviceID != "d1" || tw.ModuleID != created.ID || string(tw.Tags) != `{"b":2}` {
		t.Errorf("twin %s, %v", tw.Document, err)
	}
	if err := c.SendMessage(ctx, "d1", created.ID, client.Command{Message: client.Message{Body: []byte("hello")}}); err != nil {
		t.Error(err)
	}
	if n, err := c.PurgeMessages(ctx, "d1", created.ID); n != 1 || err != nil {
		t.Errorf("%d messages purged, %v", n, err)
	}

	if err := c.DeleteModule(ctx, "d1", created.ID, created.Etag); !is(err, fault.PreconditionFailed) {
		t.Errorf("deleting a stale identity: %v", err)
	}
	if err := c.DeleteModule(ctx, "d1", created.ID, ""); err != nil {
		t.Error(err)
	}
	if _, err := c.Module(ctx, "d1", created.ID); !is(err, fault.ModuleNotFound) {
		t.Errorf("reading what was deleted: %v", err)
	}
}
