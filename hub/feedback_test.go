package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store/memory"
)

// outcomes makes n records of feedback: messages that are purged.
func outcomes(t testing.TB, h *hub.Hub, name string, n int) {
	t.Helper()
	for i := range n {
		sendMessage(t, h, name, toDevice(fmt.Sprint(i), "full", 0))
		if i%50 == 49 || i == n-1 {
			if _, err := h.PurgeMessages(context.Background(), owner, device.ID{Device: name}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// inBubble runs f with a hub in virtual time. reopen ends it and begins another.
func inBubble(t *testing.T, c hub.Config, f func(t *testing.T, h *hub.Hub, reopen func() *hub.Hub)) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		defer s.Close()
		var h *hub.Hub
		c.Store, c.Log = s, slog.New(slog.DiscardHandler)
		reopen := func() *hub.Hub {
			if h != nil {
				h.Close()
			}
			var err error
			if h, err = hub.Open(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			return h
		}
		reopen()
		defer func() { h.Close() }()
		f(t, h, reopen)
	})
}

// receiveFeedback fetches feedback, and checks how many records it has.
func receiveFeedback(t testing.TB, h *hub.Hub, want int) *hub.FeedbackMessage {
	t.Helper()
	f, err := h.ReceiveFeedback(context.Background(), owner)
	if err != nil {
		t.Fatal(err)
	}
	if f == nil {
		f = &hub.FeedbackMessage{}
	}
	if len(f.Records) != want {
		t.Fatalf("%d records, want %d", len(f.Records), want)
	}
	return f
}

func TestFeedbackIsGathered(t *testing.T) {
	inBubble(t, hub.Config{}, func(t *testing.T, h *hub.Hub, reopen func() *hub.Hub) {
		register(t, h, "d")
		outcomes(t, h, "d", 70)
		synctest.Wait()
		first := receiveFeedback(t, h, 64)
		receiveFeedback(t, h, 0)
		time.Sleep(14 * time.Second)
		receiveFeedback(t, h, 0)
		time.Sleep(2 * time.Second)
		rest := receiveFeedback(t, h, 6)
		if err := h.CompleteFeedback(t.Context(), owner, rest.Token); err != nil {
			t.Fatal(err)
		}
		wantFault(t, h.CompleteFeedback(t.Context(), owner, rest.Token), fault.DeviceMessageLockLost)

		// The lock ends after a minute; nothing else does then.
		time.Sleep(time.Minute)
		wantFault(t, h.CompleteFeedback(t.Context(), owner, first.Token), fault.DeviceMessageLockLost)
		again := receiveFeedback(t, h, 64)
		if again.DeliveryCount != 0 || again.Token == first.Token || !again.Enqueued.Equal(first.Enqueued) {
			t.Errorf("%+v, first %+v", again, first)
		}

		// Abandoned, it comes again; the eleventh time it is gone.
		for tries := range 11 {
			if again.DeliveryCount != tries {
				t.Fatalf("delivery count %d, want %d", again.DeliveryCount, tries)
			}
			if err := h.AbandonFeedback(t.Context(), owner, again.Token); err != nil {
				t.Fatal(err)
			}
			want := 64
			if tries == 10 {
				want = 0
			}
			again = receiveFeedback(t, h, want)
		}
		if n := h.MessageRecords(); n.Outcomes+n.Feedback != 0 {
			t.Errorf("the store has %+v", n)
		}
	})
}

func TestFeedbackSurvivesARestart(t *testing.T) {
	inBubble(t, hub.Config{}, func(t *testing.T, h *hub.Hub, reopen func() *hub.Hub) {
		register(t, h, "d")
		outcomes(t, h, "d", 66)
		synctest.Wait()
		receiveFeedback(t, h, 64) // a lock does not
		h = reopen()
		receiveFeedback(t, h, 64)
		outcomes(t, h, "d", 1)
		time.Sleep(16 * time.Second)
		receiveFeedback(t, h, 3)
	})
}

func TestFeedbackExpires(t *testing.T) {
	inBubble(t, hub.Config{}, func(t *testing.T, h *hub.Hub, reopen func() *hub.Hub) {
		register(t, h, "d")
		outcomes(t, h, "d", 64)
		time.Sleep(time.Hour - time.Second)
		receiveFeedback(t, h, 64)
		time.Sleep(2 * time.Minute)
		receiveFeedback(t, h, 0)
		if n := h.MessageRecords(); n.Feedback != 0 {
			t.Errorf("the store has %+v", n)
		}
	})
}

func TestFeedbackIsBounded(t *testing.T) {
	inBubble(t, hub.Config{MaxFeedback: 130}, func(t *testing.T, h *hub.Hub, reopen func() *hub.Hub) {
		register(t, h, "d")
		outcomes(t, h, "d", 64*4)
		synctest.Wait()
		if n := h.MessageRecords(); n.Feedback != 2 || n.Outcomes != 0 {
			t.Errorf("the store has %+v", n)
		}
		if n := h.MessageStats().FeedbackDropped; n != 128 {
			t.Errorf("%d are counted as dropped", n)
		}
		receiveFeedback(t, h, 64)
	})
}

// TestFeedbackOfADeletedDevice is gone with it.
func TestFeedbackOfADeletedDevice(t *testing.T) {
	inBubble(t, hub.Config{}, func(t *testing.T, h *hub.Hub, reopen func() *hub.Hub) {
		register(t, h, "d")
		register(t, h, "e")
		outcomes(t, h, "d", 3)
		outcomes(t, h, "e", 2)
		if err := h.DeleteIdentity(t.Context(), owner, device.ID{Device: "d"}, hub.Any); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		register(t, h, "d") // another life
		time.Sleep(16 * time.Second)
		f := receiveFeedback(t, h, 2)
		for _, r := range f.Records {
			if r.DeviceID != "e" || r.DeviceGenerationID == "" {
				t.Errorf("%+v", r)
			}
		}
	})
}

// TestMessagesExpireAfterARestart: nobody has to touch the device for that.
func TestMessagesExpireAfterARestart(t *testing.T) {
	inBubble(t, hub.Config{}, func(t *testing.T, h *hub.Hub, reopen func() *hub.Hub) {
		var names []string
		for i := range 600 { // more than one look of the sweeper
			names = append(names, fmt.Sprint("d", i))
			register(t, h, names[i])
			sendMessage(t, h, names[i], toDevice("m", "full", time.Minute))
		}
		sendMessage(t, h, "d0", toDevice("later", "full", 2*time.Hour))
		h = reopen()
		time.Sleep(time.Minute + time.Second)
		if n := h.MessageRecords(); n.Bodies != 1 || n.Expiries != 1 {
			t.Errorf("the store has %+v", n)
		}
		if n := h.MessageStats().Expired; n != 600 {
			t.Errorf("%d are counted", n)
		}
		// One that comes expires before the one that is waited for.
		sendMessage(t, h, "d1", toDevice("sooner", "", time.Minute))
		time.Sleep(61 * time.Second)
		if n := h.MessageRecords(); n.Bodies != 1 {
			t.Errorf("the store has %+v", n)
		}
		time.Sleep(2 * time.Hour)
		if n := h.MessageRecords(); n.Bodies+n.Expiries != 0 {
			t.Errorf("the store has %+v", n)
		}
	})
}

// TestLocksAreForgotten: a message that is settled, or whose device is deleted,
// leaves no lock in memory.
func TestLocksAreForgotten(t *testing.T) {
	inBubble(t, hub.Config{}, func(t *testing.T, h *hub.Hub, reopen func() *hub.Hub) {
		for name, end := range map[string]func(i device.Identity, token string) error{
			"complete": func(i device.Identity, token string) error {
				return h.CompleteMessage(t.Context(), principal(i), i.ID, token)
			},
			"abandon": func(i device.Identity, token string) error {
				return h.AbandonMessage(t.Context(), principal(i), i.ID, token)
			},
			"delete": func(i device.Identity, _ string) error { return h.DeleteIdentity(t.Context(), owner, i.ID, hub.Any) },
		} {
			i := register(t, h, name)
			sendMessage(t, h, name, toDevice("m", "", 0))
			d, err := h.ReceiveMessage(t.Context(), principal(i), i.ID)
			if err != nil || d == nil || h.Locked() != 1 {
				t.Fatalf("%s: %+v, %v, %d locked", name, d, err, h.Locked())
			}
			if err := end(i, d.Token); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			synctest.Wait()
			if n := h.Locked(); n != 0 {
				t.Errorf("%s: %d queues are locked", name, n)
			}
		}
	})
}
