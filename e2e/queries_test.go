package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

const queriesPage = "../docs/queries.md"

// TestQueries makes the fleet of docs/queries.md, gives each command of the page,
// and wants the outputs that it shows, but for times and commit numbers.
func TestQueries(t *testing.T) {
	fleet := pageFleet(t)
	plain, dir := freePort(t), t.TempDir()
	h := &hubProcess{t: t, env: filepath.Join(dir, "hub.env")}
	h.args = []string{"dev", "--data", filepath.Join(dir, "data"), "--env", h.env, "--listen", "127.0.0.1",
		"--https-port", "0", "--mqtt-port", "0", "--admin-port", "0", "--mqtt-plain-port", fmt.Sprint(plain)}
	for _, d := range fleet {
		h.args = append(h.args, "--device", d.DeviceID)
	}
	h.start()
	c := restClient(t, h)
	for _, d := range fleet {
		d.fill(t, c, fmt.Sprintf("127.0.0.1:%d", plain))
	}
	steps := consoleSteps(t, queriesPage)
	if len(steps) < 10 {
		t.Fatalf("%d commands on the page only", len(steps))
	}
	for _, step := range steps {
		got := h.shell("PATH=" + filepath.Dir(binary) + ":$PATH; " + step.command)
		if diff := cmp.Diff(steady(step.output), steady(got)); diff != "" {
			t.Errorf("%s (-page +run):\n%s", step.command, diff)
		}
	}
	for _, block := range fenced(t, queriesPage, "http") {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		var body struct{ Query string }
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &body); err != nil {
			t.Errorf("%s: %v", block, err)
		} else if _, err := c.QueryPage(context.Background(), body.Query, 0, ""); err != nil {
			t.Errorf("%s: %v", block, err)
		}
	}
	h.stop()
}

var unsteady = regexp.MustCompile(`in [0-9]+\.[0-9]+ ms|"position":[0-9]+`)

// steady is an output without what differs from run to run.
func steady(output string) string { return unsteady.ReplaceAllString(output, "…") }

// pageDevice is a device of the page's fleet.
type pageDevice struct {
	DeviceID                string
	Tags, Desired, Reported json.RawMessage
}

// pageFleet reads the page's block of JSON, a device a line.
func pageFleet(t *testing.T) (fleet []pageDevice) {
	t.Helper()
	for _, block := range fenced(t, queriesPage, "json") {
		for line := range strings.Lines(block) {
			var d pageDevice
			if err := json.Unmarshal([]byte(line), &d); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			fleet = append(fleet, d)
		}
	}
	return fleet
}

// fill writes the twin: as a back end what back ends write, as the device the
// rest.
func (d pageDevice) fill(t *testing.T, c *client.Client, address string) {
	t.Helper()
	patch := map[string]any{"tags": d.Tags, "properties": map[string]any{"desired": d.Desired}}
	if d.Tags == nil {
		delete(patch, "tags")
	}
	if d.Desired == nil {
		delete(patch, "properties")
	}
	document, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PatchTwin(context.Background(), d.DeviceID, "", document, ""); err != nil {
		t.Fatal(err)
	}
	if d.Reported != nil {
		d.report(t, c, address)
	}
}

// report connects as the device, reports, and leaves when the twin has it.
func (d pageDevice) report(t *testing.T, c *client.Client, address string) {
	t.Helper()
	found, err := c.Device(context.Background(), d.DeviceID)
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Sign("localhost/devices/"+d.DeviceID, found.Authentication.SymmetricKey.PrimaryKey, "", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	out, err := packet.AppendConnect(nil, &packet.Connect{ClientID: []byte(d.DeviceID), CleanSession: true, KeepAlive: 60,
		Username: []byte("localhost/" + d.DeviceID + "/?api-version=2021-04-12"), Password: []byte(token)})
	if err != nil {
		t.Fatal(err)
	}
	out, err = packet.AppendPublish(out, packet.PublishHeader(0, false, false), 0, d.Reported, "$iothub/twin/PATCH/properties/reported/?$rid=1")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(out); err != nil {
		t.Fatal(err)
	}
	waitFor := func(text string) {
		waitUntil(t, d.DeviceID+" to have "+text, func() bool {
			twin, err := c.Twin(context.Background(), d.DeviceID, "")
			return err == nil && strings.Contains(string(twin.Document), text)
		})
	}
	waitFor(`"connectivity":{"type":`)
	conn.Close()
	waitFor(`"connectionState":"Disconnected"`)
}
