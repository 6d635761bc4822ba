package e2e

import (
	"bufio"
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/client"
)

const messagesPage = "../docs/messages.md"

// TestMessages does what docs/messages.md says, and wants the outputs that it
// shows. The request of the page comes before its device, as on the page.
func TestMessages(t *testing.T) {
	needSDKs(t)
	h := newHub(t, "--device", "device1", "--device", "device2")
	h.start()
	started := false
	for _, step := range consoleSteps(t, messagesPage) {
		if step.command == "node receive-messages.js" {
			requests := fenced(t, messagesPage, "http")
			if len(requests) != 1 {
				t.Fatalf("the page has %d requests", len(requests))
			}
			sendBlock(t, restClient(t, h), requests[0])
			h.background(step.command).waitFor(step.output)
			started = true
			continue
		}
		got := h.shell("PATH=" + filepath.Dir(binary) + ":$PATH; { " + step.command + "; } 2>&1")
		if diff := cmp.Diff(step.output, got); diff != "" {
			t.Errorf("%s (-page +run):\n%s", step.command, diff)
		}
	}
	if !started {
		t.Error("the page starts no device")
	}
	h.stop()
}

// sendBlock sends the message that a block of the page shows.
func sendBlock(t *testing.T, c *client.Client, block string) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Replace(block, "2021-04-12\n", "2021-04-12 HTTP/1.1\nHost: hub\n", 1) + "\n")))
	if err != nil || r.URL.Path != "/devices/device1/messages/deviceBound" {
		t.Fatalf("%s: %v", block, err)
	}
	_, body, _ := strings.Cut(block, "\n\n")
	err = c.SendMessage(context.Background(), "device1", "", client.Command{
		Message: client.Message{
			Body: []byte(strings.TrimSpace(body)), MessageID: r.Header.Get("iothub-messageid"),
			Properties: map[string]string{"priority": r.Header.Get("iothub-app-priority")},
		},
		Ack: r.Header.Get("iothub-ack"),
	})
	if err != nil {
		t.Error(err)
	}
}
