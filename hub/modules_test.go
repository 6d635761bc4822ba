package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

// put is PutIdentity of a body. Etag "" creates.
func put(t testing.TB, h *hub.Hub, name, body string, c hub.Condition) (device.Identity, error) {
	t.Helper()
	want, err := device.ParseIdentity([]byte(body), named(name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.PutIdentity(context.Background(), owner, want, c)
	return d.Identity, err
}

func mustPut(t testing.TB, h *hub.Hub, name, body string, c hub.Condition) device.Identity {
	t.Helper()
	i, err := put(t, h, name, body, c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// modules are the ids of a device's modules.
func modules(t testing.TB, h *hub.Hub, name string) []string {
	t.Helper()
	list, err := h.Modules(context.Background(), owner, named(name))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, d := range list {
		names = append(names, d.Identity.ID.Module)
	}
	return names
}

func wantModules(t testing.TB, h *hub.Hub, name string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), modules(t, h, name)); diff != "" {
		t.Errorf("modules of %q (-want +got):\n%s", name, diff)
	}
}

// A device that is deleted takes its modules with it: identities, twins, sessions,
// messages and connections. Nobody else's.
func TestModulesGoWithTheirDevice(t *testing.T) {
	ctx := context.Background()
	m := memory.New()
	defer m.Close()
	h := open(t, m)
	register(t, h, "d")
	register(t, h, "d-")
	register(t, h, "d-/b")
	i := register(t, h, "d/b")
	register(t, h, "d/a")
	wantModules(t, h, "d", "a", "b")
	patch(t, h, "d/b", `{"tags":{"a":1}}`)
	sendMessage(t, h, "d/b", toDevice("1", "", 0))
	told := newRecorder()
	c := connect(t, h, i, told, false)
	defer c.Close()
	if err := h.DeleteIdentity(ctx, owner, named("d"), hub.Any); err != nil {
		t.Fatal(err)
	}
	told.wait(func() bool { return told.closed != nil })
	if _, err := h.Identity(ctx, owner, i.ID); !fault.Is(err, fault.DeviceNotFound) {
		t.Errorf("the module of a device that is gone: %v", err)
	}
	_, err := h.Twin(ctx, owner, i.ID)
	wantFault(t, err, fault.DeviceNotFound)
	if n := h.MessageRecords(); n.Bodies+n.Expiries != 0 {
		t.Errorf("left behind: %+v", n)
	}
	register(t, h, "d")
	wantModules(t, h, "d")
	wantModules(t, h, "d-", "b")
	if err := h.DeleteIdentity(ctx, owner, named("d-/b"), hub.Any); err != nil {
		t.Fatal(err)
	}
	wantModules(t, h, "d-")
	for _, name := range []string{"d", "d-"} {
		if err := h.DeleteIdentity(ctx, owner, named(name), hub.Any); err != nil {
			t.Fatal(err)
		}
	}
	wantNoRecords(t, m)
}

// Of many who register modules at once exactly as many succeed as there is room
// for. The hub's own take no room.
func TestModulesHaveALimit(t *testing.T) {
	h := open(t, nil)
	mustPut(t, h, "d", `{"capabilities":{"iotEdge":true}}`, "")
	var made atomic.Int32
	var all sync.WaitGroup
	for n := range hub.MaxModules + 10 {
		all.Go(func() {
			switch _, err := put(t, h, fmt.Sprintf("d/m%02d", n), `{}`, ""); {
			case err == nil:
				made.Add(1)
			case !fault.Is(err, fault.TooManyModulesOnDevice):
				t.Error(err)
			}
		})
	}
	all.Wait()
	names := modules(t, h, "d")
	if made.Load() != hub.MaxModules || len(names) != hub.MaxModules+2 {
		t.Errorf("%d were made, the device has %d", made.Load(), len(names))
	}
	// One that goes makes room for another; one that stays is written as before.
	last := "d/" + names[len(names)-1]
	mustPut(t, h, last, `{"managedBy":"me"}`, hub.Any)
	if err := h.DeleteIdentity(t.Context(), owner, named(last), hub.Any); err != nil {
		t.Fatal(err)
	}
	mustPut(t, h, "d/zz", `{}`, "")
	_, err := put(t, h, "d/zzz", `{}`, "")
	wantFault(t, err, fault.TooManyModulesOnDevice)
	// Nor do the hub's own need any.
	i := mustPut(t, h, "d", `{}`, hub.Any)
	if i.IoTEdge || len(modules(t, h, "d")) != hub.MaxModules {
		t.Errorf("modules %q", modules(t, h, "d"))
	}
	mustPut(t, h, "d", `{"capabilities":{"iotEdge":true}}`, hub.Any)
}

// An import that is all or nothing counts before it does anything.
func TestImportCountsModules(t *testing.T) {
	h := open(t, nil)
	register(t, h, "d")
	register(t, h, "d/m00")
	var b strings.Builder
	for n := range hub.MaxModules + 1 { // m00 is there already
		fmt.Fprintf(&b, `{"id":"d","moduleId":"m%02d"}`+"\n", n)
	}
	failures, _, err := importText(t, h, b.String(), hub.ImportOptions{AllOrNothing: true})
	if diff := cmp.Diff([]string{"51 413003 d/m50"}, failures); diff != "" || !errors.Is(err, hub.ErrNothingImported) {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	wantModules(t, h, "d", "m00")
}

// The hub makes and removes system modules with the capability of their device.
// Their twins are like any other.
func TestSystemModules(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	edge := mustPut(t, h, "d", `{"capabilities":{"iotEdge":true}}`, "")
	wantModules(t, h, "d", "$edgeAgent", "$edgeHub")
	d, err := h.Identity(ctx, owner, named("d/$edgeAgent"))
	if err != nil || d.Identity.ManagedBy != "iotEdge" || d.Identity.Authentication.Type != device.None {
		t.Errorf("%+v, %v", d.Identity, err)
	}
	patch(t, h, "d/$edgeAgent", `{"properties":{"desired":{"schemaVersion":"1.1"}}}`)
	for _, c := range []hub.Condition{"", hub.Any} {
		_, err = put(t, h, "d/$edgeAgent", `{}`, c)
		wantFault(t, err, fault.SystemModuleModifyUnauthorized)
		_, err = put(t, h, "d/$mine", `{}`, c)
		wantFault(t, err, fault.ArgumentInvalid)
	}
	wantFault(t, h.DeleteIdentity(ctx, owner, named("d/$edgeHub"), hub.Any), fault.SystemModuleModifyUnauthorized)

	// An edge device that is written stays one, with the twins of its modules.
	mustPut(t, h, "d", fmt.Sprintf(`{"capabilities":{"iotEdge":true},"deviceScope":%q}`, edge.DeviceScope), hub.Any)
	if n := versionOf(t, h, "d/$edgeAgent"); n != 3 {
		t.Errorf("the twin is at version %d", n)
	}
	mustPut(t, h, "d", `{}`, hub.Any)
	wantModules(t, h, "d")
	_, err = h.Twin(ctx, owner, named("d/$edgeAgent"))
	wantFault(t, err, fault.DeviceNotFound)
	mustPut(t, h, "d", `{"capabilities":{"iotEdge":true}}`, hub.Any)
	wantModules(t, h, "d", "$edgeAgent", "$edgeHub")
	if n := versionOf(t, h, "d/$edgeAgent"); n != 2 {
		t.Errorf("the twin of the second life is at version %d", n)
	}
}

func versionOf(t testing.TB, h *hub.Hub, name string) int64 {
	t.Helper()
	d, err := h.Twin(context.Background(), owner, named(name))
	if err != nil {
		t.Fatal(err)
	}
	return d.Twin.Version()
}

// A module of a device that is disabled is shut out: it is disconnected, and can
// not connect again, even if its token was found good a moment ago.
func TestDisabledDevicesShutOutTheirModules(t *testing.T) {
	ctx := context.Background()
	h := open(t, nil)
	register(t, h, "d")
	i := register(t, h, "d/m")
	other := register(t, h, "d/other")
	told := newRecorder()
	c := connect(t, h, i, told, true)
	defer c.Close()
	mustPut(t, h, "d", `{"status":"disabled"}`, hub.Any)
	told.wait(func() bool { return told.closed != nil })
	_, err := h.Connect(ctx, principal(other), newRecorder(), true, "")
	wantFault(t, err, fault.DeviceDisabled)
	_, err = h.InvokeMethod(ctx, owner, i.ID, hub.MethodRequest{Name: "m", ResponseTimeout: hub.DefaultResponseTimeout})
	wantFault(t, err, fault.DeviceNotFound)
	patch(t, h, "d/m", `{"tags":{"still":"writable"}}`)

	mustPut(t, h, "d", `{}`, hub.Any)
	connect(t, h, other, newRecorder(), true).Close()
}

// A module is registered only if its device is: also if the device's own commit
// is still on its way, and fails.
func TestAModuleWaitsForItsDevice(t *testing.T) {
	ctx := context.Background()
	h, s := openSlow(t)
	_, err := put(t, h, "d/m", `{}`, "")
	wantFault(t, err, fault.DeviceNotFound)
	_, err = put(t, h, "d/m", `{}`, hub.Any)
	wantFault(t, err, fault.DeviceNotFound)
	wantFault(t, h.DeleteIdentity(ctx, owner, named("d/m"), hub.Any), fault.DeviceNotFound)

	s.hang()
	errs := make(chan error, 2)
	go func() { _, err := put(t, h, "d", `{}`, ""); errs <- err }()
	waitFor(t, func() bool { return s.waiting() == 1 })
	go func() { _, err := put(t, h, "d/m", `{}`, ""); errs <- err }()
	waitFor(t, func() bool { return s.waiting() == 2 })
	if _, err := h.Identity(ctx, owner, named("d/m")); err == nil {
		t.Error("the module is shown before it is durable")
	}
	s.resume(errors.New("no space left on device"), nil)
	first, second := <-errs, <-errs
	if first == nil || second == nil {
		t.Errorf("the device %v, its module %v", first, second)
	}
	_, err = h.Modules(ctx, owner, named("d"))
	wantFault(t, err, fault.DeviceNotFound)
	register(t, h, "d")
	register(t, h, "d/m")
	wantModules(t, h, "d", "m")
}

// Many who write a device and its modules at once leave no module without its
// device, and no device that does not know its modules, at any moment.
func TestFamiliesAreWhole(t *testing.T) {
	ctx := context.Background()
	m := memory.New()
	defer m.Close()
	h := open(t, m)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range 300 {
				name := fmt.Sprintf("d%d", r.IntN(2))
				if r.IntN(4) > 0 {
					name += fmt.Sprintf("/m%d", r.IntN(3))
				}
				body := `{}`
				if r.IntN(2) == 0 && !strings.Contains(name, "/") {
					body = `{"capabilities":{"iotEdge":true}}`
				}
				switch r.IntN(5) {
				case 0, 1:
					put(t, h, name, body, "")
				case 2:
					put(t, h, name, body, hub.Any)
				case 3:
					h.DeleteIdentity(ctx, owner, named(name), hub.Any)
				case 4:
					p, _ := twin.ParsePatch([]byte(`{"tags":{"a":1}}`), twin.Rules{})
					h.UpdateTwin(ctx, owner, named(name), p, "")
				}
				wantWhole(t, m)
			}
		})
	}
	all.Wait()
	for _, name := range []string{"d0", "d1"} {
		h.DeleteIdentity(ctx, owner, named(name), hub.Any)
	}
	wantNoRecords(t, m)
}

