package main

import (
	"context"
	"fmt"

	"github.com/hubtwin/hubtwin/client"
)

type deviceSendEvent struct {
	connection
	ID          string   `arg:"" name:"id" help:"The device."`
	Body        string   `arg:"" help:"The message; @FILE reads it from a file, - from standard input."`
	Module      string   `placeholder:"ID" help:"Send it in the name of a module of the device."`
	Property    []string `short:"p" sep:"none" placeholder:"NAME=VALUE" help:"An application property; may be repeated."`
	ContentType string   `default:"application/json" placeholder:"TYPE" help:"What the message is. JSON in UTF-8 can be looked into by those who read it (application/json)."`
	MessageID   string   `name:"message-id" placeholder:"ID" help:"A name for the message."`
}

func (deviceSendEvent) Help() string {
	return `The hub takes the message as if the device had sent it over HTTPS. The policy of the connection string needs the right DeviceConnect, as iothubowner has it.

Examples:
  hubtwin device send-event pump-7 '{"temperature":21.5}' -p severity=2
  hubtwin device send-event pump-7 @photo.jpg --content-type image/jpeg

` + exits
}

// Run sends it.
func (cmd deviceSendEvent) Run(ctx context.Context, c console) error {
	body, err := readText(c.in, cmd.Body)
	if err != nil {
		return err
	}
	properties, err := parseProperties(cmd.Property)
	if err != nil {
		return err
	}
	m := client.Message{Body: body, ContentType: cmd.ContentType, ContentEncoding: "utf-8", MessageID: cmd.MessageID, Properties: properties}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	if err := hub.SendEvent(ctx, cmd.ID, cmd.Module, m); err != nil {
		return explained(err)
	}
	fmt.Fprintf(c.err, "The hub has the message of %s.\n", cmd.ID)
	return nil
}
