package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/hubtwin/hubtwin/server"
)

// print tells what runs where, and what to do next. It is the first thing that
// people see of the hub. The system, as in runtime.GOOS, chooses the remedies.
func (at *place) print(c console, system string) error {
	b := &banner{colour: c.colour}
	b.heading("hubtwin is ready", "Ctrl-C stops it")
	b.row("HTTPS", "https://"+at.httpsHost, strings.Join(at.https.Addresses, ", "))
	b.row("MQTT", "mqtts://"+at.mqttHost, strings.Join(at.mqtt.Addresses, ", "))
	if at.mqttPlain.Port != 0 {
		b.row("MQTT, no TLS", strings.Join(at.mqttPlain.Addresses, ", "), "")
	}
	b.row("Admin", "http://"+at.adminHost(), "/readyz /metrics")
	if at.data == "" {
		b.row("Data", "in memory, gone at the end", "")
	} else {
		b.row("Data", at.data, "")
	}
	b.row("CA", at.caFile, "")
	for i, d := range at.devices {
		label := ""
		if i == 0 {
			label = "Devices"
		}
		b.row(label, d.id, "")
	}
	at.printMissed(b, system)
	at.printNext(b)
	_, err := io.WriteString(c.out, b.String())
	return err
}

// printNext are the lines to paste.
func (at *place) printNext(b *banner) {
	if at.env != "" {
		b.heading("Paste into another terminal", "")
		b.line(". " + shellQuoted(at.env))
		b.heading("Connection strings", "")
		b.line(at.owner)
		for _, d := range at.devices {
			b.line(d.connectionString)
		}
	} else {
		b.heading("Paste into another terminal", "--env FILE writes all variables to a file")
		for _, v := range at.essential() {
			b.line(v.export())
		}
	}
	if len(at.devices) == 0 {
		return
	}
	b.heading("Then try", "")
	b.line(fmt.Sprintf(`%s twin update %s --tags '{"location":{"region":"US","plant":"Redmond43"}}'`, at.program, at.devices[0].id))
	b.line(at.program + ` query "SELECT * FROM devices WHERE tags.location.plant = 'Redmond43'"`)
	apps := "node report-connectivity.js"
	if at.https.Port == httpsPort {
		apps += " && node add-tags-and-query.js" // which needs the service SDK for Node
	}
	b.line(apps + "    # in examples/tutorial, after npm install")
}

// printMissed tells of ports that are not the usual ones, and what follows.
func (at *place) printMissed(b *banner, system string) {
	if missed := at.https.Missed; missed != nil {
		b.heading(fmt.Sprintf("HTTPS is on port %d", at.https.Port), missed.Error())
		b.line("The Node and .NET service SDKs reach port 443 only; most others take the port from HostName.")
		for _, remedy := range remedies(at.https, system) {
			b.line(remedy)
		}
	} else if at.https.Port != httpsPort {
		b.heading(fmt.Sprintf("HTTPS is on port %d", at.https.Port), "the Node and .NET service SDKs reach 443 only")
	}
	if missed := at.mqtt.Missed; missed != nil {
		b.heading(fmt.Sprintf("MQTT is on port %d", at.mqtt.Port), missed.Error())
		b.line("The Python, Java, .NET and C device SDKs reach port 8883 only; Node takes the port from HostName.")
		b.line("To get 8883: stop what has it, or choose another address: --listen 127.0.0.2")
	}
}

// remedies are the ways to get port 443.
func remedies(e server.Endpoint, system string) []string {
	switch {
	case !errors.Is(e.Missed, fs.ErrPermission):
		return []string{"To get 443: stop what has it, or choose another address: --listen 127.0.0.2"}
	case system == "linux":
		return []string{
			"To get 443: sudo sysctl net.ipv4.ip_unprivileged_port_start=443",
			`or:         sudo setcap cap_net_bind_service=+ep "$(command -v hubtwin)"`,
			"or choose:  --https-port PORT",
		}
	}
	return []string{"To get 443: run hubtwin with the right to open ports below 1024, or choose --https-port PORT"}
}

// banner is aligned text with headings, in bold if colours are wanted.
type banner struct {
	strings.Builder
	colour bool
}

// heading begins a part; remark follows on the same line.
func (b *banner) heading(text, remark string) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	if b.colour {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	if remark != "" {
		text += " (" + remark + ")"
	}
	b.WriteString(text + "\n")
}

func (b *banner) line(text string) { b.WriteString("  " + text + "\n") }

// labelWidth and valueWidth align rows; longer values push the remark out.
const (
	labelWidth = 13
	valueWidth = 26
)

func (b *banner) row(label, value, remark string) {
	if remark != "" {
		value = fmt.Sprintf("%-*s %s", valueWidth, value, remark)
	}
	b.line(fmt.Sprintf("%-*s %s", labelWidth, label, value))
}
