package e2e

import "testing"

// TestNodeRetries lets the official Node SDKs meet injected faults, on a hub that
// allows them.
func TestNodeRetries(t *testing.T) {
	h := newHub(t, "--faults", "--device", "device1")
	h.start()
	h.nodeTests([]string{"HUBTWIN=" + binary}, "sdk/faults/retries.test.js")
	h.stop()
}
