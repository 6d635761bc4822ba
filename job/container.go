package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/fault"
)

// A container holds blobs.
type container interface {
	// open reads a blob, of a size in bytes, or -1 if that is not known.
	open(ctx context.Context, name string) (blob io.ReadCloser, size int64, err error)
	// put writes a blob of size bytes in place of the one that is there.
	put(ctx context.Context, name string, body io.Reader, size int64) error
	close()
}

// invalid is the failure of a container that can't be used.
func invalid(format string, args ...any) error {
	return fault.New(fault.BlobContainerValidationError, format, args...)
}

// container finds the container that a URI names. what names the member of the
// request for the message.
func (m *Manager) container(what, uri string) (container, error) {
	if uri == "" {
		return nil, invalid("%s is missing", what)
	}
	u, err := url.Parse(uri)
	if err != nil || len(uri) > maxURI {
		return nil, invalid("%s is not a URI", what) // which may be a secret
	}
	switch {
	case u.Scheme == "file" && m.files == "":
		return nil, invalid("%s: this hub takes no file: containers; its operator may name a folder for them (--job-files)", what)
	case u.Scheme == "file" && (u.Host == "" || u.Host == "localhost"):
		return m.folder(what, u)
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return &blobStore{client: m.client, uri: *u}, nil
	}
	return nil, invalid("%s is neither the https: URI of a container with its signature nor a file: URI", what)
}

// folder is a container in the file system: the folder for jobs, or one below it.
type folder struct{ root *os.Root }

func (m *Manager) folder(what string, u *url.URL) (container, error) {
	root, err := os.OpenRoot(m.files)
	if err != nil {
		return nil, invalid("%s: the folder for jobs can't be opened", what).(*fault.Error).Because(err)
	}
	below, err := filepath.Rel(m.files, filepath.Clean(filepath.FromSlash(u.Path)))
	if err == nil && below != "." {
		defer root.Close()
		// A Root does not leave its folder, by .. or by links.
		root, err = root.OpenRoot(below)
	}
	if err != nil {
		return nil, invalid("%s: there is no such folder in the one that the operator has named for jobs", what).(*fault.Error).Because(err)
	}
	return folder{root}, nil
}

func (f folder) close() { f.root.Close() }

func (f folder) open(_ context.Context, name string) (io.ReadCloser, int64, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, 0, bare(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		file.Close()
		return nil, 0, bare(err)
	}
	return file, info.Size(), nil
}

func (f folder) put(_ context.Context, name string, body io.Reader, _ int64) error {
	part := name + ".part"
	file, err := f.root.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return bare(err)
	}
	_, err = io.Copy(file, body)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.root.Rename(part, name)
	}
	if err != nil {
		f.root.Remove(part)
	}
	return bare(err)
}

// bare leaves paths of the hub's machine out of an error.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// blobStore is a container that is reached over HTTP: Azure's, or an emulator.
type blobStore struct {
	client *http.Client
	uri    url.URL // with the signature
}

const (
	storageVersion = "2020-10-02"
	// stall is how long a transfer may stand still.
	stall = time.Minute
	// maxBlob is the largest blob that one request may write, in bytes.
	maxBlob = 5000 << 20
)

func newBlobClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = stall
	t.MaxIdleConnsPerHost = 1
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (s *blobStore) close() {}

func (s *blobStore) url(name string) string {
	u := s.uri
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + name
	u.RawPath = ""
	u.Fragment = ""
	return u.String()
}

func (s *blobStore) do(r *http.Request, want int) (*http.Response, error) {
	r.Header.Set("x-ms-version", storageVersion)
	r.Header.Set("x-ms-date", time.Now().UTC().Format(http.TimeFormat))
	res, err := s.client.Do(r)
	if err != nil {
		var way *url.Error // it shows the URI, and that a secret
		if errors.As(err, &way) {
			err = way.Err
		}
		return nil, err
	}
	if res.StatusCode != want {
		res.Body.Close()
		if code := res.Header.Get("x-ms-error-code"); code != "" && isBlobName(code) {
			return nil, fmt.Errorf("the blob store answers %d %s", res.StatusCode, code)
		}
		return nil, fmt.Errorf("the blob store answers %d", res.StatusCode)
	}
	return res, nil
}

func (s *blobStore) open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	ctx, watch := watched(ctx)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(name), nil)
	if err != nil {
		watch.end()
		return nil, 0, errors.New("its name can't stand in a URI")
	}
	res, err := s.do(r, http.StatusOK)
	if err != nil {
		watch.end()
		return nil, 0, err
	}
	return &download{watch.reader(res.Body), res.Body, watch}, res.ContentLength, nil
}

type download struct {
	io.Reader
	body  io.Closer
	watch *watchdog
}

func (d *download) Close() error {
	d.watch.end()
	return d.body.Close()
}

func (s *blobStore) put(ctx context.Context, name string, body io.Reader, size int64) error {
	if size > maxBlob {
		return fmt.Errorf("it has %d bytes, and a blob that is written at once has at most %d", size, int64(maxBlob))
	}
	ctx, watch := watched(ctx)
	defer watch.end()
	if size == 0 {
		body = http.NoBody
	} else {
		body = watch.reader(body)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url(name), body)
	if err != nil {
		return errors.New("its name can't stand in a URI")
	}
	r.ContentLength = size
	r.Header.Set("x-ms-blob-type", "BlockBlob")
	r.Header.Set("Content-Type", "application/octet-stream")
	res, err := s.do(r, http.StatusCreated)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// watchdog ends a transfer that stands still.
type watchdog struct {
	timer *time.Timer
	stop  context.CancelCauseFunc
}

var errStall = errors.New("the transfer has stood still for a minute")

func watched(ctx context.Context) (context.Context, *watchdog) {
	ctx, stop := context.WithCancelCause(ctx)
	return ctx, &watchdog{time.AfterFunc(stall, func() { stop(errStall) }), stop}
}

func (w *watchdog) end() {
	w.timer.Stop()
	w.stop(nil)
}

// reader is r, each of whose reads is a sign of life.
func (w *watchdog) reader(r io.Reader) io.Reader { return alive{r, w} }

type alive struct {
	io.Reader
	watch *watchdog
}

func (a alive) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.watch.timer.Reset(stall)
	}
	return n, err
}
