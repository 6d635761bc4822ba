package simulate

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// Progress is a moment of a run.
type Progress struct {
	// Step is "create", "run" or "remove".
	Step              string
	Elapsed           time.Duration // of the step
	Devices           int
	Registered        int   // of the steps create and remove: how many are done
	Connected         int64 // now
	Sent, Done        int64 // patches and messages, and those acknowledged
	Errors, Reconnect int64 // so far
}

// Summary is what has become of a run.
type Summary struct {
	Devices int      `json:"devices"`
	Elapsed Duration `json:"elapsed"`
	Created int      `json:"created"`
	Removed int      `json:"removed"`
	// Connected is how many devices were connected at one time, at most.
	Connected int64 `json:"connected"`
	// Connects is how often a connection was accepted; Drops how often the run
	// itself cut one off; Lost how often one ended otherwise.
	Connects int64 `json:"connects"`
	Drops    int64 `json:"drops"`
	Lost     int64 `json:"lost"`
	// Of reported patches and telemetry: sent, and acknowledged. What was under
	// way when a connection ended is Unanswered.
	Reports               int64 `json:"reports"`
	ReportsAcknowledged   int64 `json:"reportsAcknowledged"`
	Telemetry             int64 `json:"telemetry"`
	TelemetryAcknowledged int64 `json:"telemetryAcknowledged"`
	Unanswered            int64 `json:"unanswered"`
	// What came down: changes of desired properties, direct methods that devices
	// answered, and messages to devices.
	Desired         int64 `json:"desired"`
	MethodsAnswered int64 `json:"methodsAnswered"`
	Messages        int64 `json:"messagesReceived"`
	// Calls of methods by the back end of the run, and those that went well.
	MethodCalls int64 `json:"methodCalls"`
	MethodsDone int64 `json:"methodCallsDone"`
	// Latencies: a connection from its dialing, TLS included, to CONNACK; PUBACK
	// of telemetry; the answer to a reported patch; a direct method as its caller
	// sees it.
	Connect Latency `json:"connect"`
	Puback  Latency `json:"puback"`
	Patch   Latency `json:"patch"`
	Method  Latency `json:"method"`
	// Errors counts them by what they say.
	Errors map[string]int64 `json:"errors"`
}

func (c *counts) summary() Summary {
	c.errors.mu.Lock()
	defer c.errors.mu.Unlock()
	return Summary{
		Connected: c.most.Load(), Connects: c.connects.Load(), Drops: c.drops.Load(), Lost: c.lost.Load(),
		Reports: c.reports.Load(), ReportsAcknowledged: c.reportsDone.Load(),
		Telemetry: c.telemetry.Load(), TelemetryAcknowledged: c.telemetryDone.Load(),
		Unanswered: c.unanswered.Load(),
		Desired:    c.desired.Load(), MethodsAnswered: c.answered.Load(), Messages: c.downstream.Load(),
		MethodCalls: c.calls.Load(), MethodsDone: c.callsDone.Load(),
		Connect: c.connect.latency(), Puback: c.puback.latency(), Patch: c.patch.latency(), Method: c.method.latency(),
		Errors: maps.Clone(c.errors.kinds),
	}
}

// Print writes the summary for people.
func (s Summary) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "Devices\t%d, up to %d connected, in %s\n", s.Devices, s.Connected, time.Duration(s.Elapsed).Round(100*time.Millisecond))
	if s.Created+s.Removed > 0 {
		fmt.Fprintf(t, "Registry\t%d created, %d removed\n", s.Created, s.Removed)
	}
	fmt.Fprintf(t, "Connections\t%d accepted, %d cut off here, %d lost\n", s.Connects, s.Drops, s.Lost)
	fmt.Fprintf(t, "Reported patches\t%d sent, %d acknowledged\n", s.Reports, s.ReportsAcknowledged)
	fmt.Fprintf(t, "Telemetry\t%d sent, %d acknowledged\n", s.Telemetry, s.TelemetryAcknowledged)
	fmt.Fprintf(t, "Unanswered\t%d\n", s.Unanswered)
	fmt.Fprintf(t, "Received\t%d desired changes, %d methods, %d messages\n", s.Desired, s.MethodsAnswered, s.Messages)
	if s.MethodCalls > 0 {
		fmt.Fprintf(t, "Method calls\t%d made, %d answered\n", s.MethodCalls, s.MethodsDone)
	}
	fmt.Fprint(t, "\nLatency\tcount\tp50\tp95\tp99\tmax\n")
	for _, l := range []struct {
		name string
		Latency
	}{{"connect", s.Connect}, {"PUBACK", s.Puback}, {"twin patch", s.Patch}, {"method", s.Method}} {
		if l.Count > 0 {
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", l.name, l.Count, short(l.P50), short(l.P95), short(l.P99), short(l.Max))
		}
	}
	if len(s.Errors) > 0 {
		fmt.Fprint(t, "\nErrors\tcount\n")
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Errors)) {
		fmt.Fprintf(t, "%s\t%d\n", kind, s.Errors[kind])
	}
	return t.Flush()
}

// short rounds to three digits or so.
func short(d Duration) string {
	v := time.Duration(d)
	switch {
	case v >= time.Second:
		return v.Round(10 * time.Millisecond).String()
	case v >= time.Millisecond:
		return v.Round(10 * time.Microsecond).String()
	}
	return v.Round(time.Microsecond).String()
}