// wantWhole looks at all identities of one moment.
func wantWhole(t *testing.T, s store.Store) {
	t.Helper()
	v, err := s.View()
	if err != nil {
		t.Error(err)
		return
	}
	defer v.Close()
	there, known := map[string][]string{}, map[string]string{}
	for e, err := range v.Scan([]byte("d"), []byte("e")) {
		if err != nil {
			t.Error(err)
			return
		}
		part := strings.Split(string(e.Key[1:]), "\x00")
		switch {
		case part[2] == "m":
			known[part[0]] = string(e.Value)
		case part[2] == "i" && part[1] == "":
			there[part[0]] = []string{}
		case part[2] == "i" && there[part[0]] == nil:
			t.Errorf("%q is there without its device", part)
		case part[2] == "i":
			there[part[0]] = append(there[part[0]], fmt.Sprintf("%q", part[1]))
		}
	}
	for dev, names := range there {
		want := "[" + strings.Join(names, ",") + "]"
		if len(names) == 0 {
			want = ""
		}
		if known[dev] != want {
			t.Errorf("%q knows %s and has %s", dev, known[dev], want)
		}
	}
}

// A device with as many modules as may be, all of whose twins are as large as may
// be, can be deleted, though not all is told of that.
func TestADeviceWithLargeModulesCanBeDeleted(t *testing.T) {
	m := memory.New()
	defer m.Close()
	h := open(t, m)
	setRouting(t, h, allTold)
	register(t, h, "d")
	var members []string
	for n := range 200 {
		members = append(members, fmt.Sprintf(`"k%d":1.%s`, n, strings.Repeat("0", 1000)))
	}
	large := "{" + strings.Join(members, ",") + "}"
	for n := range hub.MaxModules {
		c := connect(t, h, register(t, h, fmt.Sprintf("d/m%02d", n)), newRecorder(), true)
		if _, err := report(t, c, large); err != nil {
			t.Fatal(err)
		}
		patch(t, h, fmt.Sprintf("d/m%02d", n), `{"properties":{"desired":`+large+`}}`)
		c.Close()
	}
	if err := h.DeleteIdentity(t.Context(), owner, named("d"), hub.Any); err != nil {
		t.Fatal(err)
	}
	wantNoRecords(t, m)
	if h.EgressStats().Dropped == 0 {
		t.Error("all was told of: the twins are too small to prove anything")
	}
}

