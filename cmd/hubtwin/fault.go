package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/fault"
)

type faultCommands struct {
	Disconnect disconnectCommand `cmd:"" help:"Cut off a device now."`
	Drop       dropCommand       `cmd:"" help:"Neither act on what devices send over MQTT, nor answer."`
	Delay      delayCommand      `cmd:"" help:"Act on requests, and answer, only after a time."`
	Throttle   throttleCommand   `cmd:"" help:"Answer 429 to requests, or to those above a rate."`
	Refuse     refuseCommand     `cmd:"" help:"Refuse connections with a CONNACK of 3 or 5."`
	Fail       failCommand       `cmd:"" help:"Let requests fail with a code."`
	List       listFaultsCommand `cmd:"" help:"List the faults in force."`
	Clear      clearCommand      `cmd:"" help:"End a fault, or all."`
}

func (faultCommands) Help() string {
	return `Makes a hub fail on purpose, to see that devices and back ends cope with it. The hub must be started with "hubtwin dev --faults". Each fault ends by itself: after --count requests, or --for a time, 1 hour at most. A fault is for all devices unless --device names one.

Examples:
  hubtwin fault disconnect pump-7
  hubtwin fault drop --device pump-7 --for 30s
  hubtwin fault delay 2s --operation report --for 1m
  hubtwin fault throttle --operation https --path /twins/ --rate 5 --for 1m
  hubtwin fault refuse --device pump-7 --connack 3 --count 4
  hubtwin fault fail report --code 503001 --count 3
  hubtwin fault clear`
}

// lasting are the flags of every fault that lasts.
type lasting struct {
	connection
	output
	Device string        `placeholder:"ID" help:"Only for this device."`
	Count  int           `placeholder:"N" help:"End after so many requests."`
	For    time.Duration `placeholder:"TIME" help:"End after this time."`
}

// about are the flags of faults that are about some requests only.
type about struct {
	Operation string `enum:"connect,twin,report,telemetry,packet,https," default:"" help:"Only for connect, twin (a device reads it), report, telemetry, packet (the rest of MQTT) or https."`
	Path      string `placeholder:"PATH" help:"Only for calls over HTTPS whose path begins with this."`
}

// inject sends the fault, and tells of it.
func (l lasting) inject(ctx context.Context, c console, f client.Fault) error {
	if l.Count == 0 && l.For == 0 {
		return usagef("when does it end? Give --count N, --for TIME, or both")
	}
	f.Device, f.Count = l.Device, l.Count
	if l.For != 0 {
		f.Duration = l.For.String()
	}
	hub, err := l.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	added, err := hub.InjectFault(ctx, f)
	if err != nil {
		return explained(err)
	}
	if l.json() {
		return l.printValue(c, added)
	}
	_, err = fmt.Fprintf(c.out, "Fault %s is in force. End it early with: hubtwin fault clear %s\n", added.ID, added.ID)
	return err
}

type disconnectCommand struct {
	connection
	Device string `arg:"" help:"Id of the device."`
}

func (cmd disconnectCommand) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	was, err := hub.Disconnect(ctx, cmd.Device)
	if err != nil {
		return explained(err)
	}
	says := "%s is not connected.\n"
	if was {
		says = "%s was cut off.\n"
	}
	_, err = fmt.Fprintf(c.out, says, cmd.Device)
	return err
}

type dropCommand struct {
	lasting
	Operation string `enum:"connect,twin,report,telemetry,packet," default:"" help:"Only for connect, twin (a device reads it), report, telemetry or packet (the rest)."`
}

func (cmd dropCommand) Run(ctx context.Context, c console) error {
	return cmd.inject(ctx, c, client.Fault{Effect: "drop", Operation: cmd.Operation})
}

type delayCommand struct {
	By time.Duration `arg:"" help:"How long requests wait, 5m at most."`
	lasting
	about
}

func (cmd delayCommand) Run(ctx context.Context, c console) error {
	return cmd.inject(ctx, c, client.Fault{Effect: "delay", Operation: cmd.Operation, Path: cmd.Path, Delay: cmd.By.String()})
}

type throttleCommand struct {
	lasting
	Operation string  `enum:"twin,report,telemetry,https" default:"report" help:"For twin (a device reads it), report, telemetry or https."`
	Path      string  `placeholder:"PATH" help:"Only for calls over HTTPS whose path begins with this."`
	Rate      float64 `placeholder:"N" help:"Let so many in a second pass; none otherwise."`
}

func (cmd throttleCommand) Run(ctx context.Context, c console) error {
	return cmd.inject(ctx, c, client.Fault{Effect: "fail", Code: fault.ThrottlingException, Operation: cmd.Operation, Path: cmd.Path, Rate: cmd.Rate})
}

type refuseCommand struct {
	lasting
	Connack int `enum:"3,5" default:"3" help:"3 says that the hub can't now, 5 that the device may not."`
}

func (cmd refuseCommand) Run(ctx context.Context, c console) error {
	code := fault.ServiceUnavailable
	if cmd.Connack == 5 {
		code = fault.IotHubUnauthorized
	}
	return cmd.inject(ctx, c, client.Fault{Effect: "fail", Code: code, Operation: "connect"})
}

type failCommand struct {
	Operation string `arg:"" enum:"connect,twin,report,telemetry,https" help:"connect, twin (a device reads it), report, telemetry or https."`
	lasting
	Code int    `required:"" placeholder:"CODE" help:"Six digits of the error catalogue, such as 503001."`
	Path string `placeholder:"PATH" help:"Only for calls over HTTPS whose path begins with this."`
}

func (cmd failCommand) Run(ctx context.Context, c console) error {
	return cmd.inject(ctx, c, client.Fault{Effect: "fail", Code: fault.Code(cmd.Code), Operation: cmd.Operation, Path: cmd.Path})
}

type listFaultsCommand struct {
	connection
	output
}

func (cmd listFaultsCommand) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	list, err := hub.Faults(ctx)
	if err != nil {
		return explained(err)
	}
	var rows [][]string
	for _, f := range list {
		if cmd.json() {
			if err := cmd.printValue(c, f); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, faultRow(f))
	}
	if cmd.json() {
		return nil
	}
	t := &table{w: c.out, headers: []string{"Fault", "Effect", "Operation", "Device", "Hits", "Left", "Until"}}
	return t.print(rows)
}

func faultRow(f client.Fault) []string {
	effect := f.Effect
	switch {
	case f.Code != 0:
		effect += " " + strconv.Itoa(int(f.Code))
	case f.Delay != "":
		effect += " " + f.Delay
	}
	left := "-"
	if f.Count > 0 {
		left = strconv.Itoa(f.Count)
	}
	return []string{f.ID, effect, orAll(f.Operation+f.Path, "mqtt"), orAll(f.Device, "all"), strconv.Itoa(f.Hits), left, f.Until.UTC().Format(time.TimeOnly)}
}

func orAll(text, all string) string {
	if text == "" {
		return all
	}
	return text
}

type clearCommand struct {
	connection
	ID string `arg:"" optional:"" help:"The fault's id; all of them without one."`
}

func (cmd clearCommand) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	n, err := hub.ClearFaults(ctx, cmd.ID)
	if err != nil {
		return explained(err)
	}
	_, err = fmt.Fprintf(c.out, "Faults ended: %d.\n", n)
	return err
}
