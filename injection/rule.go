package injection

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// Effect is what happens to a request.
type Effect string

// The effects.
const (
	Fail  Effect = "fail"  // it fails with the rule's code
	Delay Effect = "delay" // it is acted upon only after the rule's time
	Drop  Effect = "drop"  // it is neither acted upon nor answered
)

// Operation is a kind of request. Those of MQTT are all but HTTPS.
type Operation string

// The operations.
const (
	Connect   Operation = "connect"   // CONNECT
	Twin      Operation = "twin"      // a device reads its twin
	Report    Operation = "report"    // a device patches its reported properties
	Telemetry Operation = "telemetry" // a device sends a message
	Packet    Operation = "packet"    // any other packet of a device
	HTTPS     Operation = "https"     // a call of the REST API
)

// Bounds of rules.
const (
	MaxRules = 100
	// MaxDuration is the longest a rule is in force, and what a rule has that has
	// only a count.
	MaxDuration = time.Hour
	MaxCount    = 1_000_000
	// MaxDelay is the longest that a request is made to wait.
	MaxDelay = 5 * time.Minute
)

// Rule is a fault to be injected. Its JSON form is that of the API.
type Rule struct {
	ID     string `json:"id"` // given by the table
	Effect Effect `json:"effect"`
	// Operation is what it is about; "" is every one of MQTT, or HTTPS if there
	// is a Path.
	Operation Operation `json:"operation,omitempty"`
	// Device is whose requests; "" is everybody's. Over HTTPS it is the device in
	// the path.
	Device string `json:"device,omitempty"`
	// Path is how the path of an HTTPS call begins, as in /twins/.
	Path string `json:"path,omitempty"`
	// Code is for Fail, as in fault's catalogue.
	Code fault.Code `json:"code,omitempty"`
	// Delay is for Delay.
	Delay Duration `json:"delay,omitzero"`
	// Rate lets so many requests in a second pass before it takes effect; 0 lets
	// none.
	Rate float64 `json:"rate,omitempty"`
	// Count is how many requests it still takes effect on, or 0: as many as come.
	Count int `json:"count,omitempty"`
	// Duration is how long it is in force.
	Duration Duration `json:"duration"`
	// Until is when it ends.
	Until time.Time `json:"until"`
	// Hits is how often it has taken effect.
	Hits int `json:"hits"`

	from    time.Time // in force from then on
	allowed float64   // of Rate, at the time of the last request
	last    time.Time
}

// Duration is a time.Duration that JSON has as text, as in "1m30s".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration takes.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText writes it as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Parse reads a rule. The fault of what can't be one is ArgumentInvalid, or
// DeserializationError if it is not the JSON of one.
func Parse(body []byte) (Rule, error) {
	var r Rule
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(&r)
	if err == nil {
		if _, end := dec.Token(); end != io.EOF {
			return Rule{}, fault.New(fault.DeserializationError, "something stands behind the rule's end")
		}
	}
	if err != nil {
		return Rule{}, fault.New(fault.DeserializationError, "%w", err)
	}
	r.ID, r.Until, r.Hits = "", time.Time{}, 0
	return r.complete()
}

// complete checks a rule, and fills in what follows from the rest.
func (r Rule) complete() (Rule, error) {
	if r.Path != "" && r.Operation == "" {
		r.Operation = HTTPS
	}
	if r.Duration == 0 && r.Count > 0 {
		r.Duration = Duration(MaxDuration)
	}
	if why := r.wrong(); why != "" {
		return Rule{}, fault.New(fault.ArgumentInvalid, "%s", why)
	}
	return r, nil
}

// wrong says what is wrong with a rule, or "".
func (r *Rule) wrong() string {
	switch {
	case !isOperation(r.Operation):
		return "operation: one of connect, twin, report, telemetry, packet, https, or nothing for all of MQTT"
	case r.Device != "" && (device.ID{Device: r.Device}).Validate() != nil:
		return "device: that is no id"
	case r.Path != "" && (r.Operation != HTTPS || !strings.HasPrefix(r.Path, "/")):
		return "path: the beginning of a path, such as /twins/, for https only"
	case len(r.Path) > 1024:
		return "path: it is too long"
	case !(r.Rate >= 0 && r.Rate <= MaxCount):
		return "rate: a number of requests in a second, not below 0"
	case r.Count < 0 || r.Count > MaxCount:
		return "count: from 1 to 1000000"
	case r.Duration == 0:
		return "count or duration: one of them must be there, so that the fault ends"
	case r.Duration < 0 || r.Duration > Duration(MaxDuration):
		return "duration: more than 0s, and at most 1h"
	}
	return r.wrongEffect()
}

func (r *Rule) wrongEffect() string {
	switch r.Effect {
	case Fail:
		if r.Operation == "" || r.Operation == Packet {
			return "operation: a fault with a code needs one of connect, twin, report, telemetry, https"
		}
		if s := r.Code.Status(); s < 400 || s > 599 || !known(r.Code) {
			return "code: a code of the error catalogue, such as 429001 or 503001"
		}
	case Delay:
		if r.Delay <= 0 || r.Delay > Duration(MaxDelay) {
			return "delay: more than 0s, and at most 5m"
		}
	case Drop:
		if r.Operation == HTTPS {
			return "operation: calls over https can't be dropped; delay them, or let them fail"
		}
	default:
		return "effect: one of fail, delay, drop"
	}
	return ""
}

func known(c fault.Code) bool {
	found, ok := fault.ByName(c.Name())
	return ok && found == c
}

func isOperation(o Operation) bool {
	switch o {
	case "", Connect, Twin, Report, Telemetry, Packet, HTTPS:
		return true
	}
	return false
}

// matches tells whether the rule is about a request.
func (r *Rule) matches(o Operation, id, path string) bool {
	return (r.Operation == o || r.Operation == "" && o != HTTPS) &&
		(r.Device == "" || r.Device == id) && strings.HasPrefix(path, r.Path)
}

// passes tells whether the rate lets a request pass.
func (r *Rule) passes(now time.Time) bool {
	if r.Rate == 0 {
		return false
	}
	// A second's worth may come at once, at least one request.
	r.allowed = min(r.allowed+now.Sub(r.last).Seconds()*r.Rate, max(r.Rate, 1))
	r.last = now
	if r.allowed < 1 {
		return false
	}
	r.allowed--
	return true
}