// Events of modules carry the module, and those of its life have names of their
// own. A device that is deleted is told of with its modules.
func TestEventsOfModules(t *testing.T) {
	h := open(t, nil, func(c *hub.Config) { c.Name = "myhub" })
	setRouting(t, h, allTold)
	register(t, h, "d")
	i := register(t, h, "d/m")
	patch(t, h, "d/m", `{"tags":{"site":"A"}}`)
	connect(t, h, i, newRecorder(), true).Close()
	mustPut(t, h, "e", `{"capabilities":{"iotEdge":true}}`, "")
	for _, name := range []string{"d", "e"} {
		if err := h.DeleteIdentity(t.Context(), owner, named(name), hub.Any); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"d createDeviceIdentity deviceLifecycleNotification",
		"d/m createModuleIdentity moduleLifecycleNotification",
		"d/m updateTwin twinChangeNotification",
		"e createDeviceIdentity deviceLifecycleNotification",
		"e/$edgeAgent createModuleIdentity moduleLifecycleNotification",
		"e/$edgeHub createModuleIdentity moduleLifecycleNotification",
		"d deleteDeviceIdentity deviceLifecycleNotification",
		"d/m deleteModuleIdentity moduleLifecycleNotification",
		"e deleteDeviceIdentity deviceLifecycleNotification",
		"e/$edgeAgent deleteModuleIdentity moduleLifecycleNotification",
		"e/$edgeHub deleteModuleIdentity moduleLifecycleNotification",
	}
	var got []string
	for _, e := range told(t, h, "events", len(want)) {
		op, _ := e.Property("opType")
		schema, _ := e.Property("iothub-message-schema")
		module, _ := e.Property("moduleId")
		id := device.ID{Device: e.DeviceID, Module: e.ModuleID}
		if module.Value != e.ModuleID {
			t.Errorf("the property moduleId of %s is %q", id, module.Value)
		}
		got = append(got, id.String()+" "+op.Value+" "+schema.Value)
		if strings.Contains(op.Value, "Module") && !strings.Contains(string(e.Body), `"moduleId":"`+e.ModuleID+`"`) {
			t.Errorf("the body of %s: %s", op.Value, e.Body)
		}
	}
	// The partitions of d and e are read one after the other.
	order := func(list []string) (all []string) {
		for _, dev := range []string{"d", "e"} {
			for _, line := range list {
				if strings.HasPrefix(line, dev) {
					all = append(all, line)
				}
			}
		}
		return all
	}
	if diff := cmp.Diff(order(want), order(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
