package job_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/job"
	"github.com/hubtwin/hubtwin/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var owner = auth.Principal{Policy: "iothubowner", Permissions: auth.RegistryWrite | auth.ServiceConnect}

// rig is a hub in memory with its jobs.
type rig struct {
	*job.Manager
	t     *testing.T
	store *memory.Store
	hub   *hub.Hub
	files string
}

func open(t *testing.T, files string) *rig {
	t.Helper()
	g := &rig{t: t, store: memory.New(), files: files}
	var err error
	if g.hub, err = hub.Open(context.Background(), hub.Config{Store: g.store, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	g.openJobs()
	t.Cleanup(func() {
		g.Close()
		g.hub.Close()
		g.store.Close()
	})
	return g
}

func (g *rig) openJobs() {
	g.t.Helper()
	m, err := job.Open(context.Background(), job.Config{Hub: g.hub, Store: g.store, Log: slog.New(slog.DiscardHandler), Files: g.files})
	if err != nil {
		g.t.Fatal(err)
	}
	g.Manager = m
}

func (g *rig) create(r job.Request) job.Record {
	g.t.Helper()
	body, err := json.Marshal(map[string]any{"type": r.Type, "inputBlobContainerUri": r.InputURI, "outputBlobContainerUri": r.OutputURI,
		"inputBlobName": r.Input, "outputBlobName": r.Output, "excludeKeysInExport": r.NoKeys})
	if err != nil {
		g.t.Fatal(err)
	}
	want, err := job.ParseRequest(body)
	if err != nil {
		g.t.Fatal(err)
	}
	record, err := g.Create(context.Background(), owner, want)
	if err != nil {
		g.t.Fatal(err)
	}
	if record.Status != job.Enqueued || record.Progress != 0 || record.Started.IsZero() {
		g.t.Errorf("a new job is %+v", record)
	}
	return record
}

// ended waits until a job has ended.
func (g *rig) ended(id string) job.Record {
	g.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		r, err := g.Get(owner, id)
		if err != nil {
			g.t.Fatal(err)
		}
		if !r.Ended.IsZero() {
			return r
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("the job does not end: %+v", r)
		}
	}
}

func (g *rig) finish(r job.Request) {
	g.t.Helper()
	if done := g.ended(g.create(r).ID); done.Status != job.Completed || done.Progress != 100 || done.Reason != "" {
		g.t.Errorf("the job ended as %+v", done)
	}
}

func fileURI(dir string) string { return "file://" + dir }

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Lines that fail are in importErrors.log, and the job is completed all the same.
func TestJobsOverFiles(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "fleet")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	g := open(t, dir)
	write(t, filepath.Join(below, "devices.txt"), `{"id":"a","status":"enabled","properties":{"reported":{"r":1}}}`+"\nbroken\n"+`{"id":"b","importMode":"update"}`+"\n")
	g.finish(job.Request{Type: job.Import, InputURI: fileURI(below), OutputURI: fileURI(dir)})
	log := read(t, filepath.Join(dir, "importErrors.log"))
	for _, want := range []string{`{"deviceId":"b","errorCode":404001,"errorStatus":"b","line":3}`, `"errorCode":400012,`} {
		if !strings.Contains(log, want) || strings.Count(log, "\n") != 2 {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	if _, err := g.hub.Identity(context.Background(), owner, device.ID{Device: "a"}); err != nil {
		t.Error(err)
	}
	g.finish(job.Request{Type: job.Export, OutputURI: fileURI(below), Output: "out.txt", NoKeys: true})
	out := read(t, filepath.Join(below, "out.txt"))
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, `"r":1`) || !strings.Contains(out, `"primaryKey":null`) {
		t.Errorf("exported:\n%s", out)
	}
	list, err := g.List(owner)
	if err != nil || len(list) != 2 || list[0].Type != job.Export {
		t.Errorf("%+v, %v", list, err)
	}
}

// Containers are looked at before the job is there.
func TestContainersAreValidated(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "devices.txt")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(outside, "secret"), "not for you")
	g := open(t, dir)
	refused := func(r job.Request) {
		t.Helper()
		_, err := g.Create(context.Background(), owner, r)
		if !fault.Is(err, fault.BlobContainerValidationError) {
			t.Errorf("%+v: %v", r, err)
		} else if strings.Contains(err.Error(), outside) || strings.Contains(err.Error(), "sig=") {
			t.Errorf("the message says too much: %v", err)
		}
	}
	for _, uri := range []string{
		"", "%zz", "ftp://host/x", "file://otherhost" + dir, "https://", fileURI(outside), fileURI(dir + "/../" + filepath.Base(outside)),
		fileURI(filepath.Join(dir, "link")), fileURI(filepath.Join(dir, "nowhere")), "http://127.0.0.1:1/container?sig=secret",
		"https://x/" + strings.Repeat("a", 9000),
	} {
		refused(job.Request{Type: job.Export, OutputURI: uri, Output: "devices2.txt"})
	}
	refused(job.Request{Type: job.Import, InputURI: fileURI(dir), Input: "missing.txt", OutputURI: fileURI(dir), Output: "importErrors.log"})
	refused(job.Request{Type: job.Import, InputURI: fileURI(dir), Input: "devices.txt", OutputURI: fileURI(dir), Output: "importErrors.log"}) // the link
	refused(job.Request{Type: job.Export, OutputURI: fileURI(dir), Output: "x", ManagedIdentityForStorages: true})
	g.files = ""
	g.Close()
	g.openJobs()
	refused(job.Request{Type: job.Export, OutputURI: fileURI(dir), Output: "x"})
	if list, _ := g.List(owner); len(list) != 0 {
		t.Errorf("%d jobs", len(list))
	}
}

