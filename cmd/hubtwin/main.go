// Command hubtwin is the hub, and the tool to work with one.
//
//	hubtwin dev         a hub for development on this machine
//	hubtwin device      list, create, change and delete devices
//	hubtwin certificate say whose certificates let devices in
//	hubtwin twin        show and change twins
//	hubtwin query       ask about all twins at once
//	hubtwin monitor     watch what devices send
//	hubtwin routing     show and change where events go
//	hubtwin import      register a fleet from a file
//	hubtwin export      write the whole registry to a file
//	hubtwin simulate    be a fleet of devices
//	hubtwin method      call methods of devices
//	hubtwin message     send messages to devices
//	hubtwin fault       make a hub fail on purpose
//
// Each command is a struct whose fields are its flags and whose Run does the
// work; dev.go has the hub, the others speak to a hub through package client.
//
// The exit code is 0 for success, 1 for failure, 2 for a command line, query or
// JSON text that can't be, 3 if the device does not exist, and 4 if a device
// answered a method with a status of 400 or more.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/fault"
)

type commands struct {
	Dev         devCommand          `cmd:"" help:"Run a hub for development on this machine."`
	Device      deviceCommands      `cmd:"" help:"List, create, change and delete devices."`
	Module      moduleCommands      `cmd:"" help:"List, create and delete the modules of a device."`
	Certificate certificateCommands `cmd:"" help:"Say which authorities' certificates let devices in."`
	Twin        twinCommands        `cmd:"" help:"Show and change the twin of a device."`
	Query       queryCommand        `cmd:"" help:"Ask about all twins at once, in the hub's SQL."`
	Monitor     monitorCommand      `cmd:"" help:"Watch what devices send."`
	Routing     routingCommands     `cmd:"" help:"Show and change where events go."`
	Import      importCommand       `cmd:"" help:"Register a fleet from a file: devices, modules and twins."`
	Export      exportCommand       `cmd:"" help:"Write the whole registry with its twins to a file."`
	Simulate    simulateCommand     `cmd:"" help:"Be a fleet of devices, and measure."`
	Method      methodCommands      `cmd:"" help:"Call methods of devices."`
	Message     messageCommands     `cmd:"" help:"Send messages to devices, also to those that are away."`
	Fault       faultCommands       `cmd:"" help:"Make a hub fail on purpose, to test retries."`
	Version     versionCommand      `cmd:"" help:"Say which version this is."`
}

const description = `A hub for IoT devices, compatible with Azure IoT Hub, in one program.

Begin with "hubtwin dev" in one terminal. It says what to paste into another one, where the other commands and every SDK then find the hub.`

// Exit codes. They are documented in the package comment and in each help.
const (
	exitFailure = 1
	exitUsage   = 2
	exitNoSuch  = 3
	exitRefused = 4
)

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
	colour   bool // out is a terminal that wants colours
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal finds no one who waits for it and ends the process.
	context.AfterFunc(ctx, stop)

	c := console{in: os.Stdin, out: os.Stdout, err: os.Stderr, colour: wantsColour()}
	parser, err := kong.New(&commands{},
		kong.Name("hubtwin"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 90, NoExpandSubcommands: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(c),
	)
	if err != nil {
		panic(err) // the structs above are wrong
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(c.err, "hubtwin: %v\n%s\n", err, helpHint(err))
		return exitUsage
	}
	return exitCode(c, command.Run())
}

// helpHint says where the help for a bad command line is.
func helpHint(err error) string {
	command := "hubtwin"
	var bad *kong.ParseError
	if errors.As(err, &bad) && bad.Context != nil {
		if node := bad.Context.Selected(); node != nil {
			command = strings.Join([]string{"hubtwin", strings.TrimPrefix(node.Path(), "hubtwin ")}, " ")
		}
	}
	return fmt.Sprintf("Run %q for help.", command+" --help")
}

// exitCode tells of a command's failure, and gives the process's exit code.
func exitCode(c console, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(c.err, "hubtwin: %v\n", err)
	var usage usageError
	var refused *client.Error
	switch {
	case errors.As(err, new(refusedByDevice)):
		return exitRefused
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &refused) && (refused.Code == fault.DeviceNotFound || refused.Code == fault.ModuleNotFound):
		return exitNoSuch
	}
	return exitFailure
}

// usageError is a failure that the caller's text is to blame for.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// wantsColour follows no-color.org.
func wantsColour() bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
}
