package httpapi

import (
	"strconv"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
)

// receiveFeedback serves GET /messages/serviceBound/feedback: what became of
// messages to devices (REST sheet, 8).
func (a *api) receiveFeedback(c *call) (*answer, error) {
	f, err := a.Hub.ReceiveFeedback(c.Context(), c.who)
	switch {
	case err != nil:
		return nil, err
	case f == nil:
		return noContent(), nil
	}
	ans, err := marshal(f.Records)
	if err != nil {
		return nil, err
	}
	ans.etag = f.Token
	ans.header = map[string]string{
		"Content-Type":         c2d.FeedbackType,
		"iothub-enqueuedtime":  device.FormatTime(f.Enqueued),
		"iothub-deliverycount": strconv.Itoa(f.DeliveryCount),
	}
	return ans, nil
}

// completeFeedback serves DELETE /messages/serviceBound/feedback/{token}.
func (a *api) completeFeedback(c *call) (*answer, error) {
	if err := a.Hub.CompleteFeedback(c.Context(), c.who, c.token()); err != nil {
		return nil, err
	}
	return noContent(), nil
}

// abandonFeedback serves POST /messages/serviceBound/feedback/{token}/abandon.
func (a *api) abandonFeedback(c *call) (*answer, error) {
	if err := a.Hub.AbandonFeedback(c.Context(), c.who, c.token()); err != nil {
		return nil, err
	}
	return noContent(), nil
}
