package route

import (
	"cmp"
	"maps"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Webhook is an endpoint that is called over HTTP.
type Webhook struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Authorization is the value of that header, "" for none.
	Authorization string `json:"authorization,omitempty"`
	// Key signs what is sent, "" for no signature. After whsec_ it is base64.
	Key string `json:"signingKey,omitempty"`
	// Headers are sent along, beside those that the hub sets.
	Headers map[string]string `json:"headers,omitempty"`
	// RetryHours is how long an event is offered, 1 to 168; 0 means 24.
	RetryHours int `json:"retryHours,omitempty"`
}

// mapSecrets is w with each member that is not shown to readers as f makes it of its
// name and value.
func (w Webhook) mapSecrets(f func(name, value string) string) Webhook {
	w.Authorization = f("authorization", w.Authorization)
	w.Key = f("signingKey", w.Key)
	w.Headers = maps.Clone(w.Headers)
	for n, v := range w.Headers {
		w.Headers[n] = f("headers."+n, v)
	}
	return w
}

func (w *Webhook) check(field string, bad *complaints) {
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || len(w.URL) > 2048 {
		bad.add(field+".url", "%.100q is no address such as https://example.com/events", w.URL)
	}
	if !isHeaderValue(w.Authorization) {
		bad.add(field+".authorization", "it must be printable ASCII of up to %d bytes", maxHeaderValue)
	}
	if len(w.Key) > maxHeaderValue {
		bad.add(field+".signingKey", "it has up to %d bytes", maxHeaderValue)
	} else if key, err := signingKey(w.Key); err != nil || w.Key != "" && len(key) == 0 {
		bad.add(field+".signingKey", "after %s there must be base64; any other text is a key as it is", keyPrefix)
	}
	w.mapSecrets(func(name, value string) string {
		if value == hidden {
			bad.add(field+"."+name, "%s stands for a secret that the hub has, and it has none for this name and url: write it anew", hidden)
		}
		return value
	})
	if len(w.Headers) > maxHeaders {
		bad.add(field+".headers", "there are %d, and at most %d may be", len(w.Headers), maxHeaders)
	}
	for n, v := range w.Headers {
		if !name.MatchString(n) || hubsHeader(n) || !isHeaderValue(v) {
			bad.add(field+".headers", "%.70q: it can't be set, or not to this value", n)
		}
	}
	checkRetry(field, w.RetryHours, bad)
}

const (
	maxHeaders     = 16
	maxHeaderValue = 4096
)

func isHeaderValue(s string) bool {
	return len(s) <= maxHeaderValue && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// hubsHeader tells whether the hub sets a header itself, or HTTP does.
func hubsHeader(n string) bool {
	n = strings.ToLower(n)
	switch n {
	case "authorization", "host", "user-agent", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding", "te", "trailer", "upgrade", "expect":
		return true
	}
	return strings.HasPrefix(n, "webhook-") || strings.HasPrefix(n, "proxy-")
}

// File is an endpoint that writes files with an event on each line.
type File struct {
	Name string `json:"name"`
	// Directory is where, below the directory that the operator has allowed; ""
	// means Name.
	Directory string `json:"directory,omitempty"`
	// MaxBytes and MaxSeconds are when a new file is begun; 0 means 100 MiB, and an
	// hour.
	MaxBytes   int64 `json:"maxBytes,omitempty"`
	MaxSeconds int   `json:"maxSeconds,omitempty"`
	// RetryHours is how long an event is offered, 1 to 168; 0 means 24.
	RetryHours int `json:"retryHours,omitempty"`
}

// Bounds of files.
const (
	minFileBytes   = 64 << 10
	maxFileBytes   = 4 << 30
	minFileSeconds = 10
	maxFileSeconds = 7 * 24 * 3600

	usualFileBytes   = 100 << 20
	usualFileSeconds = 3600
)

func (f *File) check(field string, bad *complaints) {
	if f.Directory != "" && (!filepath.IsLocal(f.Directory) || len(f.Directory) > 512 || strings.ContainsFunc(f.Directory, func(r rune) bool { return r < ' ' })) {
		bad.add(field+".directory", "%.100q must be a path below the directory that the hub may write to, such as %q", f.Directory, "telemetry/raw")
	}
	if f.MaxBytes != 0 && (f.MaxBytes < minFileBytes || f.MaxBytes > maxFileBytes) {
		bad.add(field+".maxBytes", "it may be %d to %d", minFileBytes, int64(maxFileBytes))
	}
	if f.MaxSeconds != 0 && (f.MaxSeconds < minFileSeconds || f.MaxSeconds > maxFileSeconds) {
		bad.add(field+".maxSeconds", "it may be %d to %d", minFileSeconds, maxFileSeconds)
	}
	checkRetry(field, f.RetryHours, bad)
}

func checkRetry(field string, hours int, bad *complaints) {
	if hours < 0 || hours > maxRetryHours {
		bad.add(field+".retryHours", "it may be 1 to %d", maxRetryHours)
	}
}

const (
	usualRetryHours = 24
	maxRetryHours   = 7 * 24
)

func retryTime(hours int) time.Duration {
	return time.Duration(cmp.Or(hours, usualRetryHours)) * time.Hour
}
