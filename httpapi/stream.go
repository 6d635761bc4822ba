package httpapi

import (
	"bufio"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

const (
	// maxImports is how many imports and exports may be under way at once. Each
	// takes some 50 MB; an export also keeps the store from cleaning up.
	maxImports = 4
	// streamPatience is how long a caller may take to send or receive a piece of a
	// stream, while it may take any time for all of it.
	streamPatience = 30 * time.Second
)

// lines makes the answer of an import or export, whose body f writes line by line
// as it comes about. An error of f cuts the connection, so that the caller knows
// that lines are missing. The failure is ServerBusy if too many are under way.
func (a *api) lines(f func(*lineWriter) error) (*answer, error) {
	select {
	case a.imports <- struct{}{}:
	default:
		return nil, fault.New(fault.ServerBusy, "%d imports and exports are under way, and no more may be; try again later", maxImports)
	}
	ans := ok(nil)
	ans.header = map[string]string{"Content-Type": "application/x-ndjson"}
	ans.stream = func(w http.ResponseWriter) {
		defer func() { <-a.imports }()
		l := newLineWriter(w)
		if f(l) != nil || l.flush() != nil {
			panic(http.ErrAbortHandler)
		}
	}
	return ans, nil
}

// lineWriter writes a body line by line, for many goroutines.
type lineWriter struct {
	control *http.ResponseController
	w       io.Writer

	mu sync.Mutex
	b  *bufio.Writer
}

func newLineWriter(w http.ResponseWriter) *lineWriter {
	l := &lineWriter{control: http.NewResponseController(w), w: w}
	l.b = bufio.NewWriterSize(patient{l}, 64<<10)
	return l
}

// patient gives each write time of its own.
type patient struct{ l *lineWriter }

func (p patient) Write(b []byte) (int, error) {
	p.l.control.SetWriteDeadline(time.Now().Add(streamPatience))
	return p.l.w.Write(b)
}

// line writes a line, which needs no line break. It may stay in memory until
// there are more.
func (l *lineWriter) line(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(b)
	return l.b.WriteByte('\n') // a bufio.Writer remembers its first error
}

// flush sends all lines so far.
func (l *lineWriter) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.b.Flush(); err != nil {
		return err
	}
	l.control.SetWriteDeadline(time.Now().Add(streamPatience))
	if err := l.control.Flush(); err != nil && err != http.ErrNotSupported {
		return err
	}
	return nil
}

// streamBody is the body of c, read piece by piece while the answer is being
// written.
func (c *call) streamBody() io.Reader {
	control := http.NewResponseController(c.w)
	control.EnableFullDuplex()
	return patientBody{c.Body, control}
}

type patientBody struct {
	io.Reader
	control *http.ResponseController
}

func (b patientBody) Read(p []byte) (int, error) {
	b.control.SetReadDeadline(time.Now().Add(streamPatience))
	return b.Reader.Read(p)
}
