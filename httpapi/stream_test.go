package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/hub"
)

var everything = auth.Principal{Policy: "iothubowner", Permissions: auth.RegistryWrite | auth.ServiceConnect}

// stream makes a request whose body and answer are streams.
func (g *rig) stream(ctx context.Context, method, path string, body io.Reader) *http.Response {
	g.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, g.server.URL+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", g.goodToken("iothubowner"))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { res.Body.Close() })
	return res
}

const (
	importPath = "/$hubtwin/import?api-version=2021-04-12"
	exportPath = "/$hubtwin/export?api-version=2021-04-12"
)

// importing sends lines and gives the answer's, without progress.
func (g *rig) importing(path, lines string) (answers []string) {
	g.t.Helper()
	res := g.stream(context.Background(), "POST", path, strings.NewReader(lines))
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/x-ndjson" {
		g.t.Fatalf("%s, %s", res.Status, res.Header)
	}
	for b := bufio.NewScanner(res.Body); b.Scan(); {
		if !strings.HasPrefix(b.Text(), `{"progress"`) {
			answers = append(answers, b.Text())
		}
	}
	return answers
}

func TestImportLines(t *testing.T) {
	g := newRig(t, nil)
	lines := "{\"id\":\"a\",\"properties\":{\"reported\":{\"r\":1}}}\nbroken\n{\"id\":\"m\",\"importMode\":\"update\"}\n"
	problems := []string{
		`{"line":2,"deviceId":"","errorCode":400012,"errorStatus":"the line is not an item: invalid character 'b' looking for beginning of value"}`,
		`{"line":3,"deviceId":"m","operation":"update","errorCode":404001,"errorStatus":"m"}`,
	}
	got := g.importing(importPath+"&mode=all-or-nothing", lines)
	slices.Sort(got[:len(got)-1])
	want := append(slices.Clone(problems),
		`{"summary":{"checked":1,"applied":0,"failed":2,"complete":false,"errorCode":400013,"errorStatus":"lines are wrong, so nothing was imported"}}`)
	if !slices.Equal(got, want) {
		t.Errorf("all or nothing: got\n%s", strings.Join(got, "\n"))
	}
	got = g.importing(importPath, lines)
	slices.Sort(got[:len(got)-1])
	want = append(slices.Clone(problems), `{"summary":{"checked":0,"applied":1,"failed":2,"complete":true}}`)
	if !slices.Equal(got, want) {
		t.Errorf("continue: got\n%s", strings.Join(got, "\n"))
	}
	got = g.importing(importPath+"&mode=all-or-nothing", `{"id":"b"}`)
	if want := `{"summary":{"checked":1,"applied":1,"failed":0,"complete":true}}`; len(got) != 1 || got[0] != want {
		t.Errorf("all or nothing, all good: got\n%s", strings.Join(got, "\n"))
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "hubtwin-import-*")); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}

	res := g.stream(context.Background(), "GET", exportPath+"&keys=false", nil)
	text, err := io.ReadAll(res.Body)
	if err != nil || strings.Count(string(text), "\n") != 2 || !strings.Contains(string(text), `"r":1`) || strings.Contains(string(text), `"primaryKey":"`) {
		t.Errorf("%v\n%s", err, text)
	}
	res = g.stream(context.Background(), "GET", exportPath, nil)
	if text, err := io.ReadAll(res.Body); err != nil || strings.Count(string(text), `"primaryKey":"`) != 2 {
		t.Errorf("%v\n%s", err, text)
	}
	for path, method := range map[string]string{importPath + "&mode=some": "POST", exportPath + "&keys=maybe": "GET"} {
		if res := g.stream(context.Background(), method, path, nil); res.StatusCode != 400 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// The answer tells of a line while later ones are still to be sent. If the caller
// goes away then, what was sent is imported, and the place is free again.
func TestImportEndsWithItsCaller(t *testing.T) {
	g := newRig(t, nil)
	const times = 2
	for range times {
		ctx, cancel := context.WithCancel(context.Background())
		r, w := io.Pipe()
		go func() {
			for n := 0; ; n++ {
				if _, err := fmt.Fprintf(w, "{\"id\":\"d%d\"}\n", n); err != nil {
					return
				}
			}
		}()
		res := g.stream(ctx, "POST", importPath, r)
		var progress struct {
			Progress struct{ Applied int64 } `json:"progress"`
		}
		b := bufio.NewReader(res.Body)
		for progress.Progress.Applied == 0 {
			line, err := b.ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(line, &progress); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if strings.Contains(string(line), `"line"`) {
				break // of the rounds behind the first each device is there
			}
		}
		cancel()
		r.CloseWithError(io.ErrClosedPipe)
	}
	waitFor(t, "the imports to end", func() bool { return strings.Count(g.log.String(), "import ended") == times })
	if res := g.stream(context.Background(), "GET", exportPath, nil); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

// Not more than so many at once.
func TestStreamsAreBounded(t *testing.T) {
	g := newRig(t, nil)
	var bodies []*io.PipeWriter
	for range 4 {
		r, w := io.Pipe()
		bodies = append(bodies, w)
		go w.Write([]byte("broken\n"))
		g.stream(context.Background(), "POST", importPath, r)
	}
	res := g.stream(context.Background(), "GET", exportPath, nil)
	if res.StatusCode != 503 || res.Header.Get("iothub-errorcode") != "ServerBusy" {
		t.Errorf("%s, %s", res.Status, res.Header)
	}
	for _, w := range bodies {
		w.Close()
	}
	waitFor(t, "a place", func() bool {
		res := g.stream(context.Background(), "GET", exportPath, nil)
		return res.StatusCode == 200
	})
}

// An export that can't be sent to its end is cut, so that nobody takes it for
// whole.
func TestExportEndsWithItsCaller(t *testing.T) {
	g := newRig(t, nil)
	var items []string
	for n := range 3000 {
		items = append(items, fmt.Sprintf(`{"id":"d%d","tags":{"t":%q}}`, n, strings.Repeat("x", 2000)))
	}
	g.importing(importPath, strings.Join(items, "\n"))
	conn, err := net.Dial("tcp", g.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n", exportPath, hostName, g.goodToken("iothubowner"))
	if _, err := io.ReadFull(conn, make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	waitFor(t, "the export to end", func() bool { return strings.Contains(g.log.String(), "export ended") })
}

// An import whose body breaks off says so, and what came before it is there.
func TestImportBodyBreaksOff(t *testing.T) {
	g := newRig(t, nil)
	conn, err := net.Dial("tcp", g.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{\"id\":\"a\"}\n\r\nzz\r\n",
		importPath, hostName, g.goodToken("iothubowner"))
	answer, _ := io.ReadAll(conn)
	if !strings.Contains(string(answer), `"complete":false,"errorCode":400006`) {
		t.Errorf("%s", answer)
	}
	if _, err := g.hub.Identity(context.Background(), everything, device.ID{Device: "a"}); err != nil {
		t.Error(err)
	}
	err = g.hub.Export(context.Background(), everything, hub.ExportOptions{}, func([]byte) error { return io.ErrShortWrite })
	if err != io.ErrShortWrite {
		t.Error(err)
	}
}

// waitFor polls for what happens in another goroutine that tells nobody.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A job over REST, with the members that SDKs read.
func TestExportJob(t *testing.T) {
	g := newRig(t, nil)
	g.importing(importPath, `{"id":"a"}`)
	body := fmt.Sprintf(`{"jobId":"","type":"export","outputBlobContainerUri":"file://%s","excludeKeysInExport":true}`, g.jobFiles)
	created := g.request("registryReadWrite", "POST /jobs/create", body)
	form := regexp.MustCompile(`^\{"jobId":"([0-9a-f]{32})","startTimeUtc":"\d{4}-\d\d-\d\dT[\d:]+\.\d{7}Z","endTimeUtc":null,"type":"export","status":"enqueued","progress":0,"outputBlobName":"devices.txt","excludeKeysInExport":true,"storageAuthenticationType":"keyBased","failureReason":null\}$`)
	id := form.FindStringSubmatch(created.body)
	if created.status != "200" || id == nil {
		t.Fatalf("%s\n%s", created.status, created.body)
	}
	waitFor(t, "the job", func() bool {
		return strings.Contains(g.request("registryRead", "GET /jobs/"+id[1], "").body, `"status":"completed","progress":100,`)
	})
	if list := g.request("registryRead", "GET /jobs", ""); !strings.HasPrefix(list.body, `[{"jobId":"`+id[1]) {
		t.Errorf("the list is %s", list.body)
	}
	if done := g.request("registryReadWrite", "DELETE /jobs/"+id[1], ""); done.status != "204" {
		t.Errorf("%s\n%s", done.status, done.body)
	}
	text, err := os.ReadFile(filepath.Join(g.jobFiles, "devices.txt"))
	if err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("%v\n%s", err, text)
	}
}
