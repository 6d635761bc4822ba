package route_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/route"
)

// stored makes n events from a sequence number on.
func stored(first, n int) []message.Stored {
	list := make([]message.Stored, n)
	for i := range list {
		e := &list[i]
		e.DeviceID, e.Sequence, e.Offset = "d1", uint64(first+i), uint64(100*(first+i))
		e.Enqueued = time.Unix(1_700_000_000+int64(first+i), 0).UTC()
		e.Set("level", "hot")
		e.Body = fmt.Appendf(nil, "%d", first+i)
	}
	return list
}

// endpoint opens the only endpoint of a configuration.
func endpoint(t testing.TB, o route.Outside, text string) route.Endpoint {
	t.Helper()
	c, err := route.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := route.Compile(c, "testhub"); err != nil {
		t.Fatal(err)
	}
	e := o.Open(c.Custom()[0], "testhub")
	t.Cleanup(func() { e.Close() })
	return e
}

// TestWebhook: a call over TLS, byte by byte.
func TestWebhook(t *testing.T) {
	var got *http.Request
	var body []byte
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	e := endpoint(t, route.Outside{Transport: s.Client().Transport},
		`{"endpoints":{"webhooks":[{"name":"hook","url":"`+s.URL+`/a?b=c","authorization":"Bearer t","signingKey":"secret","headers":{"X-Site":"Oslo"}}]}}`)
	if err := e.Deliver(t.Context(), stored(7, 2)); err != nil {
		t.Fatal(err)
	}
	const want = `[{"partition":0,"sequenceNumber":7,"offset":"700","EnqueuedTimeUtc":"2023-11-14T22:13:27.0000000Z","Properties":{"level":"hot"},"SystemProperties":{"connectionDeviceId":"d1","iothub-message-source":"Telemetry","enqueuedTime":"2023-11-14T22:13:27.0000000Z"},"Body":"Nw=="},` +
		`{"partition":0,"sequenceNumber":8,"offset":"800","EnqueuedTimeUtc":"2023-11-14T22:13:28.0000000Z","Properties":{"level":"hot"},"SystemProperties":{"connectionDeviceId":"d1","iothub-message-source":"Telemetry","enqueuedTime":"2023-11-14T22:13:28.0000000Z"},"Body":"OA=="}]`
	if string(body) != want {
		t.Errorf("body\ngot  %s\nwant %s", body, want)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer t", "X-Site": "Oslo", "User-Agent": "hubtwin",
		"Webhook-Id": fmt.Sprintf("testhub-hook-7-8-%x", time.Unix(1_700_000_007, 0).UnixNano()),
	} {
		if v := got.Header.Get(name); v != value {
			t.Errorf("%s: %q, want %q", name, v, value)
		}
	}
	if got.Method != "POST" || got.RequestURI != "/a?b=c" {
		t.Errorf("%s %s", got.Method, got.RequestURI)
	}
	mac := hmac.New(sha256.New, []byte("secret"))
	fmt.Fprintf(mac, "%s.%s.%s", got.Header.Get("Webhook-Id"), got.Header.Get("Webhook-Timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Header.Get("Webhook-Signature") != want {
		t.Errorf("signature %q, want %q", got.Header.Get("Webhook-Signature"), want)
	}
	// The same events have the same id, and no others.
	id := got.Header.Get("Webhook-Id")
	for _, again := range []struct {
		events []message.Stored
		same   bool
	}{{stored(7, 2), true}, {stored(7, 3), false}, {stored(8, 2), false}} {
		if err := e.Deliver(t.Context(), again.events); err != nil || (got.Header.Get("Webhook-Id") == id) != again.same {
			t.Errorf("id %q after %q: %v", got.Header.Get("Webhook-Id"), id, err)
		}
	}
}

// TestWebhookAnswers: what each answer means.
func TestWebhookAnswers(t *testing.T) {
	var status int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			io.WriteString(w, "so it is\n"+strings.Repeat("x", 100_000))
		}
	}))
	defer s.Close()
	e := endpoint(t, route.Outside{}, `{"endpoints":{"webhooks":[{"name":"w","url":"`+s.URL+`"}]}}`)
	for _, c := range []struct {
		status      int
		ok, refused bool
	}{
		{200, true, false}, {204, true, false}, {299, true, false},
		{302, false, false}, {307, false, false}, {401, false, false}, {404, false, false}, {429, false, false}, {500, false, false}, {503, false, false},
		{400, false, true}, {413, false, true}, {422, false, true},
	} {
		status = c.status
		err := e.Deliver(t.Context(), stored(1, 1))
		if (err == nil) != c.ok || errors.Is(err, route.ErrRefused) != c.refused {
			t.Errorf("status %d: %v", c.status, err)
		}
		if err != nil && (!strings.Contains(err.Error(), fmt.Sprintf(`status %d, "so it is\n`, c.status)) || len(err.Error()) > 400) {
			t.Errorf("status %d is told as %v", c.status, err)
		}
	}
}

