package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const routingPage = "../docs/routing.md"

// newRoutingHub readies a hub that may write files, and gives its folder.
func newRoutingHub(t *testing.T) (h *hubProcess, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "events"), 0o700); err != nil {
		t.Fatal(err)
	}
	h = &hubProcess{t: t, env: filepath.Join(dir, "hub.env")}
	h.args = []string{"dev", "--data", filepath.Join(dir, "data"), "--route-files", filepath.Join(dir, "events"), "--device", "pump-1",
		"--env", h.env, "--listen", "127.0.0.1", "--https-port", "0", "--mqtt-port", "0", "--admin-port", "0"}
	return h, dir
}

// correlations are the ids of events of the hub.
var correlations = regexp.MustCompile(`"correlationId":"[0-9a-f]{12}"`)

// TestRouting does what docs/routing.md says, and wants the outputs that it
// shows. What happens a moment after a command is waited for.
func TestRouting(t *testing.T) {
	for _, tool := range []string{"node", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the page needs %s: %v", tool, err)
		}
	}
	h, dir := newRoutingHub(t)
	h.start()
	port := fmt.Sprint(freePort(t))
	here := func(text string) string { return strings.ReplaceAll(text, "8090", port) }
	plain := func(text string) string {
		return correlations.ReplaceAllString(passing.ReplaceAllString(strings.ReplaceAll(text, port, "8090"), "…"), "…")
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(here(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	programs, documents := fenced(t, routingPage, "js"), fenced(t, routingPage, "json")
	if len(programs) != 1 || len(documents) != 2 {
		t.Fatalf("the page has %d programs and %d configurations", len(programs), len(documents))
	}
	write("webhook.js", programs[0])
	started := false
	for _, step := range consoleSteps(t, routingPage) {
		if step.command == "node webhook.js" {
			h.background("node " + filepath.Join(dir, "webhook.js")).waitFor(step.output)
			started = true
			continue
		}
		if strings.HasPrefix(step.command, "hubtwin routing set ") {
			write("routing.json", documents[0])
			documents = documents[1:]
		}
		want := plain(step.output)
		run := func() string {
			return plain(h.shell("exec 2>&1; cd " + dir + "; PATH=" + filepath.Dir(binary) + ":$PATH; " + here(step.command)))
		}
		if strings.HasPrefix(step.command, "hubtwin routing status") || strings.HasPrefix(step.command, "cat ") {
			last := ""
			waitUntil(t, step.command, func() bool {
				if _, glob, ok := strings.Cut(step.command, "cat "); ok {
					if files, _ := filepath.Glob(filepath.Join(dir, glob)); files == nil {
						return false
					}
				}
				got := run()
				if got != last && got != want {
					t.Logf("%s, so far (-page +run):\n%s", step.command, cmp.Diff(want, got))
				}
				last = got
				return got == want
			})
			continue
		}
		if diff := cmp.Diff(want, run()); diff != "" {
			t.Errorf("%s (-page +run):\n%s", step.command, diff)
		}
	}
	if !started || len(documents) != 0 {
		t.Errorf("the program is started: %v; %d configurations are left", started, len(documents))
	}
	h.stop()
}

// TestDeliveryAfterKill9: what waits for a webhook when the hub is killed is
// delivered by the next one, in order.
func TestDeliveryAfterKill9(t *testing.T) {
	h, _ := newRoutingHub(t)
	h.start()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	document := fmt.Sprintf(`{"endpoints":{"webhooks":[{"name":"hook","url":"http://%s/"}],"files":[{"name":"file"}]},
		"routes":[{"name":"a","source":"DeviceMessages","endpointNames":["hook"]},{"name":"b","source":"DeviceMessages","endpointNames":["file"]}]}`, address)
	if _, err := restClient(t, h).SetRouting(context.Background(), json.RawMessage(document), ""); err != nil {
		t.Fatal(err)
	}
	var want []string
	send := func(n int) {
		t.Helper()
		h.shell(fmt.Sprintf("PATH=%s:$PATH; hubtwin device send-event pump-1 %d", filepath.Dir(binary), n))
		want = append(want, fmt.Sprint(n))
	}
	for n := range 3 {
		send(n)
	}
	h.kill()
	h.start()
	send(3)
	h.kill()

	var mu sync.Mutex
	var got []string
	receiver := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var events []struct{ Body json.RawMessage }
		if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			got = append(got, string(e.Body))
		}
	})}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { receiver.Serve(l) })
	defer serving.Wait()
	defer receiver.Close()
	h.start()
	waitUntil(t, "all messages", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= len(want)
	})
	mu.Lock()
	if !slices.Equal(got, want) {
		t.Errorf("the webhook has %q, want %q", got, want)
	}
	mu.Unlock()
	waitUntil(t, "all to be settled", func() bool {
		list, err := restClient(t, h).EndpointHealth(context.Background())
		return err == nil && len(list) == 2 && list[0].Backlog == 0 && list[1].Backlog == 0
	})
	h.stop()
}
