package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// errorBody is shape A of the REST sheet, 0.3: the one that all clients read.
type errorBody struct {
	Message          string
	ExceptionMessage string
}

// faultAnswer puts f into the form of an error answer, with what err, in whose
// chain it was found, adds to the headers. The body's first word and the header
// iothub-errorcode must name the same code, or C# calls the code invalid (REST
// sheet, 0.3).
func faultAnswer(f *fault.Error, err error, rid string, at time.Time) *answer {
	name := f.Code.Name()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(errorBody{ // two strings always encode
		Message:          "ErrorCode:" + name + ";" + f.Message,
		ExceptionMessage: "Tracking ID:" + rid + "-G:0-TimeStamp:" + at.UTC().Format("01/02/2006 15:04:05"),
	})
	a := &answer{
		status: f.Code.Status(),
		header: map[string]string{"iothub-errorcode": name},
		body:   bytes.TrimSuffix(b.Bytes(), []byte("\n")),
	}
	var wrong *wrongMethod
	if errors.As(err, &wrong) {
		a.header["Allow"] = strings.Join(wrong.allowed, ", ")
	}
	return a
}

// wrongMethod is the fault 405000 with the methods that the path takes, which
// HTTP wants in the answer (RFC 9110, 15.5.6).
type wrongMethod struct {
	fault   *fault.Error
	allowed []string
}

func (e *wrongMethod) Error() string { return e.fault.Error() }
func (e *wrongMethod) Unwrap() error { return e.fault }

func methodNotAllowed(method string, allowed []string) error {
	f := fault.New(fault.GenericMethodNotAllowed, "the method %s is not allowed here; these are: %s", clip(method), strings.Join(allowed, ", "))
	return &wrongMethod{f, allowed}
}

// clip shortens a caller's text for a message.
func clip(s string) string {
	const most = 32
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