// TestWebhookKeepsItsAddress: why a call failed is told without the address, which
// may have a secret in it.
func TestWebhookKeepsItsAddress(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	e := endpoint(t, route.Outside{}, `{"endpoints":{"webhooks":[{"name":"w","url":"`+s.URL+`/hook?code=secret"}]}}`)
	err := e.Deliver(t.Context(), stored(1, 1))
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "connect") {
		t.Errorf("got %v", err)
	}
}

// TestWebhookEndsWithItsContext: one that hangs is left alone.
func TestWebhookEndsWithItsContext(t *testing.T) {
	called := make(chan struct{}, 1)
	end := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called <- struct{}{}
		<-end
	}))
	defer s.Close()
	defer close(end)
	e := endpoint(t, route.Outside{}, `{"endpoints":{"webhooks":[{"name":"w","url":"`+s.URL+`"}]}}`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-called; cancel() }()
	if err := e.Deliver(ctx, stored(1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestOutside: what the operator has not allowed can't be configured, and does not
// work if it was.
func TestOutside(t *testing.T) {
	const files = `{"endpoints":{"files":[{"name":"f"}]}}`
	hook := func(url string) string { return `{"endpoints":{"webhooks":[{"name":"w","url":"` + url + `"}]}}` }
	some := route.Outside{Hosts: []string{"hooks.example.com", "*.example.org", "10.0.0.1", "::1"}}
	for _, c := range []struct {
		outside route.Outside
		config  string
		want    string // of the fault
	}{
		{route.Outside{}, hook("http://169.254.169.254/"), ""},
		{route.Outside{Files: t.TempDir()}, files, ""},
		{route.Outside{}, files, "endpoints.files: this hub writes no files"},
		{some, hook("https://HOOKS.example.com:8443/"), ""},
		{some, hook("https://hooks.example.com./"), ""},
		{some, hook("https://a.b.example.org/"), ""},
		{some, hook("http://10.0.0.1/"), ""},
		{some, hook("http://[::1]:80/"), ""},
		{some, hook("https://example.org/"), `endpoints.webhooks[0].url: this hub calls no webhook on "example.org"`},
		{some, hook("https://badexample.org/"), "endpoints.webhooks[0].url"},
		{some, hook("https://hooks.example.com.evil.com/"), "endpoints.webhooks[0].url"},
		{some, hook("https://looks.example.com/"), "endpoints.webhooks[0].url"},
		{some, hook("http://localhost/"), "endpoints.webhooks[0].url"},
	} {
		parsed, err := route.Parse([]byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		err = c.outside.Check(parsed)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.config, err)
			}
			continue
		}
		if !fault.Is(err, fault.ArgumentInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.config, err, c.want)
		}
		e := c.outside.Open(parsed.Custom()[0], "testhub")
		if err := e.Deliver(t.Context(), stored(1, 1)); err == nil || errors.Is(err, route.ErrRefused) {
			t.Errorf("%s: delivered with %v", c.config, err)
		}
		e.Close()
	}
}

// written reads the files in a directory, the oldest first.
func written(t testing.TB, dir string) (files []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, n := range names {
		text, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(text))
	}
	return files
}

// sequences are the numbers of the events in the lines of a file.
func sequences(t testing.TB, text string) (list []int) {
	t.Helper()
	for line := range strings.Lines(text) {
		var e struct{ SequenceNumber int }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, e.SequenceNumber)
	}
	return list
}

func numbers(first, n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = first + i
	}
	return list
}

