package httpapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/httpapi"
	"github.com/hubtwin/hubtwin/injection"
)

// The transcripts under testdata are read top to bottom against one hub each;
// testdata/README.md says how they are written. Requests go out and answers
// come in as raw bytes, so the spelling of header names is under test in every
// one of them.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			configure := func(c *httpapi.Config) {
				if name == "faults" {
					c.Faults = injection.New(c.Log)
				}
			}
			r := &reader{rig: newRig(t, configure), newest: map[string]string{}, before: map[string]string{}}
			for _, e := range parseTranscript(t, file) {
				r.run(t, e)
			}
		})
	}
}

// exchange is a request with the answer expected, or an act of a device.
type exchange struct {
	line     int
	title    string
	act      string   // of a device; then the rest is empty
	request  []string // request line, then headers
	body     *string
	answer   []string // status and code name, then headers
	expected *string  // body pattern
}

func parseTranscript(t *testing.T, file string) (list []exchange) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var e exchange
	title := ""
	flush := func() {
		if e.line > 0 {
			list = append(list, e)
		}
		e = exchange{}
	}
	for n, line := range strings.Split(string(text), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case "":
			flush()
		case "#":
			flush()
			title = rest
		case "!":
			list = append(list, exchange{line: n + 1, title: title, act: rest})
		case ">":
			e.line, e.title = n+1, title
			e.request = append(e.request, rest)
		case ">>":
			e.body = joined(e.body, rest)
		case "<":
			e.answer = append(e.answer, rest)
		case "<<":
			e.expected = joined(e.expected, rest)
		default:
			t.Fatalf("%s:%d: can't read %q", file, n+1, line)
		}
	}
	flush()
	return list
}

func joined(text *string, line string) *string {
	if text != nil {
		line = *text + line
	}
	return &line
}

// reader runs a transcript.
type reader struct {
	rig *rig
	// newest and before are the last two values of each answered header.
	newest, before map[string]string
}

func (r *reader) run(t *testing.T, e exchange) {
	t.Helper()
	if e.act != "" {
		r.act(t, e.act)
		return
	}
	got := send(t, r.rig.server.Listener.Addr().String(), r.compose(e))
	if problem := r.compare(e, got); problem != "" {
		t.Errorf("line %d: %s\n%s\n%s\ngot:\n%s", e.line, e.title, strings.Join(e.request, "\n"), problem, got.raw)
	}
	for name, value := range got.headers {
		if value != r.newest[name] {
			r.before[name], r.newest[name] = r.newest[name], value
		}
	}
}

// act lets a device do something: connect ID, disconnect ID, report ID PATCH,
// answers ID STATUS PAYLOAD.
func (r *reader) act(t *testing.T, act string) {
	t.Helper()
	words := strings.SplitN(act, " ", 3)
	switch words[0] {
	case "connect":
		r.rig.connect(words[1])
	case "disconnect":
		r.rig.disconnect(t, words[1])
	case "answers":
		status, payload, _ := strings.Cut(words[2], " ")
		r.rig.answers(words[1], status, payload)
	case "report":
		r.rig.report(words[1], words[2])
	default:
		t.Fatalf("no device can %q", act)
	}
}

var repetition = regexp.MustCompile(`@rep:(.):(\d+)`)

// fill puts values in place of what stands for them.
func (r *reader) fill(text string) string {
	for name, value := range r.newest {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
		text = strings.ReplaceAll(text, "{"+name+" text}", strings.Trim(value, `"`))
	}
	for name, value := range r.before {
		text = strings.ReplaceAll(text, "{"+name+" before}", value)
	}
	return repetition.ReplaceAllStringFunc(text, func(m string) string {
		part := repetition.FindStringSubmatch(m)
		n, _ := strconv.Atoi(part[2])
		return strings.Repeat(part[1], n)
	})
}

