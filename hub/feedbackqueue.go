package hub

import (
	"context"
	"errors"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/store"
)

// storedFeedback reads a message; ok is false if it is not there.
func (h *Hub) storedFeedback(n uint64) (m feedbackMessage, r store.Revision, ok bool, err error) {
	v, err := h.store.View()
	if err != nil {
		return m, 0, false, outcome(err)
	}
	defer v.Close()
	e, ok, err := v.Get(numbered(tableFeedback, n))
	if err != nil || !ok {
		return m, 0, false, err
	}
	m, err = decodeFeedback(e.Value)
	return m, e.Revision, err == nil, err
}

// takeFeedback removes a message. There is false if somebody else did.
func (h *Hub) takeFeedback(ctx context.Context, n uint64) (there bool, err error) {
	m, revision, ok, err := h.storedFeedback(n)
	if err != nil || !ok {
		return false, err
	}
	key := numbered(tableFeedback, n)
	_, err = store.CommitBatch(ctx, h.store, store.Batch{
		Expect: []store.Expectation{{Key: key, Revision: revision}},
		Writes: []store.Write{{Key: key}},
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return false, nil
	case err != nil:
		return false, outcome(err)
	}
	f := &h.feedback
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept -= len(m.Records)
	delete(f.held, n)
	return true, nil
}

// FeedbackMessage is feedback in the hands of a back end, for a minute.
type FeedbackMessage struct {
	Token         string // of the lock, a UUID
	Enqueued      time.Time
	DeliveryCount int // how often it was abandoned
	Records       []c2d.Feedback
}

// ReceiveFeedback gives the oldest feedback that nobody has in hand, or nil.
// Records of identities that are gone are gone as well.
func (h *Hub) ReceiveFeedback(ctx context.Context, who auth.Principal) (*FeedbackMessage, error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return nil, err
	}
	for after := []byte{tableFeedback}; ; {
		n, m, ok, err := h.nextFeedback(after)
		if err != nil || !ok {
			return nil, err
		}
		after = append(numbered(tableFeedback, n), 0)
		token, ok := h.feedback.hold(n, time.Now())
		if !ok {
			continue
		}
		got := &FeedbackMessage{Token: token, Enqueued: m.Enqueued, DeliveryCount: m.DeliveryCount}
		if got.Records, err = h.living(m.Records); err != nil {
			h.feedback.release(n)
			return nil, err
		}
		if len(got.Records) > 0 && now().Before(m.Enqueued.Add(feedbackTTL)) {
			return got, nil
		}
		if _, err := h.takeFeedback(ctx, n); err != nil {
			return nil, err
		}
	}
}

// nextFeedback finds the first message from a key on that nobody has in hand.
func (h *Hub) nextFeedback(start []byte) (n uint64, m feedbackMessage, ok bool, err error) {
	v, err := h.store.View()
	if err != nil {
		return 0, m, false, outcome(err)
	}
	defer v.Close()
	for e, err := range v.Scan(start, []byte{tableFeedback + 1}) {
		if err != nil {
			return 0, m, false, err
		}
		n := numberOf(e.Key)
		if h.feedback.isHeld(n, time.Now()) {
			continue
		}
		m, err := decodeFeedback(e.Value)
		return n, m, err == nil, err
	}
	return 0, m, false, nil
}

// living gives the records of identities that are still there: in the life that
// the record is of.
func (h *Hub) living(records []outcomeRecord) (list []c2d.Feedback, err error) {
	for _, r := range records {
		s, err := h.heads.read(r.id())
		if err != nil {
			return nil, err
		}
		if s.registered() && s.identity.GenerationID == r.DeviceGenerationID {
			list = append(list, r.Feedback)
		}
	}
	return list, nil
}

func (f *feedback) isHeld(n uint64, at time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return at.Before(f.held[n].deadline)
}

// hold locks a message, unless somebody has it.
func (f *feedback) hold(n uint64, at time.Time) (token string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Before(f.held[n].deadline) {
		return "", false
	}
	k := feedbackHold{c2d.NewToken(), at.Add(feedbackLock)}
	f.held[n] = k
	return k.token, true
}

// find gives the message that a token locks.
func (f *feedback) find(token string, at time.Time) (n uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, k := range f.held {
		if k.token == token && at.Before(k.deadline) {
			return n, nil
		}
	}
	return 0, fault.New(fault.DeviceMessageLockLost, "the lock token %.50q is unknown, or older than %s", token, feedbackLock)
}

func (f *feedback) release(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.held, n)
}

// CompleteFeedback removes the feedback that a token locks. The fault is
// DeviceMessageLockLost.
func (h *Hub) CompleteFeedback(ctx context.Context, who auth.Principal, token string) error {
	if err := who.May(auth.ServiceConnect); err != nil {
		return err
	}
	n, err := h.feedback.find(token, time.Now())
	if err != nil {
		return err
	}
	there, err := h.takeFeedback(ctx, n)
	if err == nil && !there {
		return feedbackGone(token)
	}
	return err
}

func feedbackGone(token string) error {
	return fault.New(fault.DeviceMessageLockLost, "the feedback of the lock token %.50q is not there any more", token)
}

// AbandonFeedback gives the feedback that a token locks back, for another try; it
// is forgotten when there were too many. The fault is DeviceMessageLockLost.
func (h *Hub) AbandonFeedback(ctx context.Context, who auth.Principal, token string) error {
	if err := who.May(auth.ServiceConnect); err != nil {
		return err
	}
	n, err := h.feedback.find(token, time.Now())
	if err != nil {
		return err
	}
	m, revision, ok, err := h.storedFeedback(n)
	switch {
	case err != nil:
		return err
	case !ok:
		return feedbackGone(token)
	}
	if m.DeliveryCount++; m.DeliveryCount > feedbackTries {
		_, err := h.takeFeedback(ctx, n)
		return err
	}
	key := numbered(tableFeedback, n)
	_, err = store.CommitBatch(ctx, h.store, store.Batch{
		Expect: []store.Expectation{{Key: key, Revision: revision}},
		Writes: []store.Write{{Key: key, Value: encode(m), Revision: revision + 1}},
	})
	if errors.Is(err, store.ErrConflict) {
		return feedbackGone(token)
	}
	if err == nil {
		h.feedback.release(n)
	}
	return outcome(err)
}
