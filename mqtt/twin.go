package mqtt

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/mqtt/packet"
	"github.com/hubtwin/hubtwin/twin"
)

// publish acts on a PUBLISH: the topic says what the device wants. Whatever is
// not one of the hub's topics ends the connection (device-protocol 9.1).
func (c *conn) publish(h packet.Header, body []byte) error {
	p, err := packet.DecodePublish(h, body)
	switch {
	case err != nil:
		return broken(err)
	case p.QoS > 1:
		return refused("PUBLISH with QoS 2")
	case len(p.Payload) > maxPayload:
		return fault.New(fault.MessageTooLarge, "PUBLISH with a payload of %d bytes, at most %d may be", len(p.Payload), maxPayload)
	}
	topic := string(p.Topic)
	if query, ok := strings.CutPrefix(topic, topicReported); ok {
		if r, ok := parseRequest(query); ok {
			return c.report(p, r)
		}
	} else if query, ok := strings.CutPrefix(topic, topicTwinGet); ok {
		if r, ok := parseRequest(query); ok {
			return c.getTwin(p, r)
		}
	} else if rest, ok := strings.CutPrefix(topic, topicMethodResult); ok {
		return c.methodResult(p, rest)
	} else if bag, ok := eventsTopic(c.id, topic); ok {
		return c.send(h, p, bag)
	}
	return fault.New(fault.IotHubUnauthorizedAccess, "PUBLISH to %.200q, which is no topic of this identity", topic)
}

func (c *conn) puback(p packet.Publish) error {
	if p.QoS == 0 {
		return nil
	}
	id := p.ID
	return c.answer(func(dst []byte) []byte { return packet.AppendPuback(dst, id) })
}

// report merges a patch into the reported properties.
func (c *conn) report(p packet.Publish, r request) error {
	base, err := baseVersion(r)
	if err := c.out.begin(1); err != nil {
		return err
	}
	response := c.respondTo(p, r, 1)
	if err != nil {
		c.hub.InOrder(func() { response.fail(err) })
		return nil
	}
	c.hub.Report(p.Payload, c.rules, base, func(version int64, err error) {
		if err != nil {
			response.fail(err)
			return
		}
		response.send("204", "&$version="+strconv.FormatInt(version, 10), nil)
	})
	return nil
}

func baseVersion(r request) (int64, error) {
	if !r.hasVersion {
		return hub.AnyVersion, nil
	}
	v, err := strconv.ParseUint(r.version, 10, 63)
	if err != nil {
		return 0, fault.New(fault.ArgumentInvalid, "$version of the topic is not a number")
	}
	return int64(v), nil
}

// getTwin reads the device's twin.
func (c *conn) getTwin(p packet.Publish, r request) error {
	if err := c.out.begin(twinCall); err != nil {
		return err
	}
	response := c.respondTo(p, r, twinCall)
	var answer func(t *twin.Twin, err error)
	answer = func(t *twin.Twin, err error) {
		if err != nil {
			response.failLater(err)
			return
		}
		if !response.sendTwin(t) {
			// Between the read and the answer a change was announced. The device
			// would take the older twin for the newer one: read again, behind
			// that change. It is announced after the hub has it, so this happens
			// only to a read that did not wait, on the goroutine that reads.
			c.hub.Twin(answer)
		}
	}
	c.hub.Twin(answer)
	return nil
}

// response is the answer to a request in the making.
type response struct {
	conn  *conn
	calls int // that it counts as
	rid   string
	ack   uint16 // the packet to acknowledge, or 0
	// Whether it goes out depends on the subscriptions at the time of the
	// request: without one it is dropped (device-protocol 5.1).
	reach   reach
	filters []string
}

func (c *conn) respondTo(p packet.Publish, r request, calls int) *response {
	a := &response{conn: c, calls: calls, rid: r.rid, ack: p.ID, reach: c.subscriptions.responses}
	if a.reach == some {
		a.filters = c.subscriptions.filters
	}
	if !r.hasRid {
		a.reach = nothing // It could not be told from others.
	}
	return a
}

