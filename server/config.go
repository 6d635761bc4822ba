package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"strings"

	"github.com/hubtwin/hubtwin/blob"
	"github.com/hubtwin/hubtwin/eventlog"
)

// Config describes one hub. The zero value is not valid: [Config.Validate]
// says what is missing, in the names that the command line and the
// configuration file use.
type Config struct {
	// Data is the directory of what the hub stores; "" keeps everything in
	// memory, and forgets it at the end.
	Data string
	// Certificates is the directory of the hub's own certificate authority and
	// of its server certificate. They are made if they are not there. It is
	// apart from Data, so that a hub without Data does not need to be trusted
	// anew each time.
	Certificates string
	// Listen is the IP address to listen on. "localhost" stands for both
	// loopback addresses, 127.0.0.1 and ::1, as far as the machine has them:
	// clients disagree on which of the two they try first.
	Listen string
	// Hostnames are names and IP addresses by which clients reach the hub, on
	// top of those that every hub answers to: localhost, hub.localhost, the
	// machine's name, the loopback addresses and Listen.
	Hostnames []string
	// HTTPS, MQTT, MQTTPlain and Admin are the ports to serve a protocol on: the
	// first one that can be had, in this order. 0 is any free port. Without a
	// port the protocol is not served; HTTPS and MQTT must be.
	HTTPS, MQTT []int
	// MQTTPlain is MQTT without TLS. It is for loopback addresses only.
	MQTTPlain []int
	// Admin is the port of health and metrics over plain HTTP, on loopback
	// addresses only, wherever the hub listens.
	Admin []int
	// BlobStorage is the connection string of the storage account in which devices
	// write files, to the container BlobContainer; "" is none.
	BlobStorage, BlobContainer string
	// Events says what the event log keeps, and in how many partitions.
	Events eventlog.Config
	// JobFiles is a folder in and below which import and export jobs may read and
	// write, by file: URIs. "" means that they may not.
	JobFiles string
	// RouteFiles is a folder below which endpoints of routes write files. "" means
	// that they may not.
	RouteFiles string
	// WebhookHosts are the hosts that webhooks may call, as in
	// [route.Outside.Hosts]; empty means all.
	WebhookHosts []string
	// Faults lets back ends inject faults into the hub; see package injection.
	Faults bool
	// Log is told of what the hub does; nil is slog.Default.
	Log *slog.Logger
}

// Validate names every field that can't be, with a good value for each.
func (c Config) Validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }

	if c.Certificates == "" {
		bad("certificates: no directory is given for the TLS certificates; for example %q", "/var/lib/hubtwin/tls")
	}
	if c.Listen != "localhost" {
		if a, err := netip.ParseAddr(c.Listen); err != nil || a.Zone() != "" {
			bad("listen: %q is not an IP address; use localhost (this machine only), 0.0.0.0 (every network), or an address of this machine", c.Listen)
		}
	}
	for _, name := range c.Hostnames {
		if !isHostname(name) {
			bad("hostname: %q is neither a DNS name nor an IP address (no scheme, no port); for example hub.example.com", name)
		}
	}
	folder := func(field, path string) {
		if path == "" {
			return
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			bad("%s: %q is no folder; make it, or leave this out", field, path)
		}
	}
	folder("job-files", c.JobFiles)
	folder("route-files", c.RouteFiles)
	for _, host := range c.WebhookHosts {
		if !isHostname(strings.TrimPrefix(host, "*.")) {
			bad("webhook-host: %q is neither a DNS name nor an IP address (no scheme, no port); for example hooks.example.com or *.example.com", host)
		}
	}
	ports := func(field string, list []int, good int) {
		for _, p := range list {
			if p < 0 || p > 65535 {
				bad("%s: %d is not a port; use %d, or 0 for any free one", field, p, good)
			}
		}
	}
	ports("https-port", c.HTTPS, 443)
	ports("mqtt-port", c.MQTT, 8883)
	ports("mqtt-plain-port", c.MQTTPlain, 1883)
	ports("admin-port", c.Admin, 9464)
	if n := c.Events.Partitions; n < 0 || n > eventlog.MaxPartitions {
		bad("partitions: %d; use 4, or any number from 1 to %d", n, eventlog.MaxPartitions)
	}
	if age := c.Events.Retention.Age; age != 0 && (age < eventlog.MinAge || age > eventlog.MaxAge) {
		bad("retention: %s; use 24h, or any time from %s to %s", age, eventlog.MinAge, eventlog.MaxAge)
	}
	if c.BlobStorage != "" {
		if _, err := blob.Open(c.BlobStorage, c.BlobContainer); err != nil {
			bad("blob-storage: %w; for example UseDevelopmentStorage=true for an emulator on this machine", err)
		}
	}
	if len(c.HTTPS) == 0 {
		bad("https-port: a hub can't be without it; use 443, or 0 for any free port")
	}
	if len(c.MQTT) == 0 {
		bad("mqtt-port: a hub can't be without it; use 8883, or 0 for any free port")
	}
	if len(c.MQTTPlain) > 0 && !c.loopback() {
		bad("mqtt-plain-port: without TLS anyone on the way can read and use a device's token, so it is served on loopback addresses only, and listen is %q; leave it out, or listen on localhost", c.Listen)
	}
	return errors.Join(all...)
}

// loopback tells whether only this machine can reach the hub.
func (c Config) loopback() bool {
	if c.Listen == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(c.Listen)
	return err == nil && a.IsLoopback()
}

// names lists what the hub is called: the names its certificate holds, and the
// hosts a token may be made out to.
func (c Config) names() []string {
	list := []string{"localhost", "hub.localhost", "127.0.0.1", "::1"}
	if machine, err := os.Hostname(); err == nil && isHostname(machine) {
		list = append(list, machine)
	}
	if a, err := netip.ParseAddr(c.Listen); err == nil && !a.IsUnspecified() {
		list = append(list, a.String())
	}
	return normalized(append(list, c.Hostnames...))
}

// normalized gives names in one spelling, each once.
func normalized(names []string) []string {
	var list []string
	seen := map[string]bool{}
	for _, n := range names {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		if a, err := netip.ParseAddr(n); err == nil {
			n = a.String()
		}
		if !seen[n] {
			seen[n] = true
			list = append(list, n)
		}
	}
	return list
}

var dnsName = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.?$`)

func isHostname(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == "" && !a.IsUnspecified()
	}
	return len(s) <= 253 && dnsName.MatchString(s)
}
