package c2d_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/c2d"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
)

var (
	start = time.Date(2026, 11, 24, 10, 0, 0, 123456700, time.UTC)
	rules = c2d.DefaultRules()
)

// toDevice is a message with an id, a value of iothub-ack and an expiry; zero for
// none.
func toDevice(id, ack string, expiry time.Time) *message.Message {
	m := &message.Message{System: message.System{message.MessageID: id, message.Ack: ack}, Body: []byte("body")}
	if !expiry.IsZero() {
		m.System[message.Expiry] = device.FormatTime(expiry)
	}
	return m
}

// filled is a queue of n messages: "1", "2"…
func filled(t *testing.T, n int, ack string) *c2d.Queue {
	t.Helper()
	var q *c2d.Queue
	for i := range n {
		next, e, err := q.Enqueue(toDevice(strconv.Itoa(i+1), ack, time.Time{}), start, rules)
		if err != nil || e.Sequence != uint64(i+1) {
			t.Fatalf("message %d: %+v, %v", i+1, e, err)
		}
		q = next
	}
	return q
}

// ids are the message ids in q, in order.
func ids(q *c2d.Queue) string {
	var list []string
	for _, e := range q.Entries() {
		list = append(list, e.MessageID)
	}
	return strings.Join(list, " ")
}

func TestEnqueue(t *testing.T) {
	q, e, err := filled(t, 1, "").Enqueue(toDevice("m", "full", start.Add(time.Minute)), start.In(time.FixedZone("", 3600)), rules)
	if err != nil {
		t.Fatal(err)
	}
	want := c2d.Entry{Sequence: 2, MessageID: "m", Enqueued: start, Expiry: start.Add(time.Minute), Ack: c2d.Full,
		Size: len("m") + len("full") + len("2026-11-24T10:01:00.1234567Z") + len("body")}
	if e != want {
		t.Errorf("%+v\nwant\n%+v", e, want)
	}
	if found, ok := q.Find(2); !ok || found != e {
		t.Errorf("found %+v, %v", found, ok)
	}
	if first, _ := q.Find(1); !first.Expiry.Equal(start.Add(time.Hour)) {
		t.Errorf("without an expiry it is %s", first.Expiry)
	}
	if at, ok := q.NextExpiry(); !ok || !at.Equal(start.Add(time.Minute)) {
		t.Errorf("the next expires at %s, %v", at, ok)
	}
	if _, ok := (*c2d.Queue)(nil).NextExpiry(); ok {
		t.Error("nothing expires at some time")
	}
}

func TestRefused(t *testing.T) {
	large := toDevice("", "", time.Time{})
	large.Body = make([]byte, message.MaxC2D+1)
	noTime := toDevice("", "", time.Time{})
	noTime.System[message.Expiry] = "tomorrow"
	for _, c := range []struct {
		name string
		q    *c2d.Queue
		m    *message.Message
		want fault.Code // 0 for none
	}{
		{"the 50th", filled(t, 49, ""), toDevice("", "", time.Time{}), 0},
		{"the 51st", filled(t, 50, ""), toDevice("", "", time.Time{}), fault.DeviceMaximumQueueDepthExceeded},
		{"in two days", nil, toDevice("", "", start.Add(48*time.Hour)), 0},
		{"in more", nil, toDevice("", "", start.Add(48*time.Hour+time.Microsecond)), fault.InvalidMessageExpiryTime},
		{"at once", nil, toDevice("", "", start), fault.InvalidMessageExpiryTime},
		{"no time", nil, noTime, fault.InvalidMessageExpiryTime},
		{"too large", nil, large, fault.MessageTooLarge},
		{"an ack that is none", nil, toDevice("", "maybe", time.Time{}), fault.ArgumentInvalid},
	} {
		q, _, err := c.q.Enqueue(c.m, start, rules)
		if c.want == 0 && err != nil || c.want != 0 && (!fault.Is(err, c.want) || q != c.q) {
			t.Errorf("%s: %v, want %d", c.name, err, c.want)
		}
	}
}

// TestSuccessors: a step that has to be done again, because another came first,
// leaves the other's queue alone.
func TestSuccessors(t *testing.T) {
	q := filled(t, 3, "") // whose slice has room for a fourth
	one, _, _ := q.Enqueue(toDevice("one", "", time.Time{}), start, rules)
	two, _, _ := q.Enqueue(toDevice("two", "", time.Time{}), start, rules)
	if ids(one) != "1 2 3 one" || ids(two) != "1 2 3 two" {
		t.Errorf("%s; %s", ids(one), ids(two))
	}
}

