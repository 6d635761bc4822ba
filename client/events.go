package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// EventsOptions say which events to read. The zero value means all that come
// from now on.
type EventsOptions struct {
	// Stream is whose events: "" is the built-in endpoint, "events".
	Stream string
	// From is "end" (or ""), "start", a time in the form of RFC 3339, or the
	// Position of an event.
	From string
	// Device, unless "", leaves out events of all others.
	Device string
}

// Event is a message that a device sent, or an event that the hub tells of.
type Event struct {
	// Position is where a reader goes on that has dealt with the event.
	Position string `json:"-"`
	// Gap, unless nil, says that events were forgotten before they were read.
	// There is nothing else in the Event then.
	Gap *Gap `json:"-"`
	// Document is the whole event as the hub sent it, a JSON object.
	Document json.RawMessage `json:"-"`

	Partition        int                `json:"partition"`
	SequenceNumber   uint64             `json:"sequenceNumber"`
	EnqueuedTime     time.Time          `json:"EnqueuedTimeUtc"`
	Properties       map[string]*string `json:"Properties"`
	SystemProperties map[string]string  `json:"SystemProperties"`
	// Body is the message itself if it is JSON, and base64 text otherwise.
	Body json.RawMessage `json:"Body"`
}

// Message is what a device sends, or is sent.
type Message struct {
	Body                                    []byte
	MessageID, ContentType, ContentEncoding string // "" for none
	Properties                              map[string]string
}

// header has the properties as the HTTPS API wants them.
func (m Message) header() http.Header {
	h := http.Header{}
	for name, value := range map[string]string{"iothub-messageid": m.MessageID, "iothub-contenttype": m.ContentType, "iothub-contentencoding": m.ContentEncoding} {
		if value != "" {
			h[name] = []string{value}
		}
	}
	for name, value := range m.Properties {
		h["iothub-app-"+name] = []string{value}
	}
	return h
}

// SendEvent sends a message in the name of a device, or of its module if that is not
// "", and returns when the hub has it on disk. The policy needs the right
// DeviceConnect.
func (c *Client) SendEvent(ctx context.Context, id, module string, m Message) error {
	body := m.Body
	if body == nil {
		body = []byte{}
	}
	r := request{method: http.MethodPost, path: identityPath("devices", id, module, "messages", "events"), header: m.header(), body: body}
	_, err := c.do(ctx, r, nil)
	return err
}

// Gap is events that are gone.
type Gap struct {
	Partition int    `json:"partition"`
	From      uint64 `json:"from"`
	To        uint64 `json:"to"`
}

// Content is the body of the message, as its sender wrote it.
func (e Event) Content() []byte {
	var text []byte
	if json.Unmarshal(e.Body, &text) == nil {
		return text
	}
	return e.Body
}

const (
	retryFirst = 200 * time.Millisecond
	retryMost  = 10 * time.Second
	// silence is how long the hub may say nothing: three of its heartbeats.
	silence = 45 * time.Second
	// maxEvent bounds what one event may take, in bytes: a message of 256 KB in
	// base64, with its properties escaped.
	maxEvent = 4 << 20
)

// Events reads events as they come, each when the loop asks for it. If the
// connection is lost it goes on where it was, and waits for a hub that is not
// there; an event may then come twice. It ends with an error: that of ctx, or
// the hub's refusal.
func (c *Client) Events(ctx context.Context, o EventsOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		from, wait := o.From, retryFirst
		for {
			wanted, position, err := c.readEvents(ctx, o, from, yield)
			if !wanted {
				return
			}
			if position != "" {
				from, wait = position, retryFirst
			}
			var refused *Error
			switch {
			case ctx.Err() != nil:
				yield(Event{}, ctx.Err())
				return
			case errors.As(err, &refused) && refused.Status < 500, from == o.From && position == "" && !errors.As(err, &refused):
				// Where the hub has never been reached, that is the answer.
				yield(Event{}, err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
				wait = min(2*wait, retryMost)
			}
		}
	}
}

// readEvents reads one stream to its end. Position is where to go on.
func (c *Client) readEvents(ctx context.Context, o EventsOptions, from string, yield func(Event, error) bool) (wanted bool, position string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := url.Values{}
	for name, value := range map[string]string{"stream": o.Stream, "from": from, "device": o.Device} {
		if value != "" {
			query.Set(name, value)
		}
	}
	r := get("$hubtwin", "events")
	r.query = query
	req, err := c.prepare(ctx, r)
	if err != nil {
		return true, "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return true, "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, c.most))
		return true, "", newError(res.StatusCode, res.Header, body)
	}
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxEvent)
	var kind string
	for lines.Scan() {
		alive.Reset(silence)
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(name) {
		case "":
			kind = ""
		case "id":
			position = string(value)
		case "event":
			kind = string(value)
		case "data":
			e, err := parseEvent(kind, position, value)
			if err != nil {
				return true, position, err
			}
			if !yield(e, nil) {
				return false, position, nil
			}
			// The caller may have taken its time.
			alive.Reset(silence)
		}
	}
	if err = lines.Err(); err == nil {
		err = io.ErrUnexpectedEOF
	}
	return true, position, fmt.Errorf("read events of %s: %w", c.host, err)
}

func parseEvent(kind, position string, data []byte) (e Event, err error) {
	e.Position = position
	if kind == "gap" {
		e.Gap = new(Gap)
		return e, json.Unmarshal(data, e.Gap)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("an event is not what a hub sends: %w", err)
	}
	e.Document = bytes.Clone(data)
	return e, nil
}

// Missing is how many events there were.
func (g Gap) Missing() uint64 { return g.To - g.From }

func (g Gap) String() string {
	return strconv.FormatUint(g.Missing(), 10) + " events of partition " + strconv.Itoa(g.Partition) + " were forgotten before they could be read"
}
