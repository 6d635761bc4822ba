package httpapi

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
)

// bulkBody is the answer to a bulk request (REST sheet, 1.6). Both lists are
// always there.
type bulkBody struct {
	IsSuccessful bool       `json:"isSuccessful"`
	Errors       []bulkItem `json:"errors"`
	Warnings     []struct{} `json:"warnings"`
}

// bulkItem is one item that failed. The code is a number: Go's client can not
// read its name, and all others can read both.
type bulkItem struct {
	DeviceID    string     `json:"deviceId"`
	ErrorCode   fault.Code `json:"errorCode"`
	ErrorStatus string     `json:"errorStatus"`
	ModuleID    *string    `json:"moduleId"`
	Operation   string     `json:"operation"`
}

// bulk serves POST /devices. If an item failed, the answer has status 400 and
// still the body that lists what happened.
func (a *api) bulk(c *call) (*answer, error) {
	body, err := c.body(MaxBulkBody)
	if err != nil {
		return nil, err
	}
	items, err := device.ParseBulk(body)
	if err != nil {
		return nil, err
	}
	failed, err := a.Hub.Bulk(c.Context(), c.who, items, c.rules)
	if err != nil {
		return nil, err
	}
	for _, e := range failed {
		// The answer has no room for what went wrong inside, so the log must.
		if e.Fault.Code.Status() >= 500 {
			a.Log.Error("bulk item failed", slog.String("rid", c.rid), slog.String("device", e.ID.String()),
				slog.Int("code", int(e.Fault.Code)), slog.Any("cause", e.Fault.Unwrap()))
		}
	}
	return bulkAnswer(failed)
}

func bulkAnswer(failed []hub.BulkError) (*answer, error) {
	result := bulkBody{IsSuccessful: len(failed) == 0, Errors: []bulkItem{}, Warnings: []struct{}{}}
	for _, e := range failed {
		result.Errors = append(result.Errors, bulkItem{
			DeviceID:    e.ID.Device,
			ErrorCode:   e.Fault.Code,
			ErrorStatus: e.Fault.Message,
			ModuleID:    orNull(e.ID.Module),
			Operation:   string(e.Operation),
		})
	}
	body, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	if result.IsSuccessful {
		return ok(body), nil
	}
	// C# looks for the first name, and returns the body instead of throwing;
	// everybody else looks for the second.
	name := fault.BulkRegistryOperationFailure.Name()
	return &answer{
		status: http.StatusBadRequest,
		header: map[string]string{"IotHubErrorCode": name, "iothub-errorcode": name},
		body:   body,
	}, nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
