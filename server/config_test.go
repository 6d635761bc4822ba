package server

import (
	"slices"
	"strings"
	"testing"
)

func valid() Config {
	return Config{Certificates: "tls", Listen: "localhost", HTTPS: []int{443}, MQTT: []int{8883}}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string // each in the message; none means valid
	}{
		{"defaults", func(*Config) {}, nil},
		{"every network", func(c *Config) { c.Listen = "0.0.0.0" }, nil},
		{"IPv6", func(c *Config) { c.Listen = "::1"; c.Hostnames = []string{"fd00::1"} }, nil},
		{"any port", func(c *Config) { c.HTTPS = []int{0}; c.MQTT = []int{0} }, nil},
		{"plain on loopback", func(c *Config) { c.Listen = "127.0.0.9"; c.MQTTPlain = []int{1883} }, nil},
		{"no certificates", func(c *Config) { c.Certificates = "" }, []string{"certificates: ", "/var/lib/hubtwin/tls"}},
		{"a name to listen on", func(c *Config) { c.Listen = "hub.lan" }, []string{`listen: "hub.lan"`, "0.0.0.0"}},
		{"a zone to listen on", func(c *Config) { c.Listen = "fe80::1%eth0" }, []string{"listen: "}},
		{"nothing to listen on", func(c *Config) { c.Listen = "" }, []string{`listen: ""`, "localhost"}},
		{"a URL for a name", func(c *Config) { c.Hostnames = []string{"https://hub.lan"} }, []string{`hostname: "https://hub.lan"`, "hub.example.com"}},
		{"a port in a name", func(c *Config) { c.Hostnames = []string{"hub.lan:443"} }, []string{"hostname: "}},
		{"an empty name", func(c *Config) { c.Hostnames = []string{""} }, []string{"hostname: "}},
		{"an address that is none", func(c *Config) { c.Hostnames = []string{"0.0.0.0"} }, []string{"hostname: "}},
		{"a port that is none", func(c *Config) { c.HTTPS = []int{443, 65536} }, []string{"https-port: 65536", "443"}},
		{"a negative port", func(c *Config) { c.MQTT = []int{-1} }, []string{"mqtt-port: -1", "8883"}},
		{"no HTTPS", func(c *Config) { c.HTTPS = nil }, []string{"https-port: ", "443"}},
		{"no MQTT", func(c *Config) { c.MQTT = nil }, []string{"mqtt-port: ", "8883"}},
		{"plain off loopback", func(c *Config) { c.Listen = "0.0.0.0"; c.MQTTPlain = []int{1883} }, []string{"mqtt-plain-port: ", "loopback", `"0.0.0.0"`}},
		{"plain on a network", func(c *Config) { c.Listen = "192.168.1.2"; c.MQTTPlain = []int{1883} }, []string{"mqtt-plain-port: "}},
		{"an admin port that is none", func(c *Config) { c.Admin = []int{9464, 70000} }, []string{"admin-port: 70000", "9464"}},
		{"admin beside every network", func(c *Config) { c.Listen, c.Admin = "0.0.0.0", []int{9464} }, nil},
		{"hosts of webhooks", func(c *Config) { c.WebhookHosts = []string{"hooks.example.com", "*.example.org", "::1"} }, nil},
		{"a URL for a host", func(c *Config) { c.WebhookHosts = []string{"https://example.com"} }, []string{`webhook-host: "https://example.com"`, "*.example.com"}},
		{"no folder for files", func(c *Config) { c.RouteFiles = "/nowhere/at all" }, []string{`route-files: "/nowhere/at all"`}},
		{"several at once", func(c *Config) { *c = Config{} }, []string{"certificates: ", "listen: ", "https-port: ", "mqtt-port: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := valid()
			c.change(&config)
			err := config.Validate()
			if len(c.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("is taken for valid")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if n := strings.Count(err.Error(), "\n") + 1; c.name != "several at once" && n != 1 {
				t.Errorf("%d mistakes, want 1: %v", n, err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	c := valid()
	c.Listen, c.Hostnames = "127.0.0.9", []string{"Hub.Lan.", "hub.lan", "FD00:0::1"}
	got := c.names()
	for _, want := range []string{"localhost", "hub.localhost", "127.0.0.1", "::1", "127.0.0.9", "hub.lan", "fd00::1"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if slices.Sort(got); len(slices.Compact(got)) != len(got) {
		t.Errorf("names repeat: %q", got)
	}
	c.Listen = "0.0.0.0"
	if slices.Contains(c.names(), "0.0.0.0") {
		t.Error("0.0.0.0 is no name of a hub")
	}
}