func TestSequenceNumbersAreNotUsedAgain(t *testing.T) {
	q, _ := filled(t, 3, "").Purge(start)
	q, err := c2d.Decode(q.AppendBinary(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, e, _ := q.Enqueue(toDevice("", "", time.Time{}), start, rules); e.Sequence != 4 {
		t.Errorf("the fourth message has number %d", e.Sequence)
	}
}

func TestAbandoned(t *testing.T) {
	q := filled(t, 2, "")
	for n := range rules.MaxDeliveryCount {
		next, out, ok := q.Abandon(1, start, rules)
		if e, _ := next.Find(1); !ok || out != nil || e.DeliveryCount != n+1 || !e.Delivered || ids(next) != "1 2" {
			t.Fatalf("after %d times: %+v, %v, %v, queue %s", n+1, e, out, ok, ids(next))
		}
		q = next
	}
	q, out, ok := q.Abandon(1, start, rules)
	if !ok || len(out) != 1 || out[0].Status != c2d.DeliveryCountExceeded || out[0].DeliveryCount != 11 || ids(q) != "2" {
		t.Errorf("the 11th time: %+v, %v, queue %s", out, ok, ids(q))
	}
	if same, out, ok := q.Abandon(1, start, rules); ok || out != nil || same != q {
		t.Error("what is gone was abandoned")
	}
}

func TestDelivered(t *testing.T) {
	q := filled(t, 1, "")
	next := q.Deliver(1)
	if e, _ := next.Find(1); !e.Delivered || e.DeliveryCount != 0 {
		t.Errorf("%+v", e)
	}
	if next.Deliver(1) != next || next.Deliver(7) != next {
		t.Error("nothing changed, and there is another queue")
	}
}

func TestExpire(t *testing.T) {
	var q *c2d.Queue
	for i, minutes := range []int{5, 1, 3, 1} {
		q, _, _ = q.Enqueue(toDevice(strconv.Itoa(i+1), "", start.Add(time.Duration(minutes)*time.Minute)), start, rules)
	}
	if next, out := q.Expire(start.Add(time.Minute-1), nil); next != q || out != nil {
		t.Errorf("too early: %v", out)
	}
	next, out := q.Expire(start.Add(time.Minute), func(sequence uint64) bool { return sequence == 2 })
	if ids(next) != "1 2 3" || len(out) != 1 || out[0].MessageID != "4" || out[0].Status != c2d.Expired {
		t.Errorf("with a lock: %s, %v", ids(next), out)
	}
	if next, _ := q.Expire(start.Add(3*time.Minute), nil); ids(next) != "1" {
		t.Errorf("after three minutes: %s", ids(next))
	}
}

// TestFeedback has all of the table in the messaging-and-auth sheet, 3.2.
func TestFeedback(t *testing.T) {
	at := start.Add(time.Second)
	once := rules
	once.MaxDeliveryCount = 0
	ends := map[c2d.Status]func(q *c2d.Queue) (*c2d.Queue, []c2d.Outcome){
		c2d.Success: func(q *c2d.Queue) (*c2d.Queue, []c2d.Outcome) {
			q, out, _ := q.Complete(1, at)
			return q, []c2d.Outcome{out}
		},
		c2d.Rejected: func(q *c2d.Queue) (*c2d.Queue, []c2d.Outcome) {
			q, out, _ := q.Reject(1, at)
			return q, []c2d.Outcome{out}
		},
		c2d.DeliveryCountExceeded: func(q *c2d.Queue) (*c2d.Queue, []c2d.Outcome) {
			q, out, _ := q.Abandon(1, at, once)
			return q, out
		},
		c2d.Purged: func(q *c2d.Queue) (*c2d.Queue, []c2d.Outcome) { return q.Purge(at) },
		c2d.Expired: func(q *c2d.Queue) (*c2d.Queue, []c2d.Outcome) {
			q, out := q.Expire(start.Add(time.Hour), nil)
			out[0].At = at
			return q, out
		},
	}
	for ack, wants := range map[string][]c2d.Status{
		"":         nil,
		"none":     nil,
		"positive": {c2d.Success},
		"negative": {c2d.Rejected, c2d.DeliveryCountExceeded, c2d.Purged, c2d.Expired},
		"full":     {c2d.Success, c2d.Rejected, c2d.DeliveryCountExceeded, c2d.Purged, c2d.Expired},
	} {
		for status, end := range ends {
			q, out := end(filled(t, 1, ack))
			if q.Len() != 0 || len(out) != 1 || out[0].Status != status || out[0].Sequence != 1 {
				t.Fatalf("%s: %d left, %+v", status, q.Len(), out)
			}
			wanted := strings.Contains(" "+join(wants)+" ", " "+string(status)+" ")
			f, got := out[0].Feedback("dev-1", "637388034455888246")
			if got != wanted {
				t.Errorf("ack %q, %s: feedback %v", ack, status, got)
			}
			if !got {
				continue
			}
			text, err := json.Marshal([]c2d.Feedback{f})
			if err != nil {
				t.Fatal(err)
			}
			want := `[{"originalMessageId":"1","enqueuedTimeUtc":"2026-11-24T10:00:01.1234567Z","statusCode":"` + string(status) +
				`","description":"` + string(status) + `","deviceId":"dev-1","deviceGenerationId":"637388034455888246"}]`
			if string(text) != want {
				t.Errorf("%s\nwant\n%s", text, want)
			}
		}
	}
	if f, wanted := (c2d.Outcome{Entry: c2d.Entry{Ack: c2d.Full}, Status: c2d.Success}).Feedback("d", "1"); !wanted || f.OriginalMessageID != "" {
		t.Errorf("of a message without an id: %+v, %v", f, wanted)
	}
	q := filled(t, 1, "")
	if same, _, ok := q.Complete(2, at); ok || same != q {
		t.Error("a message that never was is complete")
	}
	if same, out := (*c2d.Queue)(nil).Purge(at); same != nil || out != nil {
		t.Errorf("nothing was purged: %v", out)
	}
}

func join(list []c2d.Status) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(string(s) + " ")
	}
	return b.String()
}
