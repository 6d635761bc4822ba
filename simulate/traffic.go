package simulate

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// The topics of the hub (device-protocol sections 2 to 5).
const (
	twinResponses  = "$iothub/twin/res/"
	desiredChanges = "$iothub/twin/PATCH/properties/desired/"
	methodCalls    = "$iothub/methods/POST/"
	reportTopic    = "$iothub/twin/PATCH/properties/reported/?$rid="
	// jsonBag says of a message that its body is JSON.
	jsonBag = "/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8"
)

// report sends a patch of the reported properties.
func (u *unit) report(now time.Time, patch []byte) error {
	u.rid++
	if _, err := u.conn.Publish(0, patch, reportTopic, strconv.FormatUint(uint64(u.rid), 10)); err != nil {
		return err
	}
	u.patches = append(u.patches, request{u.rid, now})
	u.nextPing = now.Add(silence)
	u.fleet.reports.Add(1)
	return nil
}

// send sends telemetry.
func (u *unit) send(now time.Time, body []byte) error {
	id, err := u.conn.Publish(1, body, "devices/", u.id, jsonBag)
	if err != nil {
		return err
	}
	u.messages = append(u.messages, request{uint32(id), now})
	u.nextPing = now.Add(silence)
	u.fleet.telemetry.Add(1)
	return nil
}

// receive waits for a packet, and acts on all that are there.
func (u *unit) receive() error {
	for first := true; first || u.conn.Ready(); first = false {
		h, body, err := u.conn.Next()
		if err == nil {
			err = u.handle(h, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unit) handle(h packet.Header, body []byte) error {
	switch h.Type() {
	case packet.TypePuback:
		id, err := packet.DecodeAck(body)
		if at, ok := u.messages.take(uint32(id)); ok {
			u.fleet.telemetryDone.Add(1)
			u.fleet.puback.add(time.Since(at))
		}
		return err
	case packet.TypePublish:
		p, err := packet.DecodePublish(h, body)
		if err != nil {
			return err
		}
		if p.QoS > 0 {
			u.conn.Puback(p.ID)
		}
		return u.message(string(p.Topic), p.Payload)
	case packet.TypeSuback, packet.TypePingresp:
		return nil
	}
	return errors.New("the hub sent " + h.Type().String())
}

// message acts on what came under a topic.
func (u *unit) message(topic string, payload []byte) error {
	if rest, ok := strings.CutPrefix(topic, twinResponses); ok {
		return u.twinResponse(rest, payload)
	}
	if strings.HasPrefix(topic, desiredChanges) {
		u.fleet.desired.Add(1)
		return u.follow(payload)
	}
	if rest, ok := strings.CutPrefix(topic, methodCalls); ok {
		return u.answer(rest, payload)
	}
	u.fleet.downstream.Add(1)
	return nil
}

// twinResponse takes {status}/?$rid={rid}…
func (u *unit) twinResponse(rest string, payload []byte) error {
	status, query, _ := strings.Cut(rest, "/?$rid=")
	rid, _, _ := strings.Cut(query, "&")
	if rid == "get" {
		return u.twin(status, payload)
	}
	n, err := strconv.ParseUint(rid, 10, 32)
	at, ok := u.patches.take(uint32(n))
	switch {
	case err != nil || !ok:
		return errors.New("the hub answers what nobody asked")
	case status != "204":
		u.fleet.errors.add("patch: status " + status)
		return nil
	}
	u.fleet.reportsDone.Add(1)
	u.fleet.patch.add(time.Since(at))
	return nil
}

// twin takes the twin that was read when the connection began.
func (u *unit) twin(status string, payload []byte) error {
	if status != "200" {
		u.fleet.errors.add("read the twin: status " + status)
		return nil
	}
	var t struct{ Desired json.RawMessage }
	if err := json.Unmarshal(payload, &t); err != nil {
		return err
	}
	return u.follow(t.Desired)
}

// follow reports that the desired properties are followed, in the form that plug
// and play has for it. What is older than what was followed is left alone.
func (u *unit) follow(desired []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(desired, &members); err != nil {
		return err
	}
	var version int64
	if err := json.Unmarshal(members["$version"], &version); err != nil {
		return err
	}
	delete(members, "$version")
	if version <= u.desired {
		return nil
	}
	u.desired = version
	if len(members) == 0 {
		return nil
	}
	reported := map[string]any{}
	for key, value := range members {
		if string(value) == "null" {
			reported[key] = nil
			continue
		}
		reported[key] = followed{value, 200, version}
	}
	patch, err := json.Marshal(reported)
	if err != nil {
		return err
	}
	return u.report(time.Now(), patch)
}

// followed acknowledges one desired property.
type followed struct {
	Value   json.RawMessage `json:"value"`
	Code    int             `json:"ac"`
	Version int64           `json:"av"`
}

// answer answers a direct method, {name}/?$rid={rid}, with its own payload.
func (u *unit) answer(rest string, payload []byte) error {
	method, rid, ok := strings.Cut(rest, "/?$rid=")
	if !ok {
		return errors.New("the hub calls a method without a $rid")
	}
	body, err := json.Marshal(struct {
		Device string          `json:"device"`
		Method string          `json:"method"`
		Echo   json.RawMessage `json:"echo"`
	}{u.id, method, payload})
	if err != nil {
		return err
	}
	u.fleet.answered.Add(1)
	_, err = u.conn.Publish(0, body, "$iothub/methods/res/200/?$rid=", rid)
	return err
}

// told is an error as it is counted: without addresses, which differ each time.
func told(err error) string {
	var number syscall.Errno
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF):
		return "the hub closed the connection"
	case errors.As(err, &number):
		return number.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	return err.Error()
}
