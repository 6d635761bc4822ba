package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/client"
)

type messageCommands struct {
	Send     messageSend     `cmd:"" help:"Send a message to a device; it waits until the device has it."`
	Purge    messagePurge    `cmd:"" help:"Remove all messages that wait for a device."`
	Feedback messageFeedback `cmd:"" help:"Show what became of messages."`
}

type messageSend struct {
	connection
	Device      string        `arg:"" help:"Id of the device."`
	Body        string        `arg:"" help:"The message; @FILE reads it from a file, - from standard input."`
	Module      string        `placeholder:"ID" help:"Send it to a module of the device."`
	Property    []string      `short:"p" sep:"none" placeholder:"NAME=VALUE" help:"An application property; may be repeated. Names arrive in lower case."`
	MessageID   string        `name:"message-id" placeholder:"ID" help:"A name for the message, which feedback repeats."`
	ContentType string        `placeholder:"TYPE" help:"What the message is, such as application/json."`
	Ack         string        `default:"none" enum:"none,positive,negative,full" help:"Of which ends to give feedback: ${enum}."`
	ExpiresIn   time.Duration `placeholder:"TIME" help:"How long the message is of use, at most 48h; the hub's default is 1h."`
}

func (messageSend) Help() string {
	return `Up to 50 messages wait for a device. It gets them in order, when it is connected and has subscribed, or fetches them over HTTPS.

Examples:
  hubtwin message send pump-7 '{"valve":"open"}' -p priority=high
  hubtwin message send pump-7 @firmware.json --message-id fw-12 --ack full --expires-in 24h

` + exits
}

// Run sends the message.
func (cmd messageSend) Run(ctx context.Context, c console) error {
	body, err := readText(c.in, cmd.Body)
	if err != nil {
		return err
	}
	properties, err := parseProperties(cmd.Property)
	if err != nil {
		return err
	}
	m := client.Command{Message: client.Message{Body: body, ContentType: cmd.ContentType, MessageID: cmd.MessageID, Properties: properties}}
	if cmd.Ack != "none" {
		m.Ack = cmd.Ack
	}
	if cmd.ExpiresIn != 0 {
		m.Expiry = time.Now().Add(cmd.ExpiresIn)
	}
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	if err := hub.SendMessage(ctx, cmd.Device, cmd.Module, m); err != nil {
		return explained(err)
	}
	fmt.Fprintf(c.err, "The message waits for %s.\n", cmd.Device)
	return nil
}

// parseProperties reads NAME=VALUE.
func parseProperties(list []string) (map[string]string, error) {
	properties := map[string]string{}
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usagef("--property: %q is not NAME=VALUE", p)
		}
		properties[name] = value
	}
	return properties, nil
}

type messagePurge struct {
	connection
	Device string `arg:"" help:"Id of the device."`
	Module string `placeholder:"ID" help:"Purge those of a module of the device."`
}

func (messagePurge) Help() string { return exits }

// Run purges the queue.
func (cmd messagePurge) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	n, err := hub.PurgeMessages(ctx, cmd.Device, cmd.Module)
	if err != nil {
		return explained(err)
	}
	fmt.Fprintf(c.out, "%d\n", n)
	return nil
}

type messageFeedback struct {
	connection
	output
	Follow bool `short:"f" help:"Go on until you stop it."`
}

func (messageFeedback) Help() string {
	return `Feedback is about messages that asked for it (hubtwin message send --ack). The hub gathers it for up to 15 seconds. What is shown is removed from the hub.

` + exits
}

// feedbackPoll is how often a command that follows asks for more.
const feedbackPoll = time.Second

// Run shows the feedback that is there, or all that comes.
func (cmd messageFeedback) Run(ctx context.Context, c console) error {
	hub, err := cmd.open()
	if err != nil {
		return err
	}
	defer hub.Close()
	for {
		list, token, err := hub.ReceiveFeedback(ctx)
		if err != nil {
			return cmd.ended(ctx, err)
		}
		for _, f := range list {
			if cmd.json() {
				fmt.Fprintf(c.out, "%s\n", f.Document)
				continue
			}
			fmt.Fprintf(c.out, "%s  %-21s  %s  %s\n", f.Time.Format(time.RFC3339), f.StatusCode, f.DeviceID, f.OriginalMessageID)
		}
		switch {
		case token != "":
			if err := hub.CompleteFeedback(ctx, token); err != nil {
				return cmd.ended(ctx, err)
			}
			continue
		case !cmd.Follow:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(feedbackPoll):
		}
	}
}

// ended is the failure of a call, unless the user has stopped the command.
func (cmd messageFeedback) ended(ctx context.Context, err error) error {
	if cmd.Follow && ctx.Err() != nil {
		return nil
	}
	return explained(err)
}
