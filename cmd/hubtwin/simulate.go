package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/simulate"
)

// simulateCommand has a flag for each member of a scenario; a nil one leaves it
// to the file, or to what is usual.
type simulateCommand struct {
	connection
	output
	Scenario string `arg:"" optional:"" help:"A scenario as JSON, over which flags have the last word: @FILE reads it from a file, - from standard input."`

	MQTT  string `name:"mqtt" env:"HUBTWIN_DEVICE_HOST" placeholder:"ADDRESS" help:"Where the hub serves MQTT (${env}; or the host of the connection string, port 8883)."`
	Plain bool   `help:"The address of --mqtt is without TLS."`

	Devices   *int           `placeholder:"N" help:"How many devices (10)."`
	Prefix    *string        `placeholder:"TEXT" help:"Their ids are this and five digits (sim-)."`
	Seed      *uint64        `placeholder:"N" help:"Draw values from this number: the same values each time (1)."`
	Create    *bool          `help:"Register the devices that are not there."`
	Remove    *bool          `help:"Delete all of them at the end, also those that were there before."`
	Ramp      *float64       `placeholder:"N" help:"Devices that begin to connect in a second (100); 0 is all at once."`
	Report    *time.Duration `placeholder:"TIME" help:"Time between two reported patches of a device (30s); 0 is none."`
	Telemetry *time.Duration `placeholder:"TIME" help:"Time between two messages of a device (10s); 0 is none."`
	Methods   *float64       `placeholder:"N" help:"Direct methods to call in a second, of devices drawn by lot (0)."`
	Drop      *time.Duration `placeholder:"TIME" help:"Cut each device off after this time, on average; it connects again (0, never)."`
	Messages  *int           `placeholder:"N" help:"End when each device has sent so many patches and messages (0, never)."`
	Duration  *time.Duration `placeholder:"TIME" help:"End after this time (0, never)."`
}

func (simulateCommand) Help() string {
	return `Connects devices that do not exist, which report random walks, send telemetry, follow their desired properties and answer direct methods. They prove themselves with the policy of the connection string, which must have the right DeviceConnect. How far it is goes to standard error, what it came to is printed at the end; Ctrl-C ends it well.

Examples:
  hubtwin simulate --create --duration 1m
  hubtwin simulate --create --remove --devices 10000 --ramp 500 --report 1m --telemetry 30s
  hubtwin simulate --create --messages 20 --seed 7 -o json
  hubtwin simulate @fleet.json --drop 5m

Exit code: 0 success, 1 failure, 2 bad command line, scenario or JSON.`
}

func (cmd simulateCommand) Run(ctx context.Context, c console) error {
	s, err := cmd.scenario(c.in)
	if err != nil {
		return usageError{err}
	}
	if err := s.Validate(); err != nil {
		return usageError{err}
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	config, err := cmd.config(s, hub)
	if err != nil {
		return err
	}
	p := progress{w: c.err, terminal: term.IsTerminal(int(os.Stderr.Fd()))}
	config.Progress = p.tell
	sum, err := simulate.Run(ctx, config)
	p.end()
	if sum.Devices > 0 {
		if printErr := cmd.print(c.out, sum); err == nil {
			err = printErr
		}
	}
	return explained(err)
}

func (cmd simulateCommand) print(w io.Writer, sum simulate.Summary) error {
	if !cmd.json() {
		return sum.Print(w)
	}
	text, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	return printLine(w, text)
}

// scenario reads the scenario, and lets flags have the last word.
func (cmd simulateCommand) scenario(in io.Reader) (simulate.Scenario, error) {
	s := simulate.Usual()
	if cmd.Scenario != "" {
		text, err := readText(in, cmd.Scenario)
		if err != nil {
			return s, err
		}
		if s, err = simulate.Read(text); err != nil {
			return s, fmt.Errorf("scenario: %w", err)
		}
	}
	set(&s.Devices, cmd.Devices)
	set(&s.Prefix, cmd.Prefix)
	set(&s.Seed, cmd.Seed)
	set(&s.Create, cmd.Create)
	set(&s.Remove, cmd.Remove)
	set(&s.Ramp, cmd.Ramp)
	set((*time.Duration)(&s.Report), cmd.Report)
	set((*time.Duration)(&s.Telemetry), cmd.Telemetry)
	set(&s.Methods, cmd.Methods)
	set((*time.Duration)(&s.Drop), cmd.Drop)
	set(&s.Messages, cmd.Messages)
	set((*time.Duration)(&s.Duration), cmd.Duration)
	return s, nil
}

func set[T any](into *T, flag *T) {
	if flag != nil {
		*into = *flag
	}
}

// config says where the hub is.
func (cmd simulateCommand) config(s simulate.Scenario, hub *client.Client) (simulate.Config, error) {
	of, err := client.ParseConnectionString(cmd.ConnectionString)
	if err != nil {
		return simulate.Config{}, usageError{err}
	}
	host := withoutPort(of.HostName)
	bare := strings.Trim(host, "[]")
	config := simulate.Config{Scenario: s, HostName: host, Policy: of.SharedAccessKeyName, Key: of.SharedAccessKey,
		Address: cmd.MQTT, Hub: hub}
	if config.Address == "" {
		config.Address = bare
	}
	if _, _, err := net.SplitHostPort(config.Address); err != nil {
		config.Address = net.JoinHostPort(config.Address, strconv.Itoa(mqttPort))
	}
	if cmd.Plain {
		return config, nil
	}
	roots, err := cmd.roots()
	config.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ServerName: bare}
	return config, err
}

// progress writes how far a run is: over and over on one line of a terminal, and
// else a line now and then.
type progress struct {
	w        io.Writer
	terminal bool
	told     time.Time
	open     bool // a line of the terminal
}

// rarely is the time between two lines where they stay.
const rarely = 10 * time.Second

func (p *progress) tell(now simulate.Progress) {
	text := fmt.Sprintf("%s: %d of %d devices", now.Step, now.Registered, now.Devices)
	if now.Step == "run" {
		text = fmt.Sprintf("%s: %d of %d connected, %d sent, %d acknowledged, %d errors, %d connections ended", now.Elapsed.Round(time.Second),
			now.Connected, now.Devices, now.Sent, now.Done, now.Errors, now.Reconnect)
	}
	if p.terminal {
		p.open = true
		fmt.Fprintf(p.w, "\r%s\x1b[K", text)
		return
	}
	last := now.Step != "run" && now.Registered == now.Devices
	if time.Since(p.told) >= rarely || last {
		p.told = time.Now()
		fmt.Fprintln(p.w, text)
	}
}

// end ends the line.
func (p *progress) end() {
	if p.open {
		fmt.Fprintln(p.w)
	}
}
