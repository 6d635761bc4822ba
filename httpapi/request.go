package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/twin"
)

// Limits of bodies, in bytes. A larger one is MessageTooLarge.
const (
	MaxTwinBody     = 256 << 10 // of PATCH and PUT of a twin (twin sheet, 14)
	MaxIdentityBody = 64 << 10  // of PUT of a device
	MaxQueryBody    = 64 << 10  // of a query, whose text has 8192 characters at most
	MaxBulkBody     = 1 << 20   // of a bulk request of up to 100 devices
	MaxRoutingBody  = 1 << 20   // of the configuration of routing
	MaxEventBody    = 512 << 10 // of telemetry: a batch is longer by base64
	MaxMethodBody   = 136 << 10 // of a direct method, whose payload has 128 KB at most
)

// call is a request whose caller is known and whose path has been understood.
type call struct {
	*http.Request
	w          http.ResponseWriter
	rid        string // names the request in the answer and in the log
	who        auth.Principal
	path       []string
	id         device.ID // in the path; zero if the path has none
	rules      twin.Rules
	parameters url.Values
}

// arraysSince is the api-version from which on twins may hold arrays.
const arraysSince = "2019-10-01"

// parseVersion reads an api-version. Any date will do, with or without
// -preview, because the clients in use name many (REST sheet, 0.1). All that
// depends on it is in the rules.
func parseVersion(version string) (twin.Rules, error) {
	date := strings.TrimSuffix(version, "-preview")
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return twin.Rules{}, fault.New(fault.InvalidProtocolVersion, "the query parameter api-version must be a date, such as 2021-04-12")
	}
	return twin.Rules{NoArrays: date < arraysSince}, nil
}

// condition is the If-Match header as it was written. A list of etags matches
// none, which is safer than to heed one of them.
func (c *call) condition() hub.Condition {
	return hub.Condition(strings.Join(c.Header.Values("If-Match"), ", "))
}

// body reads the body, which must be there and have at most limit bytes.
func (c *call) body(limit int64) ([]byte, error) {
	b, err := c.anyBody(limit)
	if err == nil && len(b) == 0 {
		return nil, fault.New(fault.ArgumentNull, "this call needs a body")
	}
	return b, err
}

// decode reads body into v. Members that v lacks are refused: in a call of ours they
// are mistakes.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.New(fault.ArgumentInvalid, "the body: %w", err)
	}
	return nil
}

// anyBody is body for calls that need none.
func (c *call) anyBody(limit int64) ([]byte, error) {
	if e := c.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, fault.New(fault.GenericUnsupportedMediaType, "a body must not be compressed: Content-Encoding is not supported")
	}
	tooLarge := fault.New(fault.MessageTooLarge, "the body has at most %d bytes here", limit)
	if c.ContentLength > limit {
		return nil, tooLarge
	}
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, limit))
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLarge
	case err != nil:
		return nil, fault.New(fault.IotHubFormatError, "the body did not arrive whole").Because(err)
	}
	return b, nil
}
