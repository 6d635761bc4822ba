package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
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
	body := errorBody{
		Message:          "ErrorCode:" + name + ";" + f.Message,
		ExceptionMessage: "Tracking ID:" + rid + "-G:0-TimeStamp:" + at.UTC().Format("01/02/2006 15:04:05"),
	}
	if errors.As(err, new(*nestedFailure)) && f.Code.Status() != http.StatusUnauthorized {
		body = nestedBody(f, rid, at)
	}
	a := &answer{
		status: f.Code.Status(),
		header: map[string]string{"iothub-errorcode": name},
		body:   encode(body),
	}
	var wrong *wrongMethod
	if errors.As(err, &wrong) {
		a.header["Allow"] = strings.Join(wrong.allowed, ", ")
	}
	return a
}

// encode writes v, which always can be written, as it is: with < and > in texts.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// nestedFailure is a failure of a direct method, or of the identity of a module,
// which is told in another form, unless the caller has no right to call.
type nestedFailure struct{ error }

func (e *nestedFailure) Unwrap() error { return e.error }

// nestedBody is shape B in shape A of the REST sheet, 0.3: the Message is itself a
// document. Java takes it for one only if ExceptionMessage is empty, and C# only
// if it has no objects in it.
func nestedBody(f *fault.Error, rid string, at time.Time) errorBody {
	return errorBody{Message: string(encode(struct {
		ErrorCode    fault.Code `json:"errorCode"`
		Message      string     `json:"message"`
		TrackingID   string     `json:"trackingId"`
		TimestampUTC string     `json:"timestampUtc"`
		Info         any        `json:"info"`
	}{f.Code, f.Message, rid + "-G2:-TimeStamp:" + at.UTC().Format(time.RFC3339Nano), at.UTC().Format("2006-01-02T15:04:05.0000000Z"), nil}))}
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
