package simulate

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/device"
)

// MaxDevices is how many one process simulates at most.
const MaxDevices = 100_000

// Duration is a time.Duration that JSON has as text, as in "1m30s".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration takes.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText writes it as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Scenario says what the fleet does. It is also the form of a scenario file,
// where what is left out is as in [Usual].
type Scenario struct {
	// Devices are called Prefix and a number of five digits, from 00000 on.
	Devices int    `json:"devices"`
	Prefix  string `json:"prefix"`
	// Seed is what values, and the times of cuts, are drawn from.
	Seed uint64 `json:"seed"`
	// Create registers the devices that are not there. Remove deletes all of them
	// at the end, whether Create has made them or not.
	Create bool `json:"create"`
	Remove bool `json:"remove"`
	// Ramp is how many devices begin to connect in a second; 0 is all at once.
	Ramp float64 `json:"ramp"`
	// Report and Telemetry are the times between two patches of the reported
	// properties, and two messages, of one device; 0 is none.
	Report    Duration `json:"report"`
	Telemetry Duration `json:"telemetry"`
	// Methods is how many direct methods the back end calls in a second, of
	// devices drawn by lot; 0 is none.
	Methods float64 `json:"methods"`
	// Drop is the mean time after which a device is cut off, without a word, to
	// connect again; 0 is never.
	Drop Duration `json:"drop"`
	// Messages ends a device that has sent so many patches and messages; 0 is
	// never. When all have ended, so does the run.
	Messages int `json:"messages"`
	// Duration ends the run, counted from the first connection; 0 is never.
	Duration Duration `json:"duration"`
}

// Usual is a small fleet.
func Usual() Scenario {
	return Scenario{Devices: 10, Prefix: "sim-", Seed: 1, Ramp: 100,
		Report: Duration(30 * time.Second), Telemetry: Duration(10 * time.Second)}
}

// Read reads a scenario file. A member that is not known is an error.
func Read(text []byte) (Scenario, error) {
	s := Usual()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return s, errors.New("something stands behind the scenario's end")
	}
	return s, nil
}

// shortest is the least time between two messages of one device: what is meant
// is a device, not a hose.
const shortest = time.Millisecond

// maxRate bounds Ramp and Methods.
const maxRate = 100_000

// Validate names every member that can't be.
func (s Scenario) Validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if s.Devices < 1 || s.Devices > MaxDevices {
		bad("devices: %d can't be; at least 1, at most %d", s.Devices, MaxDevices)
	}
	if err := checkPrefix(s.Prefix); err != nil {
		all = append(all, err)
	}
	for _, d := range []struct {
		name  string
		value Duration
		least time.Duration
	}{
		{"report", s.Report, shortest}, {"telemetry", s.Telemetry, shortest},
		{"drop", s.Drop, 100 * time.Millisecond}, {"duration", s.Duration, 0},
	} {
		if v := time.Duration(d.value); v < 0 || v > 0 && v < d.least {
			bad("%s: %s can't be; at least %s, or 0 for none", d.name, v, d.least)
		}
	}
	for name, v := range map[string]float64{"ramp": s.Ramp, "methods": s.Methods} {
		if !(v >= 0 && v <= maxRate) {
			bad("%s: %v in a second can't be; from 0 to %d", name, v, maxRate)
		}
	}
	if s.Messages < 0 {
		bad("messages: %d can't be; 0 is no end", s.Messages)
	}
	return errors.Join(all...)
}

// Config is a scenario, and the hub to play it on.
type Config struct {
	Scenario
	// HostName is what tokens and user names call the hub: its name, without a
	// port.
	HostName string
	// Policy and Key, in base64, are those of a shared access policy that may
	// connect as a device.
	Policy, Key string
	// Address is host and port of MQTT; TLS is nil for MQTT without it. Dial, if
	// not nil, takes the place of both.
	Address string
	TLS     *tls.Config
	Dial    func(ctx context.Context) (net.Conn, error)
	// Hub is for Create, Remove and Methods, and may be nil without them.
	Hub *client.Client
	// Progress, if not nil, is told each second how far the run is.
	Progress func(Progress)
}

func (c *Config) validate() error {
	if err := c.Scenario.Validate(); err != nil {
		return err
	}
	if c.Hub == nil && (c.Create || c.Remove || c.Methods > 0) {
		return errors.New("create, remove and methods need a client of the hub")
	}
	return nil
}

func checkPrefix(prefix string) error {
	if err := (device.ID{Device: name(prefix, MaxDevices-1)}).Validate(); err != nil {
		return fmt.Errorf("prefix: %w", err)
	}
	return nil
}

// name is the id of a device.
func name(prefix string, number int) string { return fmt.Sprintf("%s%05d", prefix, number) }
