package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// apiVersion is the version of the API that the client speaks.
const apiVersion = "2021-04-12"

// maxAnswer bounds what is read of an answer, in bytes. The largest that a hub
// gives, a page of a query, stays well below.
const maxAnswer = 64 << 20

// Options are what a client may be told beside its connection string. The zero
// Options are ready to use.
type Options struct {
	// RootCAs are the authorities that may vouch for the hub's certificate.
	// Nil means those of the system, to which SSL_CERT_FILE may add.
	RootCAs *x509.CertPool
}

// Client makes requests of one hub.
type Client struct {
	host   string // with the port if there is one
	tokens tokens
	http   *http.Client
	most   int64 // maxAnswer
}

// New makes a client for the hub that a shared access policy's connection
// string names (see [ParseConnectionString]). It does not talk to the hub yet.
func New(connectionString string, o Options) (*Client, error) {
	s, err := ParseConnectionString(connectionString)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}
	// All requests go to one host, and the usual two idle connections would
	// make parallel callers shake hands over and over.
	transport.MaxIdleConnsPerHost = 32
	return &Client{
		host:   s.HostName,
		tokens: tokens{secret: s},
		most:   maxAnswer,
		http: &http.Client{
			Transport: transport,
			// A hub does not redirect. Whoever does must not get the token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes the connections that no call uses. The client may be used again.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request is one call of the API.
type request struct {
	method string
	path   []string // segments, not escaped
	query  url.Values
	header http.Header
	body   []byte    // nil for none
	stream io.Reader // in place of body, of any length
}

func get(path ...string) request { return request{method: http.MethodGet, path: path} }

// do makes the call and decodes the answer's body into v, if v is not nil. It
// returns the answer's headers.
func (c *Client) do(ctx context.Context, r request, v any) (http.Header, error) {
	status, header, body, err := c.roundTrip(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case status < 200 || status > 299:
		return nil, newError(status, header, body)
	case v == nil, status == http.StatusNoContent:
		return header, nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return nil, fmt.Errorf("the answer of %s is not what a hub sends: %w", c.host, err)
	}
	return header, nil
}

func (c *Client) roundTrip(ctx context.Context, r request) (status int, h http.Header, body []byte, err error) {
	req, err := c.prepare(ctx, r)
	if err != nil {
		return 0, nil, nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, c.most+1))
	switch {
	case err != nil:
		return 0, nil, nil, fmt.Errorf("read the answer of %s: %w", c.host, err)
	case int64(len(body)) > c.most:
		return 0, nil, nil, fmt.Errorf("the answer of %s is larger than %d bytes", c.host, c.most)
	}
	return res.StatusCode, res.Header, body, nil
}

func (c *Client) prepare(ctx context.Context, r request) (*http.Request, error) {
	token, err := c.tokens.current(time.Now())
	if err != nil {
		return nil, err
	}
	var body io.Reader = bytes.NewReader(r.body)
	if r.stream != nil {
		body = io.NopCloser(r.stream) // hides what it is, and with that its length
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.url(r), body)
	if err != nil {
		return nil, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", token)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return req, nil
}

func (c *Client) url(r request) string {
	query := url.Values{"api-version": {apiVersion}}
	for name, values := range r.query {
		query[name] = values
	}
	path := ""
	for _, segment := range r.path {
		path += "/" + url.PathEscape(segment)
	}
	return "https://" + c.host + path + "?" + query.Encode()
}

// ifMatch is the header for the condition that a thing has this etag, or only
// that it exists.
func ifMatch(etag string) http.Header {
	if etag == "" {
		return http.Header{"If-Match": {"*"}}
	}
	return http.Header{"If-Match": {`"` + etag + `"`}}
}
