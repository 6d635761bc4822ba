package hub

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/presence"
)

// Limits of direct methods (device sheet, section 4). Payloads count in bytes of
// JSON text.
const (
	MaxMethodPayload       = 128 << 10 // in each direction
	maxMethodName          = 256
	minResponseTimeout     = 5 * time.Second
	maxMethodTimeout       = 300 * time.Second
	DefaultResponseTimeout = 30 * time.Second
)

// MethodRequest is a call of a direct method.
type MethodRequest struct {
	Name    string
	Payload []byte // JSON text; empty stands for null
	// ResponseTimeout is how long the device may take to answer once it has been
	// reached, 5 to 300 s. The failure comes a little before: see patience.
	ResponseTimeout time.Duration
	// ConnectTimeout is how long the device may take to connect and subscribe, if
	// it is not there; 0 to 300 s, and at most ResponseTimeout.
	ConnectTimeout time.Duration
}

// MethodAnswer is what the device answered.
type MethodAnswer struct {
	Status  int
	Payload []byte // JSON text, never empty
}

// MethodObservation is a call that has ended, for metrics.
type MethodObservation struct {
	Request, Answer int // bytes of the payloads; Answer is 0 if there was none
	Took            time.Duration
	Err             error // nil if the device answered, with whatever status
}

// InvokeMethod calls a direct method of a device or module and returns its
// answer. A device-side caller may call its own device and its modules, as IoT
// Edge lets modules do (device sheet, 7.7). Nothing is stored, and nothing is
// sent twice.
//
// The failures are ArgumentInvalid, MessageTooLarge, DeviceNotFound and
// ModuleNotFound (no such identity, or disabled), DeviceNotOnline (not there, or
// not subscribed, for all of ConnectTimeout), DeviceConnectionClosedRemotely (the
// connection ended during the call; whether the device did what it was asked is
// not known), GatewayTimeout, GenericBadGateway (the answer is no JSON or too
// large), MaximumInflightMethodExceeded, and ServerBusy.
func (h *Hub) InvokeMethod(ctx context.Context, who auth.Principal, id device.ID, r MethodRequest) (MethodAnswer, error) {
	if err := mayInvoke(who, id); err != nil {
		return MethodAnswer{}, err
	}
	began := time.Now()
	answer, err := h.invoke(ctx, id, r)
	h.observeMethod(MethodObservation{len(r.Payload), len(answer.Payload), time.Since(began), err})
	return answer, err
}

func mayInvoke(who auth.Principal, id device.ID) error {
	if who.ID.Device != "" && who.ID.Device == id.Device {
		return who.MayActAs(who.ID)
	}
	return who.May(auth.ServiceConnect)
}

func (h *Hub) invoke(ctx context.Context, id device.ID, r MethodRequest) (MethodAnswer, error) {
	if err := r.validate(); err != nil {
		return MethodAnswer{}, err
	}
	call := presence.MethodCall{Name: r.Name, Payload: r.Payload}
	if len(call.Payload) == 0 {
		call.Payload = []byte("null") // never zero bytes (device sheet, R7)
	}
	answers := make(chan methodResult, 1)
	answered := func(a presence.MethodAnswer, err error) { answers <- methodResult{a, err} }
	withdraw, err := h.reach(ctx, id, r.ConnectTimeout, func(d presence.Device) (func(), error) { return d.Invoke(call, answered) })
	if err != nil {
		return MethodAnswer{}, err
	}
	late := time.NewTimer(patience(r.ResponseTimeout))
	defer late.Stop()
	select {
	case result := <-answers:
		return result.check()
	case <-late.C:
		withdraw()
		return MethodAnswer{}, fault.New(fault.GatewayTimeout, "Timed out waiting for the response of %q", id)
	case <-ctx.Done():
		withdraw()
		return MethodAnswer{}, ctx.Err()
	}
}

