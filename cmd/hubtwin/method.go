package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hubtwin/hubtwin/client"
)

type methodCommands struct {
	Invoke methodInvoke `cmd:"" help:"Call a method of a device and print its answer."`
}

type methodInvoke struct {
	connection
	output
	Device         string        `arg:"" help:"Id of the device."`
	Name           string        `arg:"" help:"Name of the method."`
	Module         string        `placeholder:"ID" help:"Call a module of the device."`
	Payload        string        `placeholder:"JSON" help:"What to send along, any JSON; @FILE reads a file, - standard input."`
	Timeout        time.Duration `default:"30s" help:"How long the device may take to answer, 5s to 300s."`
	ConnectTimeout time.Duration `name:"connect-timeout" default:"0s" help:"How long to wait for a device that is not connected, at most --timeout."`
}

func (methodInvoke) Help() string {
	return `The call reaches the device at once or fails: nothing is kept for a device that is away. The answer is the status and the payload that the device gave.

Examples:
  hubtwin method invoke pump-7 reboot
  hubtwin method invoke pump-7 reboot --payload '{"delay":5}' --connect-timeout 20s
  hubtwin method invoke pump-7 selfTest -o json | jq .payload

Exit code: 0 success, 1 failure, 2 bad command line or JSON, 3 no such device, 4 the device answered with a status of 400 or more (its answer is printed).`
}

// refusedByDevice is a device's answer that means no.
type refusedByDevice struct{ status int }

func (e refusedByDevice) Error() string {
	return fmt.Sprintf("the device answered with status %d", e.status)
}

// Run calls and prints the answer.
func (cmd methodInvoke) Run(ctx context.Context, c console) error {
	m := client.Method{Name: cmd.Name, ResponseTimeout: cmd.Timeout, ConnectTimeout: cmd.ConnectTimeout}
	if err := wholeSeconds("--timeout", cmd.Timeout, 5*time.Second); err != nil {
		return err
	}
	if err := wholeSeconds("--connect-timeout", cmd.ConnectTimeout, 0); err != nil {
		return err
	}
	if cmd.Payload != "" {
		text, err := readText(c.in, cmd.Payload)
		if err != nil {
			return err
		}
		if !json.Valid(text) {
			return usagef(`--payload: this is not JSON; in a shell, put it in single quotes: '{"delay":5}', and a text in double ones too: '"now"'`)
		}
		m.Payload = text
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	a, err := hub.InvokeMethod(ctx, cmd.Device, cmd.Module, m)
	if err != nil {
		return explained(err)
	}
	if err := cmd.printDocument(c, a.Document); err != nil {
		return err
	}
	if a.Status >= 400 {
		return refusedByDevice{a.Status}
	}
	return nil
}

// wholeSeconds refuses what the hub can't be told.
func wholeSeconds(flag string, d, least time.Duration) error {
	if d < least || d > 300*time.Second || d%time.Second != 0 {
		return usagef("%s: %s is not a whole number of seconds from %s to 300s", flag, d, least)
	}
	return nil
}
