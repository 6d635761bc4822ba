package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/device"
)

// exits ends the help of each command.
const exits = "Exit code: 0 success, 1 failure, 2 bad command line, query or JSON, 3 no such device."

type deviceCommands struct {
	List             deviceList             `cmd:"" help:"List devices by id."`
	Show             deviceShow             `cmd:"" help:"Print the identity of a device, keys included."`
	Create           deviceCreate           `cmd:"" help:"Register a device."`
	Update           deviceUpdate           `cmd:"" help:"Enable or disable a device, or change how it proves itself."`
	Delete           deviceDelete           `cmd:"" help:"Remove a device and its twin."`
	SendEvent        deviceSendEvent        `cmd:"" help:"Send a message in the name of a device, to see where it goes."`
	ConnectionString deviceConnectionString `cmd:"" help:"Print what a device needs to connect."`
}

type deviceList struct {
	connection
	output
	Top int `default:"1000" placeholder:"N" help:"List N devices at most (1000)."`
}

func (deviceList) Help() string {
	return `Lists 1000 devices at most. To see more, or to choose, use a query.

Examples:
  hubtwin device list
  hubtwin query "SELECT * FROM devices WHERE status = 'disabled'"

` + exits
}

// maxListed is the most that the API lists.
const maxListed = 1000

// Run prints one device a line.
func (cmd deviceList) Run(ctx context.Context, c console) error {
	if cmd.Top < 1 || cmd.Top > maxListed {
		return usagef("--top: a list has 1 to %d devices; for more use hubtwin query \"SELECT * FROM devices\"", maxListed)
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	devices, err := hub.ListDevices(ctx, cmd.Top)
	if err != nil {
		return explained(err)
	}
	if cmd.json() {
		for _, d := range devices {
			if err := cmd.printValue(c, d); err != nil {
				return err
			}
		}
		return nil
	}
	t := table{w: c.out, headers: []string{"DEVICE", "STATUS", "CONNECTION", "AUTHENTICATION", "LAST ACTIVITY"}}
	var rows [][]string
	for _, d := range devices {
		rows = append(rows, []string{d.ID, d.Status, d.ConnectionState, d.Authentication.Type, activity(d.LastActivityTime)})
	}
	if err := t.print(rows); err != nil {
		return err
	}
	if len(devices) == cmd.Top {
		fmt.Fprintf(c.err, "There may be more: the list ends at %d devices.\n", cmd.Top)
	}
	return nil
}

// activity is a time of the API for people, to the second.
func activity(t string) string {
	if strings.HasPrefix(t, "0001-") {
		return "never"
	}
	date, fraction, _ := strings.Cut(t, ".")
	if fraction != "" {
		date += "Z"
	}
	return date
}

type deviceShow struct {
	connection
	output
	Device string `arg:"" help:"Id of the device."`
}

func (deviceShow) Help() string { return exits }

// Run prints the identity.
func (cmd deviceShow) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	d, err := hub.Device(ctx, cmd.Device)
	if err != nil {
		return explained(err)
	}
	return cmd.printValue(c, d)
}

// credentials are the flags for how a device proves itself. There are three kinds,
// of which a device has one.
type credentials struct {
	PrimaryKey           string `placeholder:"BASE64" help:"The first key."`
	SecondaryKey         string `placeholder:"BASE64" help:"The second key."`
	PrimaryThumbprint    string `placeholder:"HEX|@FILE" help:"SHA-1 or SHA-256 of its certificate, with or without colons; @FILE is the SHA-256 of the first certificate in a PEM file."`
	SecondaryThumbprint  string `placeholder:"HEX|@FILE" help:"That of a second certificate, which counts as well."`
	CertificateAuthority bool   `help:"It has a certificate of one of the hub's authorities, made out to its id."`
}

// complete tells whether a new identity can have the credentials.
func (f credentials) complete() error {
	if (f.PrimaryKey == "") != (f.SecondaryKey == "") {
		return usagef("give both --primary-key and --secondary-key, or neither")
	}
	return nil
}

// change writes the credentials that were given into a. Those of another kind go.
func (f credentials) change(c console, a *client.Authentication) error {
	keys := f.PrimaryKey != "" || f.SecondaryKey != ""
	thumbprints := f.PrimaryThumbprint != "" || f.SecondaryThumbprint != ""
	switch {
	case keys && thumbprints, (keys || thumbprints) && f.CertificateAuthority:
		return usagef("give keys, thumbprints or --certificate-authority: a device proves itself in one way")
	case keys:
		become(a, "sas")
		replace(&a.SymmetricKey.PrimaryKey, f.PrimaryKey)
		replace(&a.SymmetricKey.SecondaryKey, f.SecondaryKey)
	case f.CertificateAuthority:
		become(a, "certificateAuthority")
	case thumbprints:
		become(a, "selfSigned")
		for _, slot := range []struct {
			at   *string
			flag string
		}{{&a.X509Thumbprint.PrimaryThumbprint, f.PrimaryThumbprint}, {&a.X509Thumbprint.SecondaryThumbprint, f.SecondaryThumbprint}} {
			text, err := thumbprint(c, slot.flag)
			if err != nil {
				return err
			}
			replace(slot.at, text)
		}
	}
	return nil
}

// become makes a of another type, without what it had; of its own it stays as it is.
func become(a *client.Authentication, kind string) {
	if a.Type != kind {
		*a = client.Authentication{Type: kind}
	}
}

// replace puts text in the place of what is there, if there is one.
func replace(at *string, text string) {
	if text != "" {
		*at = text
	}
}

