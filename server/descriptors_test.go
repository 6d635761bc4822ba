package server

import (
	"math"
	"testing"
)

// TestConnectionLimits leaves files to the store, whatever the system allows.
func TestConnectionLimits(t *testing.T) {
	for _, c := range []struct {
		descriptors    uint64
		https, devices int
	}{
		{math.MaxUint64, maxConnections, maxDevices}, // no limit
		{1 << 20, maxConnections, maxDevices},
		{1024, 128, 352},
		{256, 32, 80},
		{0, 1, 1},
	} {
		if https, devices := connectionLimits(c.descriptors); https != c.https || devices != c.devices {
			t.Errorf("%d descriptors: %d HTTPS and %d MQTT connections, want %d and %d", c.descriptors, https, devices, c.https, c.devices)
		}
	}
	for d := uint64(100); d < 300_000; d += 97 {
		https, devices := connectionLimits(d)
		sockets := uint64(https + devices + devices/16)
		if sockets+min(storeFiles, d/2) > d {
			t.Fatalf("%d descriptors: %d sockets leave too few for the store", d, sockets)
		}
	}
}
