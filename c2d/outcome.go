package c2d

import (
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/message"
)

// Ack says of which outcomes of a message its sender wants to hear.
type Ack uint8

// The values of iothub-ack. Full is Positive and Negative.
const (
	None     Ack = 0
	Positive Ack = 1 // when it is completed
	Negative Ack = 2 // when it leaves the queue in any other way
	Full         = Positive | Negative
)

// parseAck reads a value that message.Message.Check has let pass.
func parseAck(text string) Ack {
	switch text {
	case message.AckPositive:
		return Positive
	case message.AckNegative:
		return Negative
	case message.AckFull:
		return Full
	}
	return None
}

// Status is what became of a message, as feedback says it.
type Status string

// The statuses (messaging-and-auth sheet, 3.2).
const (
	Success               Status = "Success"
	Expired               Status = "Expired"
	DeliveryCountExceeded Status = "DeliveryCountExceeded"
	Rejected              Status = "Rejected"
	Purged                Status = "Purged"
)

// Outcome is the end of a message: it has left the queue.
type Outcome struct {
	Entry
	Status Status
	At     time.Time
}

// FeedbackType is the content type of a message to back ends whose body is a JSON
// array of Feedback.
const FeedbackType = "application/vnd.microsoft.iothub.feedback.json"

// Feedback tells the sender of a message what became of it. Its JSON form is that
// of the service (messaging-and-auth sheet, 3.2).
type Feedback struct {
	OriginalMessageID  string `json:"originalMessageId"` // empty if the message had none
	EnqueuedTimeUTC    string `json:"enqueuedTimeUtc"`   // of the outcome, not of the message
	StatusCode         Status `json:"statusCode"`
	Description        string `json:"description"`
	DeviceID           string `json:"deviceId"`
	DeviceGenerationID string `json:"deviceGenerationId"`
}

// Feedback is the record for the sender of the message. wanted is false if the
// sender did not ask for this outcome.
func (o Outcome) Feedback(deviceID, generationID string) (f Feedback, wanted bool) {
	asked := Negative
	if o.Status == Success {
		asked = Positive
	}
	if o.Ack&asked == 0 {
		return Feedback{}, false
	}
	return Feedback{
		OriginalMessageID: o.MessageID, EnqueuedTimeUTC: device.FormatTime(o.At), StatusCode: o.Status,
		Description: string(o.Status), DeviceID: deviceID, DeviceGenerationID: generationID,
	}, true
}