// reach tries to reach id with try, again and again until timeout if it fails
// because the device is not there.
func (h *Hub) reach(ctx context.Context, id device.ID, timeout time.Duration, try func(presence.Device) (func(), error)) (withdraw func(), err error) {
	withdraw, err = h.tryToReach(id, try)
	if timeout == 0 || !fault.Is(err, fault.DeviceNotOnline) {
		return withdraw, err
	}
	w, err := h.table.Wait(id)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		withdraw, err = h.tryToReach(id, try)
		if !fault.Is(err, fault.DeviceNotOnline) {
			return withdraw, err
		}
		select {
		case <-w.C:
		case <-late.C:
			return nil, err
		case <-h.leaving:
			return nil, fault.New(fault.ServiceUnavailable, "the hub is shutting down")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (h *Hub) tryToReach(id device.ID, try func(presence.Device) (func(), error)) (func(), error) {
	s, err := h.heads.read(id)
	switch {
	case err != nil:
		return nil, err
	case !s.registered():
		return nil, notRegistered(id)
	}
	dev := s
	if id.IsModule() {
		if dev, err = h.heads.read(id.Parent()); err != nil {
			return nil, err
		}
	}
	if dev.registered() && dev.identity.Status == device.Disabled {
		return nil, fault.New(fault.DeviceNotFound, "device %q is disabled", id.Device)
	}
	link := h.table.Find(id)
	if link == nil {
		return nil, fault.New(fault.DeviceNotOnline, "The operation failed because the requested device isn't online: %q is not connected", id)
	}
	return try(link.Device)
}

// HangUp ends the wait of all calls for devices that are not there. It is for a
// shutdown, which would last as long as they do.
func (h *Hub) HangUp() { h.hangUp.Do(func() { close(h.leaving) }) }

// WakeCallers tells those who wait to call the device that its subscriptions
// have changed, or have come into force.
func (c *Connection) WakeCallers() { c.hub.table.Wake(c.id) }

// patience is how long an answer is waited for. Clients wait exactly as long as
// they let the device have (REST sheet, section 5), and the failure must reach
// them before: it leaves a twentieth earlier, within 1/4 s and 1 s.
func patience(response time.Duration) time.Duration {
	return response - min(max(response/20, time.Second/4), time.Second)
}

func (r MethodRequest) validate() error {
	switch {
	case r.Name == "":
		return fault.New(fault.ArgumentInvalid, "methodName is missing")
	case len(r.Name) > maxMethodName:
		return fault.New(fault.ArgumentInvalid, "methodName has more than %d characters", maxMethodName)
	case strings.ContainsFunc(r.Name, notOfMethodNames):
		return fault.New(fault.ArgumentInvalid, `methodName %q: letters and digits may be used, and %s`, r.Name, "! % & ' * - . ^ _ ` | ~")
	case len(r.Payload) > MaxMethodPayload:
		return fault.New(fault.MessageTooLarge, "the payload has %d bytes, at most %d may be", len(r.Payload), MaxMethodPayload)
	case len(r.Payload) > 0 && !isJSON(r.Payload):
		return fault.New(fault.ArgumentInvalid, "the payload is not JSON")
	case r.ResponseTimeout < minResponseTimeout || r.ResponseTimeout > maxMethodTimeout:
		return fault.New(fault.ArgumentInvalid, "responseTimeoutInSeconds is 5 to 300")
	case r.ConnectTimeout < 0 || r.ConnectTimeout > maxMethodTimeout:
		return fault.New(fault.ArgumentInvalid, "connectTimeoutInSeconds is 0 to 300")
	case r.ConnectTimeout > r.ResponseTimeout:
		return fault.New(fault.ArgumentInvalid, "connectTimeoutInSeconds is larger than responseTimeoutInSeconds")
	}
	return nil
}

// notOfMethodNames tells whether a method's name can't have r: all but printable
// ASCII without separators can't be, and # and + mean something else in an MQTT
// topic (device sheet, section 4).
func notOfMethodNames(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`$()<>@,;:\"/[]?={}#+`, r)
}

// isJSON tells whether text is one JSON value, in UTF-8, which json.Valid does
// not ask for.
func isJSON(text []byte) bool { return utf8.Valid(text) && json.Valid(text) }

type methodResult struct {
	answer presence.MethodAnswer
	err    error
}

// check makes of what a device said what a back end can be told.
func (r methodResult) check() (MethodAnswer, error) {
	payload := r.answer.Payload
	switch {
	case r.err != nil:
		return MethodAnswer{}, r.err
	case len(payload) == 0:
		payload = []byte("null")
	case len(payload) > MaxMethodPayload:
		return MethodAnswer{}, fault.New(fault.GenericBadGateway, "the device answered with status %d and a payload of %d bytes, at most %d may be", r.answer.Status, len(payload), MaxMethodPayload)
	case !isJSON(payload):
		return MethodAnswer{}, fault.New(fault.GenericBadGateway, "the device answered with status %d and a payload that is not JSON", r.answer.Status)
	}
	return MethodAnswer{r.answer.Status, payload}, nil
}
