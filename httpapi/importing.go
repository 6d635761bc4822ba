package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
)

// maxSpool bounds the body of an import that is all or nothing, in bytes: it is
// kept in a temporary file between the two passes.
const maxSpool = 64 << 30

// progressEvery is how often an import says how far it is.
const progressEvery = time.Second

// importProblem is a line of an import that failed, as the answer tells it.
type importProblem struct {
	Line        int64      `json:"line"`
	DeviceID    string     `json:"deviceId"`
	ModuleID    string     `json:"moduleId,omitempty"`
	Operation   string     `json:"operation,omitempty"`
	ErrorCode   fault.Code `json:"errorCode"`
	ErrorStatus string     `json:"errorStatus"`
}

type importCounts struct {
	Checked int64 `json:"checked"`
	Applied int64 `json:"applied"`
	Failed  int64 `json:"failed"`
}

func counts(p *hub.ImportProgress) importCounts {
	return importCounts{p.Checked.Load(), p.Applied.Load(), p.Failed.Load()}
}

// importSummary is the last line of the answer to an import.
type importSummary struct {
	importCounts
	// Complete says that every line was tried.
	Complete    bool       `json:"complete"`
	ErrorCode   fault.Code `json:"errorCode,omitempty"`
	ErrorStatus string     `json:"errorStatus,omitempty"`
}

// importLines serves POST /$hubtwin/import?mode=…, our own: JSON lines in, and JSON
// lines out while they come. A caller that goes away ends it.
func (a *api) importLines(c *call) (*answer, error) {
	if err := c.who.May(auth.RegistryWrite | auth.ServiceConnect); err != nil {
		return nil, err
	}
	o := hub.ImportOptions{Rules: c.rules, Progress: new(hub.ImportProgress)}
	switch mode := c.parameters.Get("mode"); mode {
	case "", "continue":
	case "all-or-nothing":
		o.AllOrNothing = true
	default:
		return nil, fault.New(fault.ArgumentInvalid, "mode is continue or all-or-nothing, not %q", mode)
	}
	return a.lines(func(l *lineWriter) error { return a.runImport(c, o, l) })
}

// runImport imports the body of c and tells l of it. The error is that of l: what
// went wrong with the import is in the summary.
func (a *api) runImport(c *call, o hub.ImportOptions, l *lineWriter) error {
	ctx, stop := context.WithCancelCause(c.Context())
	defer stop(nil)
	say := func(v any) {
		b, err := json.Marshal(v)
		if err == nil {
			err = l.line(b)
		}
		if err != nil {
			stop(err) // nobody listens any more
		}
	}
	o.Failed = func(e hub.ImportError) {
		if e.Fault.Code.Status() >= 500 {
			a.Log.Error("line of an import failed", slog.String("rid", c.rid), slog.Int64("line", e.Line),
				slog.String("device", e.ID.String()), slog.Any("cause", e.Fault.Unwrap()))
		}
		say(problem(e))
	}
	var reporter sync.WaitGroup
	reporting, done := context.WithCancel(ctx)
	reporter.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-reporting.Done():
				return
			case <-tick.C:
			}
			say(map[string]importCounts{"progress": counts(o.Progress)})
			if err := l.flush(); err != nil {
				stop(err)
			}
		}
	})
	body := newSource(c.streamBody(), o.AllOrNothing)
	if err := l.flush(); err != nil { // the header: the caller may begin to read
		stop(err)
	}
	err := a.Hub.Import(ctx, c.who, body.open, o)
	done()
	reporter.Wait()
	body.close()
	say(map[string]importSummary{"summary": a.summary(c, o.Progress, err)})
	return context.Cause(ctx)
}

func problem(e hub.ImportError) importProblem {
	return importProblem{e.Line, e.ID.Device, e.ID.Module, string(e.Operation), e.Fault.Code, e.Fault.Message}
}

func (a *api) summary(c *call, p *hub.ImportProgress, err error) importSummary {
	s := importSummary{importCounts: counts(p), Complete: err == nil}
	switch {
	case err == nil:
	case errors.Is(err, hub.ErrNothingImported):
		s.ErrorCode, s.ErrorStatus = fault.BulkRegistryOperationFailure, "lines are wrong, so nothing was imported"
	default:
		f := fault.Of(err)
		s.ErrorCode, s.ErrorStatus = f.Code, f.Message
		a.Log.Warn("import ended", slog.String("rid", c.rid), slog.Any("error", err), slog.Any("cause", f.Unwrap()))
	}
	return s
}

// source gives the lines of a body, twice if it has to: then the first reading
// copies it to a temporary file.
type source struct {
	body  io.Reader
	twice bool
	file  *os.File
}

func newSource(body io.Reader, twice bool) *source { return &source{body: body, twice: twice} }

func (s *source) open() (iter.Seq2[device.Line, error], error) {
	switch {
	case !s.twice:
		return device.Lines(readable{s.body}), nil
	case s.file != nil:
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return device.Lines(s.file), nil
	}
	file, err := os.CreateTemp("", "hubtwin-import-*")
	if err != nil {
		return nil, fmt.Errorf("keep the import: %w", err)
	}
	s.file = file
	return device.Lines(io.TeeReader(&bounded{readable{s.body}, maxSpool}, file)), nil
}

func (s *source) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

// readable names the failure of a body as the caller's.
type readable struct{ io.Reader }

func (r readable) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = fault.New(fault.IotHubFormatError, "the body did not arrive whole").Because(err)
	}
	return n, err
}

// bounded refuses what is longer than left bytes.
type bounded struct {
	io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fault.New(fault.MessageTooLarge, "an import that is all or nothing has at most %d bytes", int64(maxSpool))
	}
	return n, err
}

// exportLines serves GET /$hubtwin/export?keys=…, our own.
func (a *api) exportLines(c *call) (*answer, error) {
	if err := c.who.May(auth.RegistryRead | auth.ServiceConnect); err != nil {
		return nil, err
	}
	var o hub.ExportOptions
	switch keys := c.parameters.Get("keys"); keys {
	case "", "true":
	case "false":
		o.NoKeys = true
	default:
		return nil, fault.New(fault.ArgumentInvalid, "keys is true or false, not %q", keys)
	}
	return a.lines(func(l *lineWriter) error {
		err := a.Hub.Export(c.Context(), c.who, o, l.line)
		if err != nil {
			a.Log.Warn("export ended", slog.String("rid", c.rid), slog.Any("error", err))
		}
		return err
	})
}
