package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/client"
)

// asker sends queries to a hub over HTTPS and hands out answers as they came:
// unlike package client it takes no time to decode them. It is for one
// goroutine, and has one connection, which stays open.
type asker struct {
	http        *http.Client
	base, token string
	body        bytes.Buffer
}

func (h *hubProcess) asker() (*asker, error) {
	s, err := client.ParseConnectionString(h.connectionString)
	if err != nil {
		return nil, err
	}
	token, err := auth.Sign("localhost", s.SharedAccessKey, s.SharedAccessKeyName, time.Now().Add(24*time.Hour))
	if err != nil {
		return nil, err
	}
	return &asker{
		http: &http.Client{Transport: &http.Transport{
			TLSClientConfig:    &tls.Config{RootCAs: h.roots},
			DisableCompression: true,
		}},
		base: "https://" + s.HostName, token: token,
	}, nil
}

func (a *asker) close() { a.http.CloseIdleConnections() }

// An answer is a page as it came. Its body is good until the next call.
type answer struct {
	status       int
	body         []byte
	continuation string
	took         time.Duration // from the request to the last byte
}

func (a *asker) post(ctx context.Context, path, text string, header http.Header) (answer, error) {
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path+"?api-version=2021-04-12", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", a.token)
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	res, err := a.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a.body.Reset()
	if _, err := io.Copy(&a.body, res.Body); err != nil {
		return answer{}, err
	}
	return answer{res.StatusCode, a.body.Bytes(), res.Header.Get("x-ms-continuation"), time.Since(began)}, nil
}

// page asks for one page of at most size rows; 0 leaves the size to the hub.
func (a *asker) page(ctx context.Context, text string, size int, continuation string) (answer, error) {
	h := http.Header{}
	if size > 0 {
		h.Set("x-ms-max-item-count", strconv.Itoa(size))
	}
	if continuation != "" {
		h.Set("x-ms-continuation", continuation)
	}
	ans, err := a.post(ctx, "/devices/query", text, h)
	if err == nil && ans.status != http.StatusOK {
		err = fmt.Errorf("%s: HTTP %d: %s", text, ans.status, ans.body)
	}
	return ans, err
}

// rows reads the whole answer to a question, or the one page that it is about.
func (a *asker) rows(ctx context.Context, q question) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for continuation := ""; ; {
		size := q.Page
		if size == 0 {
			size = 1000
		}
		ans, err := a.page(ctx, q.Hub, size, continuation)
		if err != nil {
			return nil, err
		}
		var rows []json.RawMessage
		if err := json.Unmarshal(ans.body, &rows); err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if continuation = ans.continuation; continuation == "" || q.Page > 0 {
			return all, nil
		}
	}
}

// explain gives the time that the hub itself takes to find the rows of a query,
// or !ok if this hub does not tell.
func (a *asker) explain(ctx context.Context, text string) (took time.Duration, ok bool, err error) {
	ans, err := a.post(ctx, "/$hubtwin/explain", text, nil)
	if err != nil || ans.status != http.StatusOK {
		return 0, false, err
	}
	var plan struct{ Microseconds int64 }
	if err := json.Unmarshal(ans.body, &plan); err != nil {
		return 0, false, err
	}
	return time.Duration(plan.Microseconds) * time.Microsecond, true, nil
}

// eachDocument gives the twins of all devices, as the hub shows them.
func eachDocument(ctx context.Context, hub *asker, twins int, progress io.Writer, f func(row []byte) error) error {
	watched, stop := context.WithCancel(ctx)
	defer stop()
	var done atomic.Int64
	go report(watched, progress, "documents read", &done, twins)
	for continuation := ""; ; {
		ans, err := hub.page(ctx, "SELECT * FROM devices", 1000, continuation)
		if err != nil {
			return err
		}
		var rows []json.RawMessage
		if err := json.Unmarshal(ans.body, &rows); err != nil {
			return err
		}
		for _, row := range rows {
			if err := f(row); err != nil {
				return err
			}
		}
		done.Add(int64(len(rows)))
		if continuation = ans.continuation; continuation == "" {
			return nil
		}
	}
}