// send acknowledges the request, then answers it.
func (a *response) send(status, version string, payload []byte) {
	a.conn.out.done(a.calls, func(dst []byte) []byte { return a.append(dst, status, version, payload) })
}

// append appends PUBACK and answer.
func (a *response) append(dst []byte, status, version string, payload []byte) []byte {
	if a.ack != 0 {
		dst = packet.AppendPuback(dst, a.ack)
	}
	return a.appendAnswer(dst, status, version, payload)
}

func (a *response) appendAnswer(dst []byte, status, version string, payload []byte) []byte {
	if a.reach == nothing {
		return dst
	}
	if a.reach == some && !matchesAny(a.filters, topicTwinResponse+status+"/?$rid="+a.rid+version) {
		return dst
	}
	dst, err := packet.AppendPublish(dst, packet.PublishHeader(0, false, false), 0, payload,
		topicTwinResponse, status, "/?$rid=", a.rid, version)
	if err != nil {
		a.conn.out.endLocked(broken(err)) // a rid of nearly 64 KB
	}
	return dst
}

// sendTwin answers with t, unless a newer one was announced.
func (a *response) sendTwin(t *twin.Twin) bool {
	text := buffers.Get().(*buffer)
	defer func() { text.free() }()
	text.b = t.AppendDevice(text.b)
	out := &a.conn.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if t.DesiredVersion() < a.conn.gate.announced {
		return false
	}
	out.doneLocked(a.calls, func(dst []byte) []byte { return a.append(dst, "200", "", text.b) })
	return true
}

// fail answers with err.
func (a *response) fail(err error) {
	status, body := a.failure(err)
	if status[0] == '5' && a.ack != 0 && a.reach == nothing {
		// Nobody would learn that a PUBACK did not mean success. Without one
		// the device sends again.
		a.conn.out.end(fault.Of(err))
	}
	a.send(status, "", body)
}

// failureDelay is how long the answer to a failed read is held back: Python asks
// again at once, without end (device-protocol 5.2).
const failureDelay = time.Second

// failLater answers with err; not at once, unless it is the device's own fault.
func (a *response) failLater(err error) {
	status, body := a.failure(err)
	if status[0] != '5' && status != "429" {
		a.send(status, "", body)
		return
	}
	a.conn.out.append(func(dst []byte) []byte {
		if a.ack != 0 {
			dst = packet.AppendPuback(dst, a.ack)
		}
		return dst
	})
	time.AfterFunc(failureDelay, func() {
		a.conn.out.done(a.calls, func(dst []byte) []byte { return a.appendAnswer(dst, status, "", body) })
	})
}

// failure gives status and body of err, and logs it if it is the hub's.
func (a *response) failure(err error) (status string, body []byte) {
	f := fault.Of(err)
	id, now := newTrackingID(), time.Now().UTC()
	if f.Code.Status() >= 500 {
		a.conn.server.config.Log.Error("twin request failed", slog.String("device", a.conn.id.String()),
			slog.String("tracking", id), slog.Int("code", int(f.Code)), slog.Any("error", err))
	}
	return strconv.Itoa(f.Code.Status()), errorBody(f, id, now)
}

// errorBody is what a device is told of a failure. Node looks at errorCode and
// nothing else, not even the status (device-protocol R2 and 5.6).
func errorBody(f *fault.Error, trackingID string, now time.Time) []byte {
	b, err := json.Marshal(struct {
		ErrorCode    int    `json:"errorCode"`
		TrackingID   string `json:"trackingId"`
		Message      string `json:"message"`
		TimestampUTC string `json:"timestampUtc"`
	}{
		int(f.Code),
		trackingID + "-G2:-TimeStamp:" + now.Format(time.RFC3339Nano),
		f.Message,
		now.Format("2006-01-02T15:04:05.0000000Z"),
	})
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	return b
}

func newTrackingID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
