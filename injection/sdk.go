package injection

import (
	"strconv"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// The properties of telemetry by which the end-to-end tests of the SDKs order a
// fault from the hub (FLT-01).
const (
	PropertyType     = "AzIoTHub_FaultOperationType"
	propertyReason   = "AzIoTHub_FaultOperationCloseReason"
	propertyDelay    = "AzIoTHub_FaultOperationDelayInSecs"
	propertyDuration = "AzIoTHub_FaultOperationDurationInSecs"
)

// Order is a fault that a device has ordered for itself.
type Order struct {
	// Close tells that the connection is to be closed after Delay; Abruptly,
	// without the goodbye of TLS.
	Close, Abruptly bool
	// Reason is the device's own, for the log.
	Reason string
	Delay  time.Duration
	rules  []Rule // from Delay on
}

// defaultDuration is what an order has that names none. The SDKs' tests wait for
// no longer.
const defaultDuration = 5 * time.Second

// ParseOrder reads the properties of a message of a device, of which property
// gives the value. ok is false if they order nothing that there is over MQTT: then
// the message is one like any other.
func ParseOrder(id string, property func(name string) string) (o Order, ok bool) {
	o.Reason = clip(property(propertyReason))
	o.Delay = min(seconds(property(propertyDelay), 0), MaxDelay)
	lasting := Duration(max(min(seconds(property(propertyDuration), defaultDuration), MaxDuration), time.Second))
	fail := func(code fault.Code, operations ...Operation) {
		for _, op := range operations {
			o.rules = append(o.rules, Rule{Effect: Fail, Code: code, Operation: op, Device: id, Duration: lasting})
		}
	}
	switch property(PropertyType) {
	case "KillTcp":
		o.Close, o.Abruptly = true, true
	case "ShutDownMqtt":
		o.Close = true
	case "InvokeThrottling":
		// Telemetry is shaped rather than refused (device-protocol 9.2).
		fail(fault.ThrottlingException, Twin, Report)
		o.rules = append(o.rules, Rule{Effect: Delay, Delay: Duration(time.Second), Operation: Telemetry, Device: id, Duration: lasting})
	case "InvokeMaxMessageQuota":
		fail(fault.IotHubQuotaExceeded, Telemetry)
	case "InvokeAuthError":
		o.Close = true
		fail(fault.IotHubUnauthorized, Connect)
	default:
		return Order{}, false
	}
	return o, true
}

// Carry puts the rules of an order in force, after its delay. What the table has
// no room for does not happen.
func (t *Table) Carry(o Order) {
	for _, r := range o.rules {
		if _, err := t.Add(r, o.Delay); err != nil {
			t.log.Warn("a device orders more faults than there is room for", "error", err)
			return
		}
	}
}

func seconds(text string, usual time.Duration) time.Duration {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return usual
	}
	return time.Duration(n) * time.Second
}

// clip shortens a device's text for the log.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most]
	}
	return s
}
