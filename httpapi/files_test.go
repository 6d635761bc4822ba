package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hubtwin/hubtwin/blob"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
)

// blobs is a blob store with a container, which knows only what it has signed.
type blobs struct {
	mu    sync.Mutex
	sizes map[string]int
}

func (b *blobs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size, there := b.sizes[r.URL.Path]
	switch {
	case r.URL.Query().Get("sig") == "":
		w.WriteHeader(http.StatusForbidden)
	case r.Method == http.MethodPut && r.URL.Query().Get("sp") == "rw":
		body, _ := io.ReadAll(r.Body)
		b.sizes[r.URL.Path] = len(body)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodHead && there:
		w.Header().Set("Last-Modified", "Tue, 24 Nov 2026 10:00:00 GMT")
		w.Header().Set("Content-Length", fmt.Sprint(size))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// as sends a request of a device.
func (g *rig) as(id, line, body string) answer {
	g.t.Helper()
	return send(g.t, g.server.Listener.Addr().String(), fmt.Appendf(nil,
		"%s?api-version=2021-04-12 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		line, hostName, g.deviceToken(device.ID{Device: id}), len(body), body))
}

func TestFiles(t *testing.T) {
	store := &blobs{sizes: map[string]int{}}
	server := httptest.NewServer(store)
	defer server.Close()
	to, err := blob.Open("AccountName=acct;AccountKey=AAECAw==;BlobEndpoint="+server.URL+"/acct", "files")
	if err != nil {
		t.Fatal(err)
	}
	g := newRigOn(t, hub.Config{Blobs: to})
	g.request("iothubowner", "POST /devices", `[{"id":"d1"},{"id":"d2"}]`)
	begin := func(name string) (u hub.Upload) {
		t.Helper()
		got := g.as("d1", "POST /devices/d1/files", `{"blobName":"`+name+`"}`)
		if err := json.Unmarshal([]byte(got.body), &u); err != nil || got.status != "200" {
			t.Fatal(got.raw)
		}
		return u
	}
	upload := func(u hub.Upload, content string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPut, "http://"+u.HostName+"/"+u.ContainerName+"/"+u.BlobName+u.SASToken, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatal(res.Status)
		}
	}
	wants := func(status, name string, got answer) {
		t.Helper()
		if got.status != status || name != "" && !strings.Contains(got.raw, "iothub-errorcode: "+name) {
			t.Errorf("%s, want %s %s", got.raw, status, name)
		}
	}

	// The whole way, with the id in the path and in the body.
	told := g.listen(t, t.Context(), "stream=filenotifications", nil)
	told()
	for i, place := range []string{"path", "body"} {
		u := begin("a/b.txt")
		if u.BlobName != "d1/a/b.txt" || u.ContainerName != "acct/files" {
			t.Errorf("%+v", u)
		}
		upload(u, "content")
		path, body := "POST /devices/d1/files/notifications", `{"correlationId":"`+u.CorrelationID+`","isSuccess":true,"statusCode":200,"statusDescription":"ok"}`
		if place == "path" {
			path, body = path+"/"+u.CorrelationID, `{"isSuccess":true,"statusCode":200,"statusDescription":"ok"}`
		}
		wants("404", "", answer{status: "404"})
		wants("400", "InvalidFileUploadCorrelationId", g.as("d2", strings.Replace(path, "d1", "d2", 1), body))
		wants("204", "", g.as("d1", path, body))
		wants("400", "InvalidFileUploadCorrelationId", g.as("d1", path, body))
		told()
		const want = `"Body":{"deviceId":"d1","blobUri":"URL/acct/files/d1/a/b.txt","blobName":"d1/a/b.txt","lastUpdatedTime":"…","blobSizeInBytes":7,"enqueuedTimeUtc":"…"}}`
		if got := strings.ReplaceAll(changes.ReplaceAllString(told(), "…"), server.URL, "URL"); !strings.HasSuffix(got, want) {
			t.Errorf("notification %d: %s", i, got)
		}
	}

	// What was not uploaded is no file; what has failed tells nobody.
	u := begin("none")
	wants("400", "ArgumentInvalid", g.as("d1", "POST /devices/d1/files/notifications", `{"correlationId":"`+u.CorrelationID+`","isSuccess":true}`))
	wants("204", "", g.as("d1", "POST /devices/d1/files/notifications", `{"correlationId":"`+u.CorrelationID+`","isSuccess":false}`))

	// Names and bodies that can't be.
	for _, name := range []string{"", "a/", "../b", "a//b", "a\\\\b", strings.Repeat("x", 1022)} {
		wants("400", "ArgumentInvalid", g.as("d1", "POST /devices/d1/files", `{"blobName":"`+name+`"}`))
	}
	wants("400", "IotHubFormatError", g.as("d1", "POST /devices/d1/files", `[]`))
	wants("400", "ArgumentNull", g.as("d1", "POST /devices/d1/files/notifications", `{"correlationId":"x"}`))
	wants("400", "InvalidFileUploadCorrelationId", g.as("d1", "POST /devices/d1/files/notifications", `{"correlationId":"`+strings.Repeat("x", 500)+`","isSuccess":true}`))

	// Ten at a time, also when they begin at once.
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := map[string]int{}
	for range 14 {
		all.Go(func() {
			got := g.as("d1", "POST /devices/d1/files", `{"blobName":"x"}`)
			mu.Lock()
			defer mu.Unlock()
			statuses[regexp.MustCompile(`iothub-errorcode: (\w+)`).FindString(got.raw)]++
		})
	}
	all.Wait()
	if statuses[""] != 10 || statuses["iothub-errorcode: DeviceMaximumActiveFileUploadLimitExceeded"] != 4 {
		t.Errorf("%v", statuses)
	}

	// A device of the same id that is made anew has nothing to do with them.
	wants("204", "", g.request("iothubowner", "DELETE /devices/d1", ""))
	g.request("iothubowner", "POST /devices", `[{"id":"d1"}]`)
	begin("new")
}
