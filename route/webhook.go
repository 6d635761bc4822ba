package route

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/message"
)

// Bounds of a call.
const (
	// CallTime is how long a webhook may take for its answer, the connect
	// included.
	CallTime = 30 * time.Second
	// maxAnswer is how many bytes of an answer are read: for the log.
	maxAnswer = 4 << 10
)

// caller is a webhook in use. A call is a POST whose body is a JSON array of
// events; its id and signature have the form of the Standard Webhooks
// specification.
type caller struct {
	settings *Webhook
	hubName  string
	key      []byte // nil for no signature
	client   http.Client
}

func newCaller(w *Webhook, hubName string, via http.RoundTripper) *caller {
	if via == nil {
		via = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: CallTime / 3}).DialContext,
			TLSHandshakeTimeout:    CallTime / 3,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           1,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	c := &caller{settings: w, hubName: hubName, client: http.Client{
		Transport: via,
		// Another address than the one that was configured, and perhaps allowed,
		// gets nothing.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if w.Key != "" {
		c.key, _ = signingKey(w.Key) // checked with the configuration
	}
	return c
}

// keyPrefix marks a key that is base64, as Standard Webhooks writes keys. Any
// other text is the key itself.
const keyPrefix = "whsec_"

func signingKey(text string) ([]byte, error) {
	if coded, ok := strings.CutPrefix(text, keyPrefix); ok {
		return base64.StdEncoding.DecodeString(coded)
	}
	return []byte(text), nil
}

// Deliver makes one call. Each status of 2xx is consent. 400, 413 and 422 speak of
// the body, which will be no better the next time.
func (c *caller) Deliver(ctx context.Context, events []message.Stored) error {
	body := []byte{'['}
	for i := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = events[i].AppendJSON(body)
	}
	body = append(body, ']')
	ctx, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	c.setHeaders(r.Header, events, body)
	answer, err := c.client.Do(r)
	if err != nil {
		return withoutAddress(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch status := answer.StatusCode; {
	case status >= 200 && status < 300:
		return nil // whatever became of the rest of the answer
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: status %d, %.200q", ErrRefused, status, text)
	case err != nil:
		return fmt.Errorf("status %d, and then: %w", status, err)
	default:
		return fmt.Errorf("status %d, %.200q", status, text)
	}
}

// withoutAddress is an error of a call for logs and dead letters: addresses of
// webhooks often have a secret in them.
func withoutAddress(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

func (c *caller) setHeaders(h http.Header, events []message.Stored, body []byte) {
	for n, v := range c.settings.Headers {
		h.Set(n, v)
	}
	if c.settings.Authorization != "" {
		h.Set("Authorization", c.settings.Authorization)
	}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "hubtwin")
	id, at := c.id(events), strconv.FormatInt(time.Now().Unix(), 10)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", at)
	if c.key != nil {
		mac := hmac.New(sha256.New, c.key)
		fmt.Fprintf(mac, "%s.%s.", id, at)
		mac.Write(body)
		h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
}

// id is the same whenever the same events are offered, and for no others: the
// time tells an endpoint from one of that name that was removed.
func (c *caller) id(events []message.Stored) string {
	first, last := &events[0], &events[len(events)-1]
	return fmt.Sprintf("%s-%s-%d-%d-%x", c.hubName, c.settings.Name, first.Sequence, last.Sequence, first.Enqueued.UnixNano())
}

// Close closes connections that wait for the next call.
func (c *caller) Close() error {
	c.client.CloseIdleConnections()
	return nil
}
