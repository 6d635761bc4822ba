package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Command is a message to a device, which waits in the hub until the device has
// it.
type Command struct {
	Message
	// Ack says of which ends of the message feedback is wanted: "" or "none",
	// "positive" (the device has it), "negative" (it never will) or "full".
	Ack string
	// Expiry is when the message is of no use any more: within 48 hours; zero is
	// the hub's default, an hour.
	Expiry time.Time
}

// SendMessage puts a message into the queue of a device, or of its module if that
// is not "". Names of properties arrive in lower case. At most 50 messages wait;
// one more is fault.DeviceMaximumQueueDepthExceeded.
func (c *Client) SendMessage(ctx context.Context, id, module string, m Command) error {
	h := m.header()
	if m.Ack != "" {
		h["iothub-ack"] = []string{m.Ack}
	}
	if !m.Expiry.IsZero() {
		h["iothub-expiry"] = []string{m.Expiry.UTC().Format(time.RFC3339Nano)}
	}
	_, err := c.do(ctx, request{method: http.MethodPost, path: identityPath("devices", id, module, "messages", "deviceBound"), header: h, body: m.Body}, nil)
	return err
}

// PurgeMessages takes all messages off the queue of a device, or of its module,
// and gives their number.
func (c *Client) PurgeMessages(ctx context.Context, id, module string) (int, error) {
	var answer struct {
		Purged int `json:"totalMessagesPurged"`
	}
	_, err := c.do(ctx, request{method: http.MethodDelete, path: identityPath("devices", id, module, "commands")}, &answer)
	return answer.Purged, err
}

// Feedback tells what became of a message to a device.
type Feedback struct {
	OriginalMessageID  string    `json:"originalMessageId"`
	Time               time.Time `json:"enqueuedTimeUtc"` // of the end
	StatusCode         string    `json:"statusCode"`      // Success, Expired, DeliveryCountExceeded, Rejected or Purged
	DeviceID           string    `json:"deviceId"`
	DeviceGenerationID string    `json:"deviceGenerationId"`
	// Document is the record as the hub sent it.
	Document json.RawMessage `json:"-"`
}

// ReceiveFeedback fetches up to 64 records of feedback, none if there are none.
// Within a minute the caller completes them by their token; else they come again.
// The hub gathers records for up to 15 seconds.
func (c *Client) ReceiveFeedback(ctx context.Context) (list []Feedback, token string, err error) {
	var records []json.RawMessage
	header, err := c.do(ctx, get("messages", "serviceBound", "feedback"), &records)
	if err != nil || len(records) == 0 {
		return nil, "", err
	}
	list = make([]Feedback, len(records))
	for i, r := range records {
		if err := json.Unmarshal(r, &list[i]); err != nil {
			return nil, "", err
		}
		list[i].Document = r
	}
	return list, strings.Trim(header.Get("ETag"), `"`), nil
}

// CompleteFeedback says that the records of a token have arrived.
func (c *Client) CompleteFeedback(ctx context.Context, token string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: []string{"messages", "serviceBound", "feedback", token}}, nil)
	return err
}
