package hub

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/store"
)

// Feedback is on its way through two tables:
//
//	outcome ──same commit──▶ records ──64, or 15 s──▶ messages ──receive, complete──▶ back end
//	                                                     │ an hour, too many tries, too many records
//	                                                     ▼
//	                                                  forgotten
//
// Both are numbered, oldest first. What back ends have in hand is locked in memory
// only: after a restart it waits again.
const (
	feedbackAtOnce = 64               // records of a message (messaging-and-auth sheet, 3.2)
	feedbackWait   = 15 * time.Second // of a record for others
	feedbackTTL    = time.Hour        // of a message
	feedbackLock   = time.Minute      // that a back end has for a message
	feedbackTries  = 10               // how often a message may be abandoned
	feedbackSweep  = time.Minute      // between two looks for messages whose time is over
	feedbackAtMost = 16               // messages made in one commit
)

// outcomeRecord is feedback in its stored form. The module is not told, but says
// whose life the generation is of.
type outcomeRecord struct {
	c2d.Feedback
	Module string `json:"moduleId,omitempty"`
}

func (r *outcomeRecord) id() device.ID { return device.ID{Device: r.DeviceID, Module: r.Module} }

// feedbackMessage is some feedback in its stored form.
type feedbackMessage struct {
	Enqueued      time.Time       `json:"enqueued"`
	DeliveryCount int             `json:"deliveryCount"`
	Records       []outcomeRecord `json:"records"`
}

// feedback is what the hub keeps in memory of it.
type feedback struct {
	mu       sync.Mutex
	record   uint64    // the number that the next record gets
	message  uint64    // likewise
	waiting  int       // records that are in no message
	since    time.Time // about when the first of them came
	kept     int       // records in messages
	max      int       // for kept
	held     map[uint64]feedbackHold
	gathered chan struct{} // has a value when there is more to gather
}

// feedbackHold is a message that a back end has in hand.
type feedbackHold struct {
	token    string
	deadline time.Time
}

// open counts what there is.
func (f *feedback) open(s store.Store, max int) error {
	f.max, f.held, f.gathered = max, map[uint64]feedbackHold{}, make(chan struct{}, 1)
	v, err := s.View()
	if err != nil {
		return err
	}
	defer v.Close()
	for e, err := range v.Scan([]byte{tableOutcomes}, []byte{tableOutcomes + 1}) {
		if err != nil {
			return err
		}
		f.record = numberOf(e.Key) + 1
		f.waiting++
	}
	f.since = time.Now()
	for e, err := range v.Scan([]byte{tableFeedback}, []byte{tableFeedback + 1}) {
		if err != nil {
			return err
		}
		m, err := decodeFeedback(e.Value)
		if err != nil {
			return err
		}
		f.message = numberOf(e.Key) + 1
		f.kept += len(m.Records)
	}
	f.gathered <- struct{}{}
	return nil
}

// numberOf is the number at the end of a key of a numbered table.
func numberOf(key []byte) uint64 {
	if len(key) < 9 {
		return 0
	}
	return binary.BigEndian.Uint64(key[1:])
}

func numbered(table byte, n uint64) []byte { return appendNumber([]byte{table}, n) }

func decodeFeedback(stored []byte) (m feedbackMessage, err error) {
	if err := json.Unmarshal(stored, &m); err != nil {
		return m, fmt.Errorf("decode feedback: %w", err)
	}
	return m, nil
}

// write makes the write of a record, for the batch of the outcome.
func (f *feedback) write(r outcomeRecord) store.Write {
	f.mu.Lock()
	n := f.record
	f.record++
	f.mu.Unlock()
	return store.Write{Key: numbered(tableOutcomes, n), Value: encode(r), Revision: store.NewRevision()}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and times of this millennium always encode
	}
	return b
}

// expect says that records were committed.
func (f *feedback) expect(n int) {
	f.mu.Lock()
	if f.waiting == 0 {
		f.since = time.Now()
	}
	f.waiting += n
	f.mu.Unlock()
	select {
	case f.gathered <- struct{}{}:
	default: // It has not taken the last one yet.
	}
}

