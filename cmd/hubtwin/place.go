package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/server"
)

// The standard ports, which connection strings leave out.
const (
	httpsPort = 443
	mqttPort  = 8883
)

// adminPort is the usual port of health and metrics.
const adminPort = 9464

// place is where a hub is, as its clients need to know it.
type place struct {
	data           string // "" is memory
	caFile, bundle string
	env            string // file with the environment, or ""
	program        string // what to type for this program

	https, mqtt, mqttPlain, admin server.Endpoint

	httpsHost, mqttHost string // with a port where it is not the standard one
	owner               string // connection string for back ends
	devices             []sample
}

// programName is what to type for the program at path. One that `go run` has built
// is gone when it ends, and was never on the PATH.
func programName(path string) string {
	if strings.Contains(filepath.ToSlash(path), "/go-build") {
		return "go run ./cmd/hubtwin"
	}
	return "hubtwin"
}

// sample is a device with its connection string.
type sample struct{ id, connectionString string }

// clientHost chooses the host of connection strings: the first name given, or
// the address to listen on if that is a particular one, or localhost.
func clientHost(listen string, names []string) string {
	if len(names) > 0 {
		return names[0]
	}
	a, err := netip.ParseAddr(listen)
	if err != nil || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return "localhost"
	}
	return listen
}

// withPort joins host and port, unless that is the standard one: not all SDKs
// take a port (service-rest-api sheet, 12; device-protocol sheet, 10.2).
func withPort(host string, port, standard int) string {
	joined := net.JoinHostPort(host, strconv.Itoa(port)) // brackets IPv6 addresses
	if port == standard {
		return strings.TrimSuffix(joined, ":"+strconv.Itoa(port))
	}
	return joined
}

// adminHost is where health and metrics are, for people.
func (at *place) adminHost() string {
	first := netip.MustParseAddrPort(at.admin.Addresses[0])
	return net.JoinHostPort(clientHost(first.Addr().String(), nil), strconv.Itoa(at.admin.Port))
}

func withoutPort(host string) string {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		if strings.Contains(bare, ":") {
			return "[" + bare + "]"
		}
		return bare
	}
	return host
}

func policyString(host, name, key string) string {
	return fmt.Sprintf("HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%s", host, name, key)
}

// deviceString is what a device or module needs to connect. Without a key it has a
// certificate, which it brings along.
func deviceString(host string, id device.ID, key string) string {
	s := fmt.Sprintf("HostName=%s;DeviceId=%s", host, id.Device)
	if id.IsModule() {
		s += ";ModuleId=" + id.Module
	}
	if key == "" {
		return s + ";x509=true"
	}
	return s + ";SharedAccessKey=" + key
}

// variable is a line of the environment.
type variable struct{ name, value string }

// environment is what SDKs and the other commands look for.
func (at *place) environment() []variable {
	list := []variable{
		{"NODE_EXTRA_CA_CERTS", at.caFile},
		{"REQUESTS_CA_BUNDLE", at.bundle},
		{"SSL_CERT_FILE", at.bundle},
		{"HUBTWIN_CONNECTION_STRING", at.owner},
		{"HUBTWIN_DEVICE_HOST", at.mqttHost},
		{"HUBTWIN_ADMIN_URL", "http://" + at.admin.Addresses[0]},
		{"IOTHUB_CONNECTION_STRING", at.owner},
	}
	if len(at.devices) > 0 {
		list = append(list, variable{"IOTHUB_DEVICE_CONNECTION_STRING", at.devices[0].connectionString})
	}
	return list
}

// essential are the variables that the first minute needs.
func (at *place) essential() []variable {
	var list []variable
	for _, v := range at.environment() {
		switch v.name {
		case "IOTHUB_CONNECTION_STRING", "IOTHUB_DEVICE_CONNECTION_STRING", "NODE_EXTRA_CA_CERTS":
			list = append(list, v)
		}
	}
	return list
}

// export is a line for a shell.
func (v variable) export() string { return "export " + v.name + "=" + shellQuoted(v.value) }

var plainWord = regexp.MustCompile(`^[a-zA-Z0-9_./:@%+=,-]+$`)

// shellQuoted makes one word of s, in every POSIX shell.
func shellQuoted(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// writeEnvironment writes the file as a whole or not at all: whoever waits for
// it to appear can read it at once. It holds keys, so it is the user's alone.
func (at *place) writeEnvironment(file string) error {
	var b strings.Builder
	b.WriteString("# Environment of a hubtwin hub. Use it with: . " + shellQuoted(file) + "\n")
	for _, v := range at.environment() {
		b.WriteString(v.export() + "\n")
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("--env: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.WriteString(b.String())
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("--env: %w", err)
	}
	return nil
}
