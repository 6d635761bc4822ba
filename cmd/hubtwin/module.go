package main

import (
	"context"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/device"
)

type moduleCommands struct {
	List             moduleList             `cmd:"" help:"List the modules of a device by id."`
	Show             moduleShow             `cmd:"" help:"Print the identity of a module, keys included."`
	Create           moduleCreate           `cmd:"" help:"Register a module of a device."`
	Delete           moduleDelete           `cmd:"" help:"Remove a module and its twin."`
	ConnectionString moduleConnectionString `cmd:"" help:"Print what a module needs to connect."`
}

type moduleList struct {
	connection
	output
	Device string `arg:"" help:"Id of the device."`
}

func (moduleList) Help() string { return exits }

// Run prints one module a line.
func (cmd moduleList) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	modules, err := hub.ListModules(ctx, cmd.Device)
	if err != nil {
		return explained(err)
	}
	if cmd.json() {
		for _, m := range modules {
			if err := cmd.printValue(c, m); err != nil {
				return err
			}
		}
		return nil
	}
	t := table{w: c.out, headers: []string{"MODULE", "MANAGED BY", "CONNECTION", "AUTHENTICATION", "LAST ACTIVITY"}}
	var rows [][]string
	for _, m := range modules {
		rows = append(rows, []string{m.ID, m.ManagedBy, m.ConnectionState, m.Authentication.Type, activity(m.LastActivityTime)})
	}
	return t.print(rows)
}

// moduleNames are the arguments that name a module.
type moduleNames struct {
	Device string `arg:"" help:"Id of the device."`
	Module string `arg:"" help:"Id of the module."`
}

type moduleShow struct {
	connection
	output
	moduleNames
}

func (moduleShow) Help() string { return exits }

// Run prints the identity.
func (cmd moduleShow) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	m, err := hub.Module(ctx, cmd.Device, cmd.Module)
	if err != nil {
		return explained(err)
	}
	return cmd.printValue(c, m)
}

type moduleCreate struct {
	connection
	output
	credentials
	moduleNames
	ManagedBy string `placeholder:"TEXT" help:"Who takes care of it, for people and programs."`
}

func (moduleCreate) Help() string {
	return `A module is a part of a device with a twin, methods, messages and a connection of its own; a device has up to 50. The hub makes two keys, unless both are given, or the module has a certificate.

Examples:
  hubtwin module create pump-7 valve
  hubtwin module connection-string pump-7 valve
  hubtwin twin update pump-7 --module valve --desired '{"open":true}'

` + exits
}

// Run registers the module and prints its identity.
func (cmd moduleCreate) Run(ctx context.Context, c console) error {
	if err := cmd.credentials.complete(); err != nil {
		return err
	}
	m := client.Module{DeviceID: cmd.Device, ID: cmd.Module, ManagedBy: cmd.ManagedBy}
	if err := cmd.credentials.change(c, &m.Authentication); err != nil {
		return err
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	m, err = hub.CreateModule(ctx, m)
	if err != nil {
		return explained(err)
	}
	return cmd.printValue(c, m)
}

type moduleDelete struct {
	connection
	moduleNames
	Etag string `placeholder:"ETAG" help:"Only if the identity still has this etag."`
}

func (moduleDelete) Help() string { return exits }

// Run deletes. It prints nothing.
func (cmd moduleDelete) Run(ctx context.Context) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	return explained(hub.DeleteModule(ctx, cmd.Device, cmd.Module, cmd.Etag))
}

type moduleConnectionString struct {
	connection
	connectWith
	moduleNames
}

func (moduleConnectionString) Help() string {
	return `For a module with a certificate the string says x509=true; the SDK wants certificate and key besides.

Examples:
  hubtwin module connection-string pump-7 valve

` + exits
}

// Run prints the connection string.
func (cmd moduleConnectionString) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	m, err := hub.Module(ctx, cmd.Device, cmd.Module)
	if err != nil {
		return explained(err)
	}
	return cmd.connectWith.print(c, cmd.ConnectionString, device.ID{Device: m.DeviceID, Module: m.ID}, m.Authentication)
}