// gatherFeedback makes messages of records until ctx ends, and forgets messages
// that nobody fetches.
func (h *Hub) gatherFeedback(ctx context.Context) {
	sweep := time.NewTicker(feedbackSweep)
	defer sweep.Stop()
	for {
		timer := time.NewTimer(h.feedback.wait(time.Now()))
		select {
		case <-ctx.Done():
		case <-h.feedback.gathered:
		case <-timer.C:
		case <-sweep.C:
			h.reportFeedback(ctx, h.forgetFeedback(ctx))
		}
		timer.Stop()
		for ctx.Err() == nil && h.feedback.wait(time.Now()) <= 0 {
			if err := h.gather(ctx); err != nil {
				h.reportFeedback(ctx, err)
				sleep(ctx, time.Second)
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (h *Hub) reportFeedback(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		h.log.Error("keep feedback", slog.Any("error", err))
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// wait is how long to wait before a message is made of what waits.
func (f *feedback) wait(at time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.waiting == 0:
		return time.Hour
	case f.waiting >= feedbackAtOnce:
		return 0
	}
	return f.since.Add(feedbackWait).Sub(at)
}

// gather makes messages of the oldest records.
func (h *Hub) gather(ctx context.Context) error {
	f := &h.feedback
	v, err := h.store.View()
	if err != nil {
		return err
	}
	defer v.Close()
	var b store.Batch
	var m feedbackMessage
	var from []store.Write // deletes the records of m
	f.mu.Lock()
	overdue := !time.Now().Before(f.since.Add(feedbackWait))
	f.mu.Unlock()
	gathered := 0
	add := func() {
		if len(m.Records) == 0 {
			return
		}
		m.Enqueued = now()
		f.mu.Lock()
		n := f.message
		f.message++
		f.mu.Unlock()
		b.Writes = append(b.Writes, store.Write{Key: numbered(tableFeedback, n), Value: encode(m), Revision: store.NewRevision()})
		b.Writes = append(b.Writes, from...)
		gathered += len(m.Records)
		m.Records, from = nil, nil
	}
	for e, err := range v.Scan([]byte{tableOutcomes}, []byte{tableOutcomes + 1}) {
		if err != nil {
			return err
		}
		var r outcomeRecord
		if err := json.Unmarshal(e.Value, &r); err != nil {
			return fmt.Errorf("decode feedback: %w", err)
		}
		from = append(from, store.Write{Key: append([]byte(nil), e.Key...)})
		if m.Records = append(m.Records, r); len(m.Records) == feedbackAtOnce {
			if add(); gathered == feedbackAtOnce*feedbackAtMost {
				break
			}
		}
	}
	if overdue {
		add() // what is too few for a message waits no longer
	}
	if gathered > 0 {
		if _, err := store.CommitBatch(ctx, h.store, b); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.kept += gathered
	// Records that the follower has not told of yet make it negative for a moment.
	f.waiting -= gathered
	if gathered == 0 {
		f.waiting = min(f.waiting, len(m.Records))
	}
	if overdue {
		f.since = time.Now()
	}
	f.mu.Unlock()
	return h.forgetFeedback(ctx)
}

// forgetFeedback removes the messages whose time is over, and the oldest of too
// many.
func (h *Hub) forgetFeedback(ctx context.Context) error {
	f := &h.feedback
	f.mu.Lock()
	excess := f.kept - f.max
	f.mu.Unlock()
	v, err := h.store.View()
	if err != nil {
		return err
	}
	defer v.Close()
	at, late, dropped := now(), 0, 0
	var gone []uint64
	for e, err := range v.Scan([]byte{tableFeedback}, []byte{tableFeedback + 1}) {
		if err != nil {
			return err
		}
		m, err := decodeFeedback(e.Value)
		if err != nil {
			return err
		}
		switch {
		case !at.Before(m.Enqueued.Add(feedbackTTL)):
			late += len(m.Records)
		case late+dropped < excess:
			dropped += len(m.Records)
		default:
			return h.removeFeedback(ctx, gone, late, dropped)
		}
		gone = append(gone, numberOf(e.Key))
	}
	return h.removeFeedback(ctx, gone, late, dropped)
}

func (h *Hub) removeFeedback(ctx context.Context, gone []uint64, late, dropped int) error {
	if len(gone) == 0 {
		return nil
	}
	for _, n := range gone {
		if _, err := h.takeFeedback(ctx, n); err != nil {
			return err
		}
	}
	h.messages.feedbackDropped.Add(int64(dropped))
	if dropped > 0 {
		h.log.Warn("feedback is lost: nobody fetches it", slog.Int("records", dropped), slog.Int("limit", h.feedback.max))
	}
	if late > 0 {
		h.log.Info("feedback has expired", slog.Int("records", late))
	}
	return nil
}
