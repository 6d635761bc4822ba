package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/store/memory"
)

// toDevice is a message with an id that is also its body, a value of iothub-ack
// and a time to live; zero for the default.
func toDevice(id, ack string, ttl time.Duration) *message.Message {
	m := &message.Message{System: message.System{message.MessageID: id, message.Ack: ack}, Body: []byte(id)}
	if ttl != 0 {
		m.System[message.Expiry] = device.FormatTime(time.Now().Add(ttl))
	}
	return m
}

func sendMessage(t testing.TB, h *hub.Hub, name string, m *message.Message) {
	t.Helper()
	if err := h.SendMessage(context.Background(), owner, named(name), m); err != nil {
		t.Fatal(err)
	}
}

// feedbackOf fetches all feedback that is there: ids with their statuses.
func feedbackOf(t testing.TB, h *hub.Hub) (list []string) {
	t.Helper()
	for {
		f, err := h.ReceiveFeedback(context.Background(), owner)
		if err != nil {
			t.Fatal(err)
		}
		if f == nil {
			return list
		}
		for _, r := range f.Records {
			list = append(list, r.OriginalMessageID+" "+string(r.StatusCode))
		}
		if err := h.CompleteFeedback(context.Background(), owner, f.Token); err != nil {
			t.Fatal(err)
		}
	}
}

// letter is a message as the model sees it.
type letter struct {
	id     string
	expiry time.Time
	token  string    // the newest of its lock; "" for none
	until  time.Time // the end of that
	tries  int
}

func (l letter) held(at time.Time) bool { return l.token != "" && at.Before(l.until) }

// mail runs a hub and the plainest model of one device's messages side by side.
type mail struct {
	t        testing.TB
	store    *memory.Store
	hub      *hub.Hub
	identity device.Identity
	list     []letter
	tokens   []string
	sent     int
	ended    []string // ids and statuses
}

var mailRules = c2d.Rules{DefaultTTL: 10 * time.Minute, MaxDeliveryCount: 2}

func (m *mail) open() {
	h, err := hub.Open(context.Background(), hub.Config{Store: m.store, Log: slog.New(slog.DiscardHandler), Messages: mailRules})
	if err != nil {
		m.t.Fatal(err)
	}
	m.hub = h
}

func (m *mail) send(t *rapid.T) {
	ttl := time.Duration(rapid.SampledFrom([]int{0, 0, 20, 100}).Draw(t, "ttl")) * time.Second
	m.sent++
	l := letter{id: strconv.Itoa(m.sent), expiry: time.Now().Add(mailRules.DefaultTTL)}
	if ttl > 0 {
		l.expiry = time.Now().Add(ttl)
	}
	err := m.hub.SendMessage(context.Background(), owner, m.identity.ID, toDevice(l.id, "full", ttl))
	if err != nil {
		t.Fatal(err)
	}
	m.list = append(m.list, l)
}

func (m *mail) receive(t *rapid.T) {
	now := time.Now()
	i := slices.IndexFunc(m.list, func(l letter) bool { return !l.held(now) && now.Before(l.expiry) })
	d, err := m.hub.ReceiveMessage(context.Background(), principal(m.identity), m.identity.ID)
	switch {
	case err != nil:
		t.Fatal(err)
	case i < 0 && d == nil:
		return
	case i < 0 || d == nil || string(d.Message.Body) != m.list[i].id || d.Entry.DeliveryCount != m.list[i].tries:
		t.Fatalf("received %+v, want %v of %+v", d, i, m.list)
	}
	m.list[i].token, m.list[i].until = d.Token, now.Add(c2d.LockTime)
	m.tokens = append(m.tokens, d.Token)
}

// settled settles the message of some token in both.
func (m *mail) settled(t *rapid.T, f func(token string) error, ends func(*letter) c2d.Status) {
	token := "none"
	if len(m.tokens) > 0 {
		token = rapid.SampledFrom(m.tokens[max(0, len(m.tokens)-4):]).Draw(t, "token")
	}
	i := slices.IndexFunc(m.list, func(l letter) bool { return l.token == token && l.held(time.Now()) })
	err := f(token)
	if i < 0 {
		if !fault.Is(err, fault.DeviceMessageLockLost) {
			t.Fatalf("a token that is over: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.list[i].token = ""
	if status := ends(&m.list[i]); status != "" {
		m.end(i, status)
	}
}

func (m *mail) end(i int, status c2d.Status) {
	m.ended = append(m.ended, m.list[i].id+" "+string(status))
	m.list = slices.Delete(m.list, i, i+1)
}

func (m *mail) complete(t *rapid.T) {
	m.settled(t, func(token string) error {
		return m.hub.CompleteMessage(context.Background(), principal(m.identity), m.identity.ID, token)
	}, func(*letter) c2d.Status { return c2d.Success })
}

func (m *mail) reject(t *rapid.T) {
	m.settled(t, func(token string) error {
		return m.hub.RejectMessage(context.Background(), principal(m.identity), m.identity.ID, token)
	}, func(*letter) c2d.Status { return c2d.Rejected })
}

func (m *mail) abandon(t *rapid.T) {
	m.settled(t, func(token string) error {
		return m.hub.AbandonMessage(context.Background(), principal(m.identity), m.identity.ID, token)
	}, func(l *letter) c2d.Status {
		if l.tries++; l.tries > mailRules.MaxDeliveryCount {
			return c2d.DeliveryCountExceeded
		}
		return ""
	})
}

func (m *mail) purge(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "really") > 0 {
		return
	}
	n, err := m.hub.PurgeMessages(context.Background(), owner, m.identity.ID)
	if err != nil || n != len(m.list) {
		t.Fatalf("%d purged, %v; there were %d", n, err, len(m.list))
	}
	for len(m.list) > 0 {
		m.end(0, c2d.Purged)
	}
}

func (m *mail) wait(t *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(0, 50).Draw(t, "seconds")) * time.Second)
}