func TestParseRequest(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `{"type":"move"}`, `{"type":"import","inputBlobName":"../x"}`, `{"type":"export","outputBlobName":"a\\b"}`, `{"type":"export","outputBlobName":"/etc/x"}`} {
		if r, err := job.ParseRequest([]byte(body)); err == nil {
			t.Errorf("%s is %+v", body, r)
		}
	}
	r, err := job.ParseRequest([]byte(`{"jobId":"","Type":"Export","outputBlobContainerUri":"u","storageAuthenticationType":"IdentityBased"}`))
	if err != nil || r.Type != job.Export || r.Output != "devices.txt" || !r.ManagedIdentityForStorages {
		t.Errorf("%+v, %v", r, err)
	}
}

// blobs is a blob store with one container, which takes the signature "good".
type blobs struct {
	*httptest.Server
	mu    sync.Mutex
	held  map[string]string
	pause chan struct{} // unless nil, reading waits for it
}

func newBlobs(t *testing.T) *blobs {
	b := &blobs{held: map[string]string{}}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *blobs) container() string { return b.URL + "/account/container?sv=2020-10-02&sig=good" }

func (b *blobs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/account/container/")
	if !ok || r.URL.Query().Get("sig") != "good" || r.Header.Get("x-ms-version") == "" {
		w.Header().Set("x-ms-error-code", "AuthenticationFailed")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	b.mu.Lock()
	text, there := b.held[name]
	pause := b.pause
	b.mu.Unlock()
	switch {
	case r.Method == http.MethodPut && r.Header.Get("x-ms-blob-type") == "BlockBlob" && r.ContentLength >= 0:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.held[name] = string(body)
		b.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodGet && there:
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		half := len(text) / 2
		io.WriteString(w, text[:half])
		w.(http.Flusher).Flush()
		if pause != nil {
			select {
			case <-pause:
			case <-r.Context().Done():
				return
			}
		}
		io.WriteString(w, text[half:])
	default:
		w.Header().Set("x-ms-error-code", "BlobNotFound")
		w.WriteHeader(http.StatusNotFound)
	}
}

func (b *blobs) set(name, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[name] = text
}

func (b *blobs) get(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held[name]
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"d%04d","tags":{"n":%d}}`+"\n", i, i)
	}
	return b.String()
}

func TestJobsOverABlobStore(t *testing.T) {
	g, b := open(t, ""), newBlobs(t)
	b.set("devices.txt", lines(300)+"broken\n")
	g.finish(job.Request{Type: job.Import, InputURI: b.container(), OutputURI: b.container()})
	if log := b.get("importErrors.log"); strings.Count(log, "\n") != 1 || !strings.Contains(log, `"line":301`) {
		t.Errorf("the log is %q", log)
	}
	g.finish(job.Request{Type: job.Export, OutputURI: b.container(), Output: "fleet/all.txt"})
	if n := strings.Count(b.get("fleet/all.txt"), "\n"); n != 300 {
		t.Errorf("%d lines exported", n)
	}
	_, err := g.Create(context.Background(), owner, job.Request{Type: job.Export, OutputURI: strings.Replace(b.container(), "good", "bad", 1), Output: "x"})
	if !fault.Is(err, fault.BlobContainerValidationError) || !strings.Contains(err.Error(), "403 AuthenticationFailed") {
		t.Errorf("with a bad signature: %v", err)
	}
}

// paused begins an import that waits in the middle of its blob.
func paused(t *testing.T, g *rig) (job.Record, *blobs) {
	t.Helper()
	b := newBlobs(t)
	b.set("devices.txt", lines(2000))
	b.pause = make(chan struct{})
	r := g.create(job.Request{Type: job.Import, InputURI: b.container(), OutputURI: b.container()})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if now, err := g.Get(owner, r.ID); err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", now, err)
		} else if now.Status == job.Running && now.Progress > 0 {
			if now.Progress >= 60 {
				t.Errorf("half of the blob is %d percent", now.Progress)
			}
			return now, b
		}
	}
}

func TestOneJobAtATimeAndCancel(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir)
	r, _ := paused(t, g)
	_, err := g.Create(context.Background(), owner, job.Request{Type: job.Export, OutputURI: fileURI(dir), Output: "x"})
	if !fault.Is(err, fault.JobQuotaExceeded) {
		t.Errorf("a second job: %v", err)
	}
	if err := g.Cancel(owner, r.ID); err != nil {
		t.Fatal(err)
	}
	if done := g.ended(r.ID); done.Status != job.Cancelled {
		t.Errorf("it ended as %+v", done)
	}
	if err := g.Cancel(owner, r.ID); err != nil {
		t.Errorf("again: %v", err)
	}
	g.finish(job.Request{Type: job.Export, OutputURI: fileURI(dir), Output: "x"})
}

// A job that was running when the hub ended has failed, and says why; also if the
// hub had no time to say so.
func TestJobsSurviveRestarts(t *testing.T) {
	g := open(t, "")
	r, _ := paused(t, g)
	crash, err := job.Open(context.Background(), job.Config{Hub: g.hub, Store: g.store, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := crash.Get(owner, r.ID); err != nil || seen.Status != job.Failed || !strings.Contains(seen.Reason, "hub ended") || seen.Ended.IsZero() {
		t.Errorf("after a crash: %+v, %v", seen, err)
	}
	crash.Close()
	g.Close()
	g.openJobs()
	if seen, err := g.Get(owner, r.ID); err != nil || seen.Status != job.Failed || !strings.Contains(seen.Reason, "hub ended") {
		t.Errorf("after an end: %+v, %v", seen, err)
	}
}

func TestJobsAreForgotten(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir)
	first := g.create(job.Request{Type: job.Export, OutputURI: fileURI(dir), Output: "x"}).ID
	g.ended(first)
	for range 100 {
		g.finish(job.Request{Type: job.Export, OutputURI: fileURI(dir), Output: "x"})
	}
	if _, err := g.Get(owner, first); !fault.Is(err, fault.JobNotFound) {
		t.Errorf("the first job: %v", err)
	}
	g.Close()
	g.openJobs()
	if list, err := g.List(owner); err != nil || len(list) != 100 {
		t.Errorf("%d jobs, %v", len(list), err)
	}
}

func TestJobsAskForRights(t *testing.T) {
	g := open(t, "")
	reader := auth.Principal{Policy: "registryRead", Permissions: auth.RegistryRead}
	if _, err := g.Create(context.Background(), reader, job.Request{}); !fault.Is(err, fault.IotHubUnauthorizedAccess) {
		t.Error(err)
	}
	if err := g.Cancel(reader, "x"); !fault.Is(err, fault.IotHubUnauthorizedAccess) {
		t.Error(err)
	}
	nobody := auth.Principal{Policy: "service", Permissions: auth.ServiceConnect}
	if _, err := g.List(nobody); !fault.Is(err, fault.IotHubUnauthorizedAccess) {
		t.Error(err)
	}
	if _, err := g.Get(nobody, "x"); !fault.Is(err, fault.IotHubUnauthorizedAccess) {
		t.Error(err)
	}
	if err := g.Cancel(owner, "x"); !fault.Is(err, fault.JobNotFound) {
		t.Error(err)
	}
}