// compose writes a request as bytes, with what it leaves out: the version, the
// token, and the length of the body.
func (r *reader) compose(e exchange) []byte {
	verb, target, _ := strings.Cut(r.fill(e.request[0]), " ")
	if !strings.Contains(target, "?") {
		target += "?api-version=2021-04-12"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", verb, target, hostName)
	policy, authorized, chunked := "iothubowner", false, false
	for _, line := range e.request[1:] {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "As":
			policy = value
			continue
		case "Authorization":
			authorized = true
			value = r.credentials(value)
		case "Transfer-Encoding":
			chunked = true
		}
		fmt.Fprintf(&b, "%s: %s\r\n", name, r.fill(value))
	}
	if !authorized {
		token := ""
		if name, ok := strings.CutPrefix(policy, "device "); ok {
			id, module, _ := strings.Cut(name, "/")
			token = r.rig.deviceToken(device.ID{Device: id, Module: module})
		} else {
			token = r.rig.goodToken(policy)
		}
		fmt.Fprintf(&b, "Authorization: %s\r\n", token)
	}
	switch body := ""; {
	case e.body == nil:
		b.WriteString("\r\n")
	case chunked:
		body = r.fill(*e.body)
		fmt.Fprintf(&b, "\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	default:
		body = r.fill(*e.body)
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	return b.Bytes()
}

// credentials makes the value of an Authorization header that is described.
func (r *reader) credentials(description string) string {
	soon := time.Now().Add(time.Hour)
	switch description {
	case "(expired)":
		return r.rig.token("iothubowner", hostName, time.Now().Add(-time.Hour))
	case "(of another hub)":
		return r.rig.token("iothubowner", "other.example.com", soon)
	case "(for one device)":
		return r.rig.token("iothubowner", hostName+"/devices/d1", soon)
	case "(wrong key)":
		good := r.rig.goodToken("service")
		return strings.Replace(good, "skn=service", "skn=iothubowner", 1)
	}
	return description
}

// answer is what came back, as it was spelled.
type answer struct {
	raw     string
	status  string
	headers map[string]string
	body    string
}

func send(t testing.TB, address string, request []byte) answer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A hub that never answers must fail the test rather than hold it up.
	conn.SetDeadline(time.Now().Add(time.Minute))
	// The hub may answer and close before it has read all of a large body.
	go conn.Write(request)
	raw, err := io.ReadAll(bufio.NewReader(conn))
	if len(raw) == 0 {
		t.Fatalf("no answer: %v", err)
	}
	a := answer{raw: string(raw), headers: map[string]string{}}
	head, body, _ := strings.Cut(a.raw, "\r\n\r\n")
	a.body = body
	lines := strings.Split(head, "\r\n")
	a.status = strings.Fields(lines[0])[1]
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		a.headers[name] = value
	}
	return a
}

// compare tells what is wrong with an answer, or "".
func (r *reader) compare(e exchange, got answer) string {
	status, code, _ := strings.Cut(e.answer[0], " ")
	if got.status != status {
		return "want status " + status
	}
	if have := got.headers["iothub-errorcode"]; have != code {
		return fmt.Sprintf("want iothub-errorcode %q", code)
	}
	for _, line := range e.answer[1:] {
		name, want, _ := strings.Cut(line, ": ")
		have, there := got.headers[name]
		if want == "(none)" && there || want != "(none)" && !matches(r.fill(want), have) {
			return fmt.Sprintf("want header %s: %s", name, want)
		}
	}
	if e.expected != nil && !matches(*e.expected, got.body) {
		return "want body " + *e.expected
	}
	return invariant(e, got)
}

// invariant checks what holds for every answer.
func invariant(e exchange, got answer) string {
	if !matches("{hex}", got.headers["x-ms-request-id"]) {
		return "want an x-ms-request-id"
	}
	declared := slices.ContainsFunc(e.answer, func(h string) bool { return strings.HasPrefix(h, "Content-Type: ") })
	if got.body == "" {
		if declared && got.headers["Content-Length"] == "0" {
			return ""
		}
		if got.status == "204" || strings.HasPrefix(e.request[0], "HEAD ") {
			return ""
		}
		return "want a body"
	}
	if !declared && (got.headers["Content-Type"] != "application/json; charset=utf-8" || !json.Valid([]byte(got.body))) {
		return "want a body of JSON, and so declared"
	}
	if got.headers["Content-Length"] != strconv.Itoa(len(got.body)) {
		return "want the body's Content-Length"
	}
	code := got.headers["iothub-errorcode"]
	if number, ok := fault.ByName(code); ok && strings.HasPrefix(got.body, `{"Message":"{`) {
		// Shape B in shape A, which methods have.
		if !matches(fmt.Sprintf(`{"Message":"{\"errorCode\":%d,\"message\":\"...\",\"trackingId\":\"%s-G2:-TimeStamp:...\",\"timestampUtc\":\"{time}\",\"info\":null}","ExceptionMessage":""}`, number, got.headers["x-ms-request-id"]), got.body) {
			return "want an error body of shape B in A that says the same as the headers"
		}
		return ""
	}
	if got.status >= "400" && code != "BulkRegistryOperationFailure" &&
		!matches(`{"Message":"ErrorCode:`+code+`;...","ExceptionMessage":"Tracking ID:`+got.headers["x-ms-request-id"]+`-G:0-TimeStamp:{stamp}"}`, got.body) {
		return "want an error body of shape A that says the same as the headers"
	}
	return ""
}

var placeholders = strings.NewReplacer(
	`\.\.\.`, `.*`,
	`\{time\}`, `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z`,
	`\{stamp\}`, `\d\d/\d\d/\d{4} \d\d:\d\d:\d\d`,
	`\{hex\}`, `[0-9a-f]{32}`,
	`\{key\}`, `[A-Za-z0-9+/]{43}=`,
	`\{etag\}`, `[A-Za-z0-9+/]+=*`,
	`\{digits\}`, `\d+`,
	`\{token\}`, `[A-Za-z0-9_.=-]+`,
)

// matches tells whether text has the form of pattern, which is literal but for
// the placeholders.
func matches(pattern, text string) bool {
	return regexp.MustCompile(`(?s)^` + placeholders.Replace(regexp.QuoteMeta(pattern)) + `$`).MatchString(text)
}
