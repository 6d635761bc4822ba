package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hubtwin/hubtwin/fault"
)

// Error is a hub's answer to a request it did not carry out.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is the number in the error catalogue, such as fault.DeviceNotFound,
	// or 0 if the hub gave no name, or one that is not known here.
	Code fault.Code
	// Name is the code's name, such as "DeviceNotFound"; "" if there was none.
	Name string
	// Message is what the hub says of it, without the name.
	Message string
	// RequestID finds the request in the hub's log. It may be "".
	RequestID string
}

// Error tells what went wrong, for people.
func (e *Error) Error() string {
	message := e.Message
	switch {
	// Of a device or module that is not there the hub says the id and no more.
	case (e.Code == fault.DeviceNotFound || e.Code == fault.ModuleNotFound) && message != "" && !strings.Contains(message, " "):
		kind := "device"
		if strings.Contains(message, "/") {
			kind = "module"
		}
		message = fmt.Sprintf("%s %q is not registered", kind, message)
	case message == "":
		message = http.StatusText(e.Status)
	}
	if e.Name == "" {
		return fmt.Sprintf("%s (HTTP %d)", message, e.Status)
	}
	return fmt.Sprintf("%s (%s, HTTP %d)", message, e.Name, e.Status)
}

// newError reads an answer that is no success. The header has the code's name;
// the body repeats it before the text.
func newError(status int, h http.Header, body []byte) *Error {
	e := &Error{Status: status, Name: h.Get("iothub-errorcode"), RequestID: h.Get("x-ms-request-id")}
	var b struct{ Message string }
	// What is not JSON does not come from a hub; the status must do then.
	if json.Unmarshal(body, &b) == nil {
		// Failures of methods have a document in the place of the text.
		var inner struct{ Message string }
		if json.Unmarshal([]byte(b.Message), &inner) == nil && inner.Message != "" {
			b = inner
		}
		name, text, ok := strings.Cut(strings.TrimPrefix(b.Message, "ErrorCode:"), ";")
		if ok && strings.HasPrefix(b.Message, "ErrorCode:") {
			e.Message = text
			if e.Name == "" {
				e.Name = name
			}
		} else {
			e.Message = b.Message
		}
	}
	e.Code, _ = fault.ByName(e.Name)
	return e
}
