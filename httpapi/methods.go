package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
)

// invokeMethod serves POST /twins/{id}/methods and
// POST /twins/{id}/modules/{mid}/methods.
func (a *api) invokeMethod(c *call) (*answer, error) {
	body, err := c.body(MaxMethodBody)
	if err != nil {
		return nil, &nestedFailure{err}
	}
	r, err := parseMethod(body)
	if err != nil {
		return nil, &nestedFailure{err}
	}
	got, err := a.invoke(c, r)
	if err != nil {
		return nil, err
	}
	document := append(strconv.AppendInt([]byte(`{"status":`), int64(got.Status), 10), `,"payload":`...)
	return ok(append(append(document, got.Payload...), '}')), nil
}

// parseMethod reads the body of a call. Members may be written in any case.
func parseMethod(body []byte) (hub.MethodRequest, error) {
	var b struct {
		MethodName               string
		Payload                  json.RawMessage
		ResponseTimeoutInSeconds *int
		ConnectTimeoutInSeconds  *int
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return hub.MethodRequest{}, fault.New(fault.ArgumentInvalid, `the body must be {"methodName":"…","payload":…}, with times in whole seconds: %w`, err)
	}
	return hub.MethodRequest{
		Name: b.MethodName, Payload: b.Payload,
		ResponseTimeout: seconds(b.ResponseTimeoutInSeconds, hub.DefaultResponseTimeout),
		ConnectTimeout:  seconds(b.ConnectTimeoutInSeconds, 0),
	}, nil
}

// seconds makes a time of what a request says, which may be anything: what is far
// out of range stays out of range.
func seconds(n *int, otherwise time.Duration) time.Duration {
	if n == nil {
		return otherwise
	}
	const far = 1_000_000
	return time.Duration(max(-1, min(*n, far))) * time.Second
}

// invokeCommand serves POST /digitaltwins/{id}/commands/{command}, and
// …/components/{component}/commands/{command}: the same call for those who think
// in models. A command of a component is the method component*command (REST sheet,
// sections 5 and 9).
func (a *api) invokeCommand(c *call) (*answer, error) {
	payload, err := c.anyBody(MaxMethodBody)
	if err != nil {
		return nil, &nestedFailure{err}
	}
	r := hub.MethodRequest{Name: c.path[len(c.path)-1], Payload: payload}
	if len(c.path) > 4 {
		r.Name = c.path[3] + "*" + r.Name
	}
	if r.ResponseTimeout, err = c.secondsOf("responseTimeoutInSeconds", hub.DefaultResponseTimeout); err != nil {
		return nil, err
	}
	if r.ConnectTimeout, err = c.secondsOf("connectTimeoutInSeconds", 0); err != nil {
		return nil, err
	}
	got, err := a.invoke(c, r)
	if err != nil {
		return nil, err
	}
	ans := ok(got.Payload)
	ans.header = map[string]string{"x-ms-command-statuscode": strconv.Itoa(got.Status)}
	return ans, nil
}

func (c *call) secondsOf(parameter string, otherwise time.Duration) (time.Duration, error) {
	text := c.parameters.Get(parameter)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, &nestedFailure{fault.New(fault.ArgumentInvalid, "%s is not a whole number", parameter)}
	}
	return seconds(&n, otherwise), nil
}

// answerTime is how long an answer may take to be sent, once a device has given
// it.
const answerTime = time.Minute

// invoke makes the call. It may last longer than the server lets other requests
// last, so its answer has a deadline of its own. (That can be set unless the
// connection is broken, or is none, as in tests.)
func (a *api) invoke(c *call, r hub.MethodRequest) (hub.MethodAnswer, error) {
	end := time.Now().Add(r.ConnectTimeout + r.ResponseTimeout + answerTime)
	http.NewResponseController(c.w).SetWriteDeadline(end)
	got, err := a.Hub.InvokeMethod(c.Context(), c.who, c.id, r)
	if err != nil {
		return hub.MethodAnswer{}, &nestedFailure{err}
	}
	return got, nil
}

// edgeCaller is the device or module that a request says it comes from: the
// modules of IoT Edge call methods with credentials of their own, and a header
// (device-protocol sheet, 7.7).
func edgeCaller(r *http.Request) (device.ID, bool) {
	caller := r.Header.Get("x-ms-edge-moduleId")
	if caller == "" {
		return device.ID{}, false
	}
	name, module, _ := strings.Cut(caller, "/")
	return device.ID{Device: name, Module: module}, true
}
