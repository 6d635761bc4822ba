package httpapi

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// answer is what goes back to the caller.
type answer struct {
	status int
	etag   string // for the ETag header, without quotes; "" for none
	// header holds further headers. Names are spelled as they go over the
	// wire, not in Go's canonical form: some clients compare them with case
	// (device-protocol sheet, R11).
	header map[string]string
	// The body is body, or the JSON array of rows if that is not nil. Rows are
	// kept apart because a page may be large, and joining it would copy it.
	body []byte
	rows [][]byte
	sent func() // called once the body has been written; nil for nothing to do
	// stream, unless nil, writes the body, which has no length, until it has
	// nothing more to say or the caller is gone.
	stream func(w http.ResponseWriter)
}

func ok(body []byte) *answer { return &answer{status: http.StatusOK, body: body} }

// marshal answers with v as JSON.
func marshal(v any) (*answer, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return ok(b), nil
}

func noContent() *answer { return &answer{status: http.StatusNoContent} }

// write sends the answer. That sending may fail is the caller's misfortune:
// what was asked for is done.
func (a *answer) write(w http.ResponseWriter, rid string) {
	h := w.Header()
	h["x-ms-request-id"] = []string{rid}
	if a.etag != "" {
		h["ETag"] = []string{`"` + a.etag + `"`}
	}
	for name, value := range a.header {
		h[name] = []string{value}
	}
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	if a.stream != nil {
		w.WriteHeader(a.status)
		a.stream(w)
		return
	}
	if a.header["Content-Type"] == "" {
		h["Content-Type"] = []string{"application/json; charset=utf-8"}
	}
	h["Content-Length"] = []string{strconv.Itoa(a.length())}
	w.WriteHeader(a.status)
	if a.rows == nil {
		w.Write(a.body)
		return
	}
	// net/http sends what it is given in pieces of 4 KB, each of them a TLS record
	// and a system call. A page has hundreds of KB.
	b := buffers.Get().(*bufio.Writer)
	b.Reset(w)
	separator := byte('[')
	for _, row := range a.rows {
		b.WriteByte(separator)
		b.Write(row)
		separator = ','
	}
	b.WriteByte(']')
	b.Flush()
	b.Reset(nil)
	buffers.Put(b)
}

var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

// length is the length of the body in bytes.
func (a *answer) length() int {
	if a.rows == nil {
		return len(a.body)
	}
	n := 1 + len(a.rows)
	for _, row := range a.rows {
		n += len(row)
	}
	return n
}