// TestFile: lines, the file that a new run goes on with, and what a crash has left.
func TestFile(t *testing.T) {
	top := t.TempDir()
	const config = `{"endpoints":{"files":[{"name":"f","directory":"a/b"}]}}`
	o := route.Outside{Files: top}
	deliver := func(e route.Endpoint, first, n int) {
		t.Helper()
		if err := e.Deliver(t.Context(), stored(first, n)); err != nil {
			t.Fatal(err)
		}
	}
	e := endpoint(t, o, config)
	deliver(e, 1, 2)
	deliver(e, 3, 1)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	files := written(t, filepath.Join(top, "a/b"))
	if len(files) != 1 || !slices.Equal(sequences(t, files[0]), numbers(1, 3)) {
		t.Fatalf("%q", files)
	}
	if line, _, _ := strings.Cut(files[0], "\n"); line != string(stored(1, 1)[0].AppendJSON(nil)) {
		t.Errorf("a line is %s", line)
	}
	// A line that a crash has cut short is cut off.
	name, _ := filepath.Glob(filepath.Join(top, "a/b/*.jsonl"))
	f, err := os.OpenFile(name[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"partition":0,"sequ` + strings.Repeat("x", 200_000))
	f.Close()
	e = endpoint(t, o, config)
	deliver(e, 4, 2)
	files = written(t, filepath.Join(top, "a/b"))
	if len(files) != 1 || !slices.Equal(sequences(t, files[0]), numbers(1, 5)) {
		t.Errorf("after a crash: %d files, %q", len(files), files)
	}
}

// TestFileRotation by size: nothing is lost, and no file is too large.
func TestFileRotation(t *testing.T) {
	top := t.TempDir()
	e := endpoint(t, route.Outside{Files: top}, `{"endpoints":{"files":[{"name":"f","maxBytes":65536}]}}`)
	const rounds, each = 40, 20
	for n := range rounds {
		if err := e.Deliver(t.Context(), stored(n*each, each)); err != nil {
			t.Fatal(err)
		}
	}
	var all []int
	files := written(t, filepath.Join(top, "f"))
	for _, text := range files {
		if len(text) > 65536 {
			t.Errorf("a file of %d bytes", len(text))
		}
		all = append(all, sequences(t, text)...)
	}
	if len(files) < 3 || !slices.Equal(all, numbers(0, rounds*each)) {
		t.Errorf("%d files, events %v", len(files), all)
	}
}

// TestFileAndDirectoryGo: while others remove or move what an endpoint writes to, or
// have not made it yet, events go to files that are there, or wait.
func TestFileAndDirectoryGo(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	e := endpoint(t, route.Outside{Files: top}, `{"endpoints":{"files":[{"name":"f"}]}}`)
	if err := e.Deliver(t.Context(), stored(1, 1)); err == nil {
		t.Error("delivered, and there is no directory")
	}
	if err := os.Mkdir(top, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(top, "f")
	for n, c := range []struct {
		name string
		step func() error
	}{
		{"the directory is there now", func() error { return nil }},
		{"the file is removed", func() error {
			names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
			return errors.Join(err, os.Remove(names[0]))
		}},
		{"the directory is removed", func() error { return os.RemoveAll(dir) }},
		{"the directory is moved", func() error { return os.Rename(dir, filepath.Join(top, "old")) }},
	} {
		if err := c.step(); err != nil {
			t.Fatal(err)
		}
		if err := e.Deliver(t.Context(), stored(n, 1)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if files := written(t, dir); len(files) != 1 || !slices.Equal(sequences(t, files[0]), []int{n}) {
			t.Errorf("%s: there is %q", c.name, files)
		}
	}
}

// TestFilesStayInside: neither the name nor a link leads out of the directory.
func TestFilesStayInside(t *testing.T) {
	top, other := t.TempDir(), t.TempDir()
	if err := os.Symlink(other, filepath.Join(top, "out")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"out", "out/in"} {
		e := endpoint(t, route.Outside{Files: top}, `{"endpoints":{"files":[{"name":"f","directory":"`+dir+`"}]}}`)
		if err := e.Deliver(t.Context(), stored(1, 1)); err == nil {
			t.Errorf("written to %q, by way of a link", dir)
		}
	}
	if list, _ := os.ReadDir(other); len(list) > 0 {
		t.Errorf("there is %s", list[0].Name())
	}
}

// TestDeadLetters: a line says why an event is there.
func TestDeadLetters(t *testing.T) {
	top := filepath.Join(t.TempDir(), "dead")
	d := route.Outside{DeadLetters: top}.OpenDeadLetters("hook")
	defer d.Close()
	if err := d.Add(stored(1, 2), "status 400, \"no\"", time.Unix(1_700_000_100, 0)); err != nil {
		t.Fatal(err)
	}
	files := written(t, filepath.Join(top, "hook"))
	want := ""
	for _, e := range stored(1, 2) {
		want += `{"endpoint":"hook","deadLetteredTimeUtc":"2023-11-14T22:15:00.0000000Z","reason":"status 400, \"no\"","event":` + string(e.AppendJSON(nil)) + "}\n"
	}
	if len(files) != 1 || files[0] != want {
		t.Errorf("got  %q\nwant %q", files, want)
	}
	if d := (route.Outside{}).OpenDeadLetters("hook"); d != nil {
		t.Errorf("without a place: %v", d)
	}
}