// restart loses the locks, and nothing else.
func (m *mail) restart(*rapid.T) {
	m.hub.Close()
	m.open()
	for i := range m.list {
		m.list[i].token = ""
	}
}

// forget deletes the device and registers another one of that name.
func (m *mail) forget(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
		return
	}
	if err := m.hub.DeleteIdentity(context.Background(), owner, m.identity.ID, hub.Any); err != nil {
		t.Fatal(err)
	}
	if n := m.hub.MessageRecords(); n.Bodies+n.Expiries > 0 {
		t.Fatalf("the device is gone, and there are %+v", n)
	}
	m.identity = register(m.t, m.hub, "d")
	m.list, m.ended = nil, nil
}

// check lets the sweeper do its work, which may be five seconds late for messages
// that were in hand, and compares.
func (m *mail) check(t *rapid.T) {
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
	var got []string
	for _, e := range m.hub.Waiting(m.identity.ID) {
		got = append(got, e.MessageID)
	}
	now := time.Now()
	for i := 0; i < len(m.list); i++ {
		l := m.list[i]
		late := now.Before(l.until.Add(6*time.Second)) && slices.Contains(got, l.id)
		if !now.Before(l.expiry) && !l.held(now) && !late {
			m.end(i, c2d.Expired)
			i--
		}
	}
	var want []string
	for _, l := range m.list {
		want = append(want, l.id)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("there wait %v, want %v", got, want)
	}
	n := m.hub.MessageRecords()
	if n.Bodies != len(want) || n.Expiries != len(want) {
		t.Fatalf("the store has %+v of %d messages", n, len(want))
	}
	d, err := m.hub.Twin(context.Background(), owner, m.identity.ID)
	if err != nil || d.Head.CloudToDeviceMessageCount != len(want) {
		t.Fatalf("the twin counts %d of %d, %v", d.Head.CloudToDeviceMessageCount, len(want), err)
	}
	p, err := m.hub.Query(context.Background(), owner, fmt.Sprintf("SELECT deviceId FROM devices WHERE cloudToDeviceMessageCount = %d", len(want)), 0, "")
	if err != nil || len(p.Rows) != 1 {
		t.Fatalf("the query finds %d devices, %v", len(p.Rows), err)
	}
	p.Free()
}

// TestMessageHistories runs random histories of one device's messages on a hub,
// with restarts, and on a model; in the end feedback has told of every end.
func TestMessageHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var failure any // which rapid throws, and wants to catch
		synctest.Test(t, func(t *testing.T) {
			defer func() { failure = recover() }()
			m := &mail{t: t, store: memory.New()}
			defer m.store.Close()
			m.open()
			defer func() { m.hub.Close() }()
			m.run(rt)
		})
		if failure != nil {
			panic(failure)
		}
	})
}

func (m *mail) run(t *rapid.T) {
	m.identity = register(m.t, m.hub, "d")
	t.Repeat(map[string]func(*rapid.T){
		"send": m.send, "send 2": m.send, "receive": m.receive, "receive 2": m.receive, "complete": m.complete,
		"reject": m.reject, "abandon": m.abandon, "purge": m.purge, "wait": m.wait, "restart": m.restart,
		"forget": m.forget, "": m.check,
	})
	time.Sleep(20 * time.Second)
	m.check(t)
	// What expires from now on is not told of yet.
	got := feedbackOf(m.t, m.hub)
	for _, e := range got {
		if !slices.Contains(m.ended, e) {
			t.Fatalf("there is feedback of %s", e)
		}
	}
	for _, e := range m.ended {
		if !slices.Contains(got, e) && !strings.HasSuffix(e, "Expired") {
			t.Fatalf("there is no feedback of %s in %v", e, got)
		}
	}
	if len(got) > len(m.ended) {
		t.Fatalf("feedback %v of %v", got, m.ended)
	}
}

// TestMessageRights: who is not allowed does nothing.
func TestMessageRights(t *testing.T) {
	h := open(t, nil)
	i := register(t, h, "d")
	other := register(t, h, "e")
	ctx := context.Background()
	who := principal(i)
	for name, err := range map[string]error{
		"a device sends":              h.SendMessage(ctx, who, i.ID, toDevice("1", "", 0)),
		"a device purges":             second(h.PurgeMessages(ctx, who, i.ID)),
		"a device fetches feedback":   second(h.ReceiveFeedback(ctx, who)),
		"a device completes feedback": h.CompleteFeedback(ctx, who, ""),
		"a device abandons feedback":  h.AbandonFeedback(ctx, who, ""),
		"another device receives":     second(h.ReceiveMessage(ctx, principal(other), i.ID)),
		"another device completes":    h.CompleteMessage(ctx, principal(other), i.ID, ""),
		"a back end receives":         second(h.ReceiveMessage(ctx, owner, i.ID)),
	} {
		if !fault.Is(err, fault.IotHubUnauthorizedAccess) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantFault(t, h.SendMessage(ctx, owner, device.ID{Device: "nobody"}, toDevice("1", "", 0)), fault.DeviceNotFound)
	wantFault(t, h.SendMessage(ctx, owner, device.ID{Device: "d", Module: "m"}, toDevice("1", "", 0)), fault.ModuleNotFound)
	if err := second(h.PurgeMessages(ctx, owner, device.ID{Device: "nobody"})); !fault.Is(err, fault.DeviceNotFound) {
		t.Errorf("purge of nobody: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
