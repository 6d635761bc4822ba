package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/server"
)

// aPlace is a hub where everything is as it should be.
func aPlace() *place {
	return &place{
		data:      "/home/ada/.local/share/hubtwin",
		caFile:    "/home/ada/.local/share/hubtwin/tls/ca.pem",
		bundle:    "/home/ada/.local/share/hubtwin/tls/ca-bundle.pem",
		program:   "hubtwin",
		https:     server.Endpoint{Port: 443, Addresses: []string{"127.0.0.1:443", "[::1]:443"}},
		mqtt:      server.Endpoint{Port: 8883, Addresses: []string{"127.0.0.1:8883", "[::1]:8883"}},
		admin:     server.Endpoint{Port: 9464, Addresses: []string{"127.0.0.1:9464", "[::1]:9464"}},
		httpsHost: "localhost",
		mqttHost:  "localhost",
		owner:     policyString("localhost", "iothubowner", "b3duZXI="),
		devices:   []sample{{"device1", deviceString("localhost", device.ID{Device: "device1"}, "ZGV2aWNlMQ==")}},
	}
}

func TestProgramName(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/local/bin/hubtwin": "hubtwin",
		"./hubtwin":              "hubtwin",
		"/tmp/go-build2608988302/b001/exe/hubtwin": "go run ./cmd/hubtwin",
	} {
		if got := programName(path); got != want {
			t.Errorf("%s is called %q, want %q", path, got, want)
		}
	}
}

// TestBanner compares what people see first with testdata/banner.
func TestBanner(t *testing.T) {
	missed := func(port int, err error) error {
		return fmt.Errorf("port %d of 127.0.0.1 can't be had: %w", port, err)
	}
	for name, change := range map[string]func(*place){
		"usual": func(*place) {},
		"env": func(p *place) {
			p.env = "/home/ada/my hub.env"
			p.devices = append(p.devices, sample{"pump-7", deviceString("localhost", device.ID{Device: "pump-7"}, "cHVtcC03")},
				sample{"pump-8", deviceString("localhost", device.ID{Device: "pump-8"}, "")})
		},
		"forbidden": func(p *place) {
			p.https = server.Endpoint{Port: 8443, Addresses: []string{"127.0.0.1:8443"}, Missed: missed(443, syscall.EACCES)}
			p.httpsHost = "localhost:8443"
			p.owner = policyString(p.httpsHost, "iothubowner", "b3duZXI=")
		},
		"taken": func(p *place) {
			p.data = ""
			p.https = server.Endpoint{Port: 8443, Addresses: []string{"127.0.0.1:8443"}, Missed: missed(443, syscall.EADDRINUSE)}
			p.mqtt = server.Endpoint{Port: 8884, Addresses: []string{"127.0.0.1:8884"}, Missed: missed(8883, syscall.EADDRINUSE)}
			p.admin = server.Endpoint{Port: 9465, Addresses: []string{"127.0.0.2:9465"}}
			p.mqttPlain = server.Endpoint{Port: 1883, Addresses: []string{"127.0.0.1:1883"}}
			p.httpsHost, p.mqttHost = "localhost:8443", "localhost:8884"
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := aPlace()
			change(p)
			var got strings.Builder
			if err := p.print(console{out: &got}, "linux"); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata/banner", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}

// TestColour has bold headings, and the same text without them.
func TestColour(t *testing.T) {
	var plain, bold strings.Builder
	if err := aPlace().print(console{out: &plain}, "linux"); err != nil {
		t.Fatal(err)
	}
	if err := aPlace().print(console{out: &bold, colour: true}, "linux"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(bold.String(), "\x1b[1mhubtwin is ready\x1b[0m") {
		t.Errorf("no bold heading in %q", bold.String())
	}
	if got := strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "").Replace(bold.String()); got != plain.String() {
		t.Errorf("colours change the text:\n%s", got)
	}
}

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		listen string
		names  []string
		port   int
		want   string
	}{
		{"localhost", nil, 443, "localhost"},
		{"localhost", nil, 8443, "localhost:8443"},
		{"127.0.0.1", nil, 443, "localhost"},
		{"127.0.0.9", nil, 443, "127.0.0.9"},
		{"0.0.0.0", nil, 443, "localhost"},
		{"::", nil, 8443, "localhost:8443"},
		{"fd00::1", nil, 443, "[fd00::1]"},
		{"fd00::1", nil, 8443, "[fd00::1]:8443"},
		{"0.0.0.0", []string{"hub.lan", "hub2.lan"}, 443, "hub.lan"},
		{"localhost", []string{"hub.lan"}, 44300, "hub.lan:44300"},
	} {
		got := withPort(clientHost(c.listen, c.names), c.port, httpsPort)
		if got != c.want {
			t.Errorf("%v: got %s", c, got)
		}
		if bare := withoutPort(got); bare != withoutPort(c.want) || strings.HasSuffix(bare, "443") {
			t.Errorf("%s without its port is %s", got, bare)
		}
	}
	for host, want := range map[string]string{"hub": "hub", "hub:1": "hub", "[::1]": "[::1]", "[::1]:1": "[::1]"} {
		if got := withoutPort(host); got != want {
			t.Errorf("%s without its port is %s", host, got)
		}
	}
}

func TestShellQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"/tmp/ca.pem": "/tmp/ca.pem",
		"a b":         "'a b'",
		"a;b":         "'a;b'",
		"$HOME":       "'$HOME'",
		"it's":        `'it'\''s'`,
		"":            "''",
		"a\nb":        "'a\nb'",
	} {
		if got := shellQuoted(text); got != want {
			t.Errorf("%q: got %s", text, got)
		}
	}
}

// TestHarmless has what devices may report, and terminals must not obey.
func TestHarmless(t *testing.T) {
	for value, want := range map[string]string{
		`"plain"`:                     "plain",
		`"schön, 日本"`:                 "schön, 日本",
		`"\u001b[2J"`:                 `"\u001b[2J"`,
		"\"\u009b2J\"":                `"\u009b2J"`,
		"\"\x7f\"":                    `"\u007f"`,
		`{ "a": "b` + "\u0085" + `"}`: `{"a":"b\u0085"}`,
		`"two\nlines"`:                `"two\nlines"`,
		`12.50`:                       "12.50",
		`null`:                        "",
		``:                            "",
	} {
		if got := cell([]byte(value)); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
	var b strings.Builder
	if err := printLine(&b, []byte("{\"a\": \"\u009b\"}")); err != nil || b.String() != `{"a":"\u009b"}`+"\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}
