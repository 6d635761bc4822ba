package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/server"
	"github.com/hubtwin/hubtwin/store/pebble"
)

type devCommand struct {
	Data      string `type:"path" placeholder:"DIR" help:"Keep data and certificates here (default: hubtwin in the user's data folder, $XDG_DATA_HOME or ~/.local/share)."`
	Ephemeral bool   `help:"Keep data in memory only. The certificates stay, so that clients go on trusting the hub."`

	Device []string `sep:"none" default:"device1" placeholder:"ID" help:"Register this device if it is not there; may be repeated (device1)."`

	Listen        string   `default:"localhost" placeholder:"ADDRESS" help:"Listen on this IP address: localhost is this machine only, 0.0.0.0 every network."`
	Hostname      []string `sep:"none" placeholder:"NAME" help:"A name by which clients reach the hub; may be repeated. The first one goes into the connection strings."`
	HTTPSPort     *int     `name:"https-port" placeholder:"PORT" help:"Port of HTTPS and WebSockets (443, or the next free from 8443 on); 0 is any free one."`
	MQTTPort      *int     `name:"mqtt-port" placeholder:"PORT" help:"Port of MQTT over TLS (8883, or the next free one); 0 is any free one."`
	MQTTPlainPort *int     `name:"mqtt-plain-port" placeholder:"PORT" help:"Serve MQTT without TLS as well, on loopback addresses only; 0 is any free port."`
	AdminPort     *int     `name:"admin-port" placeholder:"PORT" help:"Port of health and metrics over HTTP, on loopback addresses only (9464, or another free one); 0 is any free one."`

	Retention  time.Duration `default:"24h" placeholder:"TIME" help:"How long events are kept: 1m to 168h (24h)."`
	Partitions int           `default:"4" placeholder:"N" help:"Of the event log, 1 to 32; it stays as it was when the data was made (4)."`

	BlobStorage   string `env:"HUBTWIN_BLOB_STORAGE" placeholder:"TEXT" help:"Connection string of a storage account, to which devices may upload files; UseDevelopmentStorage=true is Azurite on this machine (${env})."`
	BlobContainer string `default:"uploads" placeholder:"NAME" help:"The container for them, which must be there (uploads)."`
	JobFiles      string `type:"path" placeholder:"DIR" help:"Let import and export jobs read and write in this folder, by file: URIs. Otherwise they use blob containers only."`

	RouteFiles  string   `type:"path" placeholder:"DIR" help:"Let routes write files below this folder."`
	WebhookHost []string `sep:"none" placeholder:"HOST" help:"Let routes call webhooks on this host only: a name, an address, or *.example.com; may be repeated. Otherwise they may call any address that the hub reaches."`

	Faults    bool   `help:"Let back ends inject faults, to test retries: see hubtwin fault --help."`
	Env       string `type:"path" placeholder:"FILE" help:"Once the hub is ready, write the environment for SDKs here, as export lines for a shell."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"Log this and worse: debug, info, warn, error."`
	LogFormat string `enum:"text,json" default:"text" help:"Of the log: text or json."`
}

func (devCommand) Help() string {
	return `Starts a hub on this machine, makes what it needs (a certificate authority, keys, a first device), and says what to paste into another terminal so that SDKs and the other commands find it. Ctrl-C stops it; everything is there again the next time, the same keys included.

Examples:
  hubtwin dev
  hubtwin dev --device pump-7 --device pump-8
  hubtwin dev --ephemeral --https-port 0 --mqtt-port 0 --env hub.env      a test run
  hubtwin dev --listen 0.0.0.0 --hostname hub.lan                        for real devices nearby

Exit code: 0 stopped by a signal, 1 failure, 2 bad command line.`
}

// fallbacks is how many further ports are tried when the usual one is taken.
const fallbacks = 10

// ports gives what to try: the port asked for and no other, or the usual one
// and, from next on, others.
func ports(asked *int, usual, next int) []int {
	if asked != nil {
		return []int{*asked}
	}
	list := []int{usual}
	for p := range fallbacks {
		list = append(list, next+p)
	}
	return list
}

// adminPorts gives what to try for health and metrics. A hub does not fail for
// want of them: in the end any free port will do.
func adminPorts(asked *int) []int {
	list := ports(asked, adminPort, adminPort+1)
	if asked == nil {
		list = append(list, 0)
	}
	return list
}

// Run is a hub until a signal ends ctx.
func (cmd devCommand) Run(ctx context.Context, c console) error {
	config, dir, err := cmd.config(c.err)
	if err != nil {
		return err
	}
	if err := config.Validate(); err != nil {
		return usageError{err}
	}
	s, err := server.Open(ctx, config)
	if err != nil {
		return cmd.explained(err, dir)
	}
	err = cmd.serve(ctx, c, s, config, dir)
	return errors.Join(err, s.Close())
}

