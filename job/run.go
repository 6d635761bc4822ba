package job

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
)

// task is what a job works on.
type task struct {
	request       Request
	input, output container // input of imports only
	blob          io.ReadCloser
}

func (t *task) close() {
	if t.blob != nil {
		t.blob.Close()
	}
	for _, c := range []container{t.input, t.output} {
		if c != nil {
			c.close()
		}
	}
}

// tryTime bounds how long the containers of a new job may take to answer.
const tryTime = 25 * time.Second

// prepare finds the containers and tries them out, as long as the caller waits.
func (m *Manager) prepare(ctx context.Context, r Request) (_ *task, err error) {
	if r.ManagedIdentityForStorages {
		return nil, invalid("storageAuthenticationType identityBased is not possible here; give URIs with signatures")
	}
	t := &task{request: r}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.output, err = m.container("outputBlobContainerUri", r.OutputURI); err != nil {
		return nil, err
	}
	if r.Type == Import {
		if t.input, err = m.container("inputBlobContainerUri", r.InputURI); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	if r.Type == Import {
		blob, _, err := t.input.open(ctx, r.Input)
		if err != nil {
			return nil, invalid("inputBlobContainerUri: %q can't be read: %v", r.Input, err)
		}
		blob.Close()
	}
	if err := t.output.put(ctx, r.Output, eof{}, 0); err != nil {
		return nil, invalid("outputBlobContainerUri: %q can't be written: %v", r.Output, err)
	}
	return t, nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// run carries out a job to its end and records how it went.
func (m *Manager) run(ctx context.Context, j *job, who auth.Principal, t *task) {
	running := j.Record
	running.Status = Running
	err := m.save(ctx, j, running)
	if err == nil {
		m.mu.Lock()
		j.Record = running
		m.mu.Unlock()
		err = m.work(ctx, j, who, t)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		m.log.Warn("job ended", slog.String("job", j.ID), slog.Any("error", err))
	}
	m.finish(ctx, j, err)
}

func (m *Manager) work(ctx context.Context, j *job, who auth.Principal, t *task) error {
	if t.request.Type == Import {
		return m.runImport(ctx, j, who, t)
	}
	return m.runExport(ctx, j, who, t)
}

// finish records the end of a job. Whoever sees it may create the next one.
func (m *Manager) finish(ctx context.Context, j *job, err error) {
	m.mu.Lock()
	r := j.Record
	m.mu.Unlock()
	r.Ended = time.Now().UTC()
	switch {
	case err == nil:
		r.Status, r.Progress = Completed, 100
	case errors.Is(err, errCancelled):
		r.Status = Cancelled
	default:
		r.Status, r.Reason = Failed, reason(err)
	}
	// Also when the hub is about to end: the next run would find the same.
	if err := m.save(context.WithoutCancel(ctx), j, r); err != nil {
		m.log.Error("job ended, and its record could not be written", slog.String("job", j.ID), slog.Any("error", err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	j.Record, j.cancel = r, nil
	m.active = false
}

// reason is what callers may know of a failure.
func reason(err error) string {
	var told told
	if errors.As(err, &told) {
		return told.Error()
	}
	if errors.Is(err, errEnded) {
		return errEnded.Error()
	}
	return fault.Of(err).Message
}

// told is an error whose text is fit for callers.
type told struct{ error }

func tell(format string, args ...any) error { return told{fmt.Errorf(format, args...)} }

// maxErrors bounds the text of an import's failures, in bytes.
const maxErrors = 256 << 20

// runImport imports the input blob, and leaves the failures in the output
// container. Lines that fail don't make the job fail.
func (m *Manager) runImport(ctx context.Context, j *job, who auth.Principal, t *task) error {
	blob, size, err := t.input.open(ctx, t.request.Input)
	if err != nil {
		return tell("read %q: %v", t.request.Input, err)
	}
	defer blob.Close()
	failures, err := newSpool()
	if err != nil {
		return err
	}
	defer failures.close()
	in := &progressReader{Reader: blob, note: func(read int64) {
		if size > 0 {
			m.progress(j, int(min(99, read*100/size)))
		}
	}}
	open := func() (iter.Seq2[device.Line, error], error) { return device.Lines(in), nil }
	err = m.hub.Import(ctx, who, open, hub.ImportOptions{Failed: failures.note})
	if in.err != nil {
		err = tell("read %q: %v", t.request.Input, in.err)
	}
	if ctx.Err() != nil {
		return err
	}
	if failed := failures.store(ctx, t.output, errorsBlob); failed != nil && err == nil {
		err = tell("write %q: %v", errorsBlob, failed)
	}
	return err
}

// progressReader tells how much was read.
type progressReader struct {
	io.Reader
	read int64
	note func(int64)
	err  error // of the reader
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.read += int64(n)
	p.note(p.read)
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

// runExport writes the registry to the output blob.
func (m *Manager) runExport(ctx context.Context, j *job, who auth.Principal, t *task) error {
	// What a blob store takes must have a size.
	out, err := newSpool()
	if err != nil {
		return err
	}
	defer out.close()
	all := int64(max(1, m.hub.IndexStats().Devices))
	lines := int64(0)
	err = m.hub.Export(ctx, who, hub.ExportOptions{NoKeys: t.request.NoKeys}, func(line []byte) error {
		if lines++; lines%1024 == 0 {
			m.progress(j, int(min(90, lines*90/all)))
		}
		return out.line(line)
	})
	if err != nil {
		return err
	}
	m.progress(j, 90)
	if err := out.store(ctx, t.output, t.request.Output); err != nil {
		return tell("write %q: %v", t.request.Output, err)
	}
	return nil
}

// spool is a temporary file of lines.
type spool struct {
	file *os.File
	w    *bufio.Writer
	size int64
	full bool
}

func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "hubtwin-job-*")
	if err != nil {
		return nil, fmt.Errorf("keep lines: %w", err)
	}
	return &spool{file: f, w: bufio.NewWriterSize(f, 256<<10)}, nil
}

func (s *spool) close() {
	s.file.Close()
	os.Remove(s.file.Name())
}

func (s *spool) line(b []byte) error {
	s.size += int64(len(b)) + 1
	s.w.Write(b)
	return s.w.WriteByte('\n') // a bufio.Writer remembers its first error
}

// note writes a line that failed in the form of importErrors.log, while there is
// room. Its number is ours.
func (s *spool) note(e hub.ImportError) {
	if s.full {
		return
	}
	b, err := json.Marshal(struct {
		DeviceID    string     `json:"deviceId"`
		ModuleID    string     `json:"moduleId,omitempty"`
		ErrorCode   fault.Code `json:"errorCode"`
		ErrorStatus string     `json:"errorStatus"`
		Line        int64      `json:"line"`
	}{e.ID.Device, e.ID.Module, e.Fault.Code, e.Fault.Message, e.Line})
	if err == nil {
		s.line(b)
	}
	s.full = s.size > maxErrors
}

// store puts what was written into a container.
func (s *spool) store(ctx context.Context, c container, name string) error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return c.put(ctx, name, s.file, s.size)
}
