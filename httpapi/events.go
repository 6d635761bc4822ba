package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/message"
)

// sendEvents serves POST /devices/{id}/messages/events: one message, or a batch
// (device-protocol sheet, 7.2).
func (a *api) sendEvents(c *call) (*answer, error) {
	body, err := c.anyBody(MaxEventBody)
	if err != nil {
		return nil, err
	}
	var list []message.Message
	if kind, _, _ := strings.Cut(c.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(kind), message.BatchType) {
		if list, err = message.ParseBatch(body); err != nil {
			return nil, err
		}
	} else {
		m := message.Message{Body: body}
		if err := m.FromHeader(c.Header); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	if err := a.Hub.SendEvents(c.Context(), c.who, c.id, list); err != nil {
		return nil, err
	}
	return noContent(), nil
}

const (
	// maxReaders bounds how many callers read events at a time.
	maxReaders = 1000
	// heartbeat is how often a reader hears that the hub is there.
	heartbeat = 15 * time.Second
	// slowReader is how long a caller may take for what has been written.
	slowReader = time.Minute
)

var readers atomic.Int64

// readEvents serves GET /$hubtwin/events: a stream of server-sent events, each a
// message in the form that the service writes to storage, with partition,
// sequenceNumber and offset. Its id is a position, with which a reader goes on:
// in Last-Event-ID, as browsers do, or in the parameter from.
//
//	stream     events (default), or that of another endpoint
//	from       end (default), start, a time (ISO 8601), or a position
//	device     only events of this device
//	partition  only events of this partition
func (a *api) readEvents(c *call) (*answer, error) {
	from, err := c.from()
	if err != nil {
		return nil, err
	}
	wanted, err := c.filter()
	if err != nil {
		return nil, err
	}
	stream := c.parameters.Get("stream")
	if stream == "" {
		stream = eventlog.Events
	}
	r, err := a.Hub.ReadEvents(c.who, stream, from)
	if err != nil {
		return nil, err
	}
	if readers.Add(1) > maxReaders {
		readers.Add(-1)
		return nil, fault.New(fault.ServerBusy, "%d callers read events already", maxReaders)
	}
	s := &eventStream{reader: r, wanted: wanted, log: a.Log}
	return &answer{
		status: http.StatusOK,
		header: map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store"},
		stream: func(w http.ResponseWriter) {
			defer readers.Add(-1)
			ctx, cancel := context.WithCancel(c.Context())
			defer cancel()
			defer context.AfterFunc(a.Ending, cancel)()
			s.serve(ctx, w)
		},
	}, nil
}

// from reads where the caller wants to begin.
func (c *call) from() (hub.From, error) {
	text := c.Header.Get("Last-Event-ID")
	if text == "" {
		text = c.parameters.Get("from")
	}
	switch text {
	case "", "end":
		return hub.From{}, nil
	case "start":
		return hub.From{Start: true}, nil
	}
	if strings.ContainsAny(text, "-:") {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return hub.From{}, fault.New(fault.ArgumentInvalid, "from=%.40q is no time such as 2026-11-24T10:00:00Z", text)
		}
		return hub.From{Time: t}, nil
	}
	return hub.From{Position: text}, nil
}

// filter reads which events the caller wants.
func (c *call) filter() (func(*hub.Telemetry) bool, error) {
	device := c.parameters.Get("device")
	partition := -1
	if text := c.parameters.Get("partition"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, fault.New(fault.ArgumentInvalid, "partition=%.20q is no number", text)
		}
		partition = int(n)
	}
	return func(t *hub.Telemetry) bool {
		return (device == "" || t.DeviceID == device) && (partition < 0 || t.Partition == partition)
	}, nil
}

// eventStream writes events to one caller. It reads on only when the last ones
// are written: a caller that is slow costs its place, and nothing else.
type eventStream struct {
	reader *hub.EventReader
	wanted func(*hub.Telemetry) bool
	log    *slog.Logger
	buffer []byte // written next
}

func (s *eventStream) serve(ctx context.Context, w http.ResponseWriter) {
	// Before the first event the caller knows that it is connected, and where.
	// The server's bounds are for requests that end.
	if http.NewResponseController(w).SetReadDeadline(time.Time{}) != nil {
		return
	}
	s.place(s.reader.Position())
	for {
		if err := s.write(w); err != nil {
			return
		}
		err := s.next(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return
		case errors.Is(err, context.DeadlineExceeded):
			s.place(s.reader.Position())
		default:
			s.log.Error("read events", slog.Any("error", err))
			return
		}
	}
}

// place tells the caller where it is. Without data it is no event to a client,
// but a place to go on from.
func (s *eventStream) place(position string) {
	s.buffer = append(s.buffer, "id: "+position+"\n\n"...)
}

func (s *eventStream) next(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	list, gaps, err := s.reader.Next(ctx)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		s.buffer = append(s.buffer, "event: gap\ndata: {\"partition\":"...)
		s.buffer = strconv.AppendInt(s.buffer, int64(g.Partition), 10)
		s.buffer = strconv.AppendUint(append(s.buffer, ",\"from\":"...), g.From, 10)
		s.buffer = strconv.AppendUint(append(s.buffer, ",\"to\":"...), g.To, 10)
		s.buffer = append(s.buffer, "}\n\n"...)
	}
	for i := range list {
		if s.wanted(&list[i]) {
			s.append(&list[i])
		}
	}
	return nil
}

func (s *eventStream) append(t *hub.Telemetry) {
	b := append(append(s.buffer, "id: "...), t.Position...)
	b = t.AppendJSON(append(b, "\ndata: "...))
	s.buffer = append(b, "\n\n"...)
}

// write writes the buffer, and gives the caller some time to take it.
func (s *eventStream) write(w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(slowReader)); err != nil {
		return err
	}
	if _, err := w.Write(s.buffer); err != nil {
		return err
	}
	if cap(s.buffer) > 1<<20 {
		s.buffer = nil
	}
	s.buffer = s.buffer[:0]
	return control.Flush()
}