// config turns flags into a configuration; dir is where data and certificates
// belong.
func (cmd devCommand) config(log io.Writer) (c server.Config, dir string, err error) {
	dir = cmd.Data
	if dir == "" {
		if dir, err = dataFolder(); err != nil {
			return c, "", err
		}
	}
	c = server.Config{
		Certificates: filepath.Join(dir, "tls"),
		Listen:       cmd.Listen,
		Hostnames:    cmd.Hostname,
		HTTPS:        ports(cmd.HTTPSPort, httpsPort, 8443),
		MQTT:         ports(cmd.MQTTPort, mqttPort, mqttPort+1),
		Admin:        adminPorts(cmd.AdminPort),
		BlobStorage:  cmd.BlobStorage, BlobContainer: cmd.BlobContainer,
		JobFiles:   cmd.JobFiles,
		RouteFiles: cmd.RouteFiles, WebhookHosts: cmd.WebhookHost,
		Events: eventlog.Config{Partitions: cmd.Partitions, Retention: eventlog.Retention{Age: cmd.Retention}},
		Log:    logger(log, cmd.LogLevel, cmd.LogFormat),
		Faults: cmd.Faults,
	}
	if !cmd.Ephemeral {
		c.Data = dir
	}
	if cmd.MQTTPlainPort != nil {
		c.MQTTPlain = []int{*cmd.MQTTPlainPort}
	}
	return c, dir, nil
}

// dataFolder is the default of --data.
func dataFolder() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hubtwin"), nil
	}
	if dir := os.Getenv("LOCALAPPDATA"); runtime.GOOS == "windows" && dir != "" {
		return filepath.Join(dir, "hubtwin"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("there is no home directory to keep data in (%w); give one with --data DIR", err)
	}
	return filepath.Join(home, ".local", "share", "hubtwin"), nil
}

func logger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		panic(err) // the flag's enum is wrong
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l}))
}

// serve registers the devices, tells where everything is, and serves.
func (cmd devCommand) serve(ctx context.Context, c console, s *server.Server, config server.Config, dir string) error {
	at, err := cmd.place(s, config)
	if err != nil {
		return err
	}
	if at.devices, err = register(ctx, s, cmd.Device, at.mqttHost); err != nil {
		return err
	}
	if !cmd.Ephemeral {
		forget, err := leaveNote(dir, at)
		if err != nil {
			return err
		}
		defer forget()
	}
	// The ports are open already: a client that connects from here on waits in
	// the queue of the listener, until Run accepts it a moment later.
	if cmd.Env != "" {
		if err := at.writeEnvironment(cmd.Env); err != nil {
			return err
		}
	}
	if err := at.print(c, runtime.GOOS); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { fmt.Fprintln(c.err, "Stopping; Ctrl-C again stops at once.") })
	return s.Run(ctx)
}

// place gathers what people want to know of a running hub.
func (cmd devCommand) place(s *server.Server, config server.Config) (*place, error) {
	at := &place{
		data:      config.Data,
		caFile:    s.CAFile,
		bundle:    s.BundleFile,
		env:       cmd.Env,
		program:   programName(os.Args[0]),
		https:     s.HTTPS,
		mqtt:      s.MQTT,
		mqttPlain: s.MQTTPlain,
		admin:     s.Admin,
	}
	host := clientHost(cmd.Listen, cmd.Hostname)
	at.httpsHost, at.mqttHost = withPort(host, s.HTTPS.Port, httpsPort), withPort(host, s.MQTT.Port, mqttPort)
	for _, p := range s.Hub.Policies() {
		if p.Name == owner {
			at.owner = policyString(at.httpsHost, p.Name, p.PrimaryKey)
			return at, nil
		}
	}
	return nil, fmt.Errorf("the hub has no policy %q any more", owner)
}

// owner is the policy that the connection strings for back ends are of.
const owner = "iothubowner"

// register makes sure that the devices are there.
func register(ctx context.Context, s *server.Server, ids []string, host string) ([]sample, error) {
	me := auth.Principal{Policy: owner, Permissions: auth.RegistryWrite}
	var list []sample
	for _, name := range ids {
		id := device.ID{Device: name}
		if err := id.Validate(); err != nil {
			return nil, usagef("--device: %w", err)
		}
		found, err := s.Hub.Identity(ctx, me, id)
		if fault.Is(err, fault.DeviceNotFound) {
			want := device.Identity{ID: id, Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS}}
			found, err = s.Hub.PutIdentity(ctx, me, want, "")
		}
		if err != nil {
			return nil, fmt.Errorf("register device %q: %w", name, err)
		}
		list = append(list, sample{name, deviceString(host, device.ID{Device: name}, found.Identity.Authentication.PrimaryKey)})
	}
	return list, nil
}

// noteFile tells the next hub on the same directory who is there. The lock is
// the store's; this is for the message only.
const noteFile = "running"

func leaveNote(dir string, at *place) (forget func(), err error) {
	file := filepath.Join(dir, noteFile)
	text := fmt.Sprintf("process %d, https://%s", os.Getpid(), at.httpsHost)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return func() { os.Remove(file) }, nil
}

// explained says what to do about a hub that does not start.
func (cmd devCommand) explained(err error, dir string) error {
	var file *fs.PathError
	switch {
	case errors.Is(err, pebble.ErrInUse):
		who := "another hub"
		if note, readErr := os.ReadFile(filepath.Join(dir, noteFile)); readErr == nil && len(note) < 200 {
			who += " (" + strings.TrimSpace(string(note)) + ")"
		}
		return fmt.Errorf("%s has the data in %s open\nhint: stop it, or start this one with --data DIR or --ephemeral", who, dir)
	case errors.Is(err, pebble.ErrFormat):
		return fmt.Errorf("%w\nhint: start with another --data DIR to leave that directory as it is", err)
	case errors.As(err, &file):
		return fmt.Errorf("%w\nhint: the hub must be able to write in %s; choose another directory with --data DIR", err, dir)
	}
	return err
}