// thumbprint is a flag's as the hub takes it: of a file, or as openssl prints it.
func thumbprint(c console, flag string) (string, error) {
	file, ok := strings.CutPrefix(flag, "@")
	if !ok {
		return strings.ReplaceAll(flag, ":", ""), nil
	}
	text, err := readFile(c.in, file)
	if err != nil {
		return "", err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			sum := sha256.Sum256(block.Bytes)
			return hex.EncodeToString(sum[:]), nil
		}
	}
	return "", usagef("%s has no certificate in PEM form", file)
}

type deviceCreate struct {
	connection
	output
	credentials
	Device   string `arg:"" help:"Id of the device: 1 to 128 letters, digits and -.+%_#*?!(),:=@$'."`
	Disabled bool   `help:"Do not let it connect yet."`
	Edge     bool   `help:"It is an edge device, which others can connect through."`
}

func (deviceCreate) Help() string {
	return `The hub makes two keys, unless both are given, or the device has a certificate.

Examples:
  hubtwin device create pump-7
  hubtwin device connection-string pump-7
  hubtwin device create pump-8 --primary-thumbprint @pump-8.pem
  hubtwin device create pump-9 --certificate-authority

` + exits
}

// Run registers the device and prints its identity.
func (cmd deviceCreate) Run(ctx context.Context, c console) error {
	if err := cmd.credentials.complete(); err != nil {
		return err
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	d := client.Device{ID: cmd.Device, Status: "enabled", Capabilities: client.Capabilities{IoTEdge: cmd.Edge}}
	if cmd.Disabled {
		d.Status = "disabled"
	}
	if err := cmd.credentials.change(c, &d.Authentication); err != nil {
		return err
	}
	d, err = hub.CreateDevice(ctx, d)
	if err != nil {
		return explained(err)
	}
	return cmd.printValue(c, d)
}

type deviceUpdate struct {
	connection
	output
	credentials
	Device       string  `arg:"" help:"Id of the device."`
	Status       string  `enum:",enabled,disabled" default:"" placeholder:"enabled|disabled" help:"Whether it may connect. Disabling closes its connection."`
	StatusReason *string `placeholder:"TEXT" help:"Why, for people."`
}

func (deviceUpdate) Help() string {
	return `What is not mentioned stays as it is. Other credentials end the device's connection.

Examples:
  hubtwin device update pump-7 --status disabled --status-reason "in repair"
  hubtwin device update pump-7 --primary-key "$(head -c 32 /dev/urandom | base64)"
  hubtwin device update pump-8 --secondary-thumbprint @pump-8-new.pem

` + exits
}

// Run reads, changes and writes the identity, unless someone else wrote it in
// between.
func (cmd deviceUpdate) Run(ctx context.Context, c console) error {
	if cmd.credentials == (credentials{}) && cmd.Status == "" && cmd.StatusReason == nil {
		return usagef("nothing to change: give --status, --status-reason, keys, thumbprints or --certificate-authority")
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	d, err := hub.Device(ctx, cmd.Device)
	if err != nil {
		return explained(err)
	}
	if err := cmd.credentials.change(c, &d.Authentication); err != nil {
		return err
	}
	if cmd.Status != "" {
		d.Status = cmd.Status
	}
	if cmd.StatusReason != nil {
		d.StatusReason = *cmd.StatusReason
	}
	d, err = hub.UpdateDevice(ctx, d, d.Etag)
	if err != nil {
		return explained(err)
	}
	return cmd.printValue(c, d)
}

type deviceDelete struct {
	connection
	Device string `arg:"" help:"Id of the device."`
	Etag   string `placeholder:"ETAG" help:"Only if the identity still has this etag."`
}

func (deviceDelete) Help() string { return exits }

// Run deletes. It prints nothing.
func (cmd deviceDelete) Run(ctx context.Context) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	return explained(hub.DeleteDevice(ctx, cmd.Device, cmd.Etag))
}

type deviceConnectionString struct {
	connection
	connectWith
	Device string `arg:"" help:"Id of the device."`
}

// connectWith are the flags for what a connection string says besides the id.
type connectWith struct {
	Host string `env:"HUBTWIN_DEVICE_HOST" placeholder:"HOST[:PORT]" help:"Where devices reach the hub over MQTT; the host of --connection-string, on port 8883, otherwise (${env})."`
	Key  string `enum:"primary,secondary" default:"primary" help:"Which key: ${enum}."`
}

// print prints the connection string alone.
func (f connectWith) print(c console, service string, id device.ID, a client.Authentication) error {
	if a.Type == string(device.None) {
		return fmt.Errorf("%q has neither keys nor a certificate: the hub made it for IoT Edge", id)
	}
	host := f.Host
	if host == "" {
		s, err := client.ParseConnectionString(service)
		if err != nil {
			return usageError{err}
		}
		host = withoutPort(s.HostName)
	}
	key := a.SymmetricKey.PrimaryKey
	if f.Key == "secondary" {
		key = a.SymmetricKey.SecondaryKey
	}
	_, err := fmt.Fprintln(c.out, deviceString(host, id, key))
	return err
}

func (deviceConnectionString) Help() string {
	return `For a device with a certificate the string says x509=true; the SDK wants certificate and key besides.

Examples:
  export IOTHUB_DEVICE_CONNECTION_STRING="$(hubtwin device connection-string pump-7)"

` + exits
}

// Run prints the connection string.
func (cmd deviceConnectionString) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	d, err := hub.Device(ctx, cmd.Device)
	if err != nil {
		return explained(err)
	}
	return cmd.connectWith.print(c, cmd.ConnectionString, device.ID{Device: d.ID}, d.Authentication)
}
