package route

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/message"
)

// Endpoint takes events out of the hub. It is for one goroutine.
type Endpoint interface {
	// Deliver hands over events, in their order. Without an error all of them
	// are where they belong, for good. If the error wraps ErrRefused, the other
	// side has seen them and will never take them together as they are. After any
	// other error they may be offered again; some of them may have arrived.
	Deliver(ctx context.Context, events []message.Stored) error
	// Close releases what the endpoint holds.
	Close() error
}

// ErrRefused is wrapped by the error for events that will never be taken.
var ErrRefused = errors.New("refused")

// Outside is what endpoints may reach, in the word of whoever runs the hub. The
// zero value lets webhooks call every host, and nothing write a file.
type Outside struct {
	// Files is the directory below which endpoints write; "" is none.
	Files string
	// Hosts are those that webhooks may call: a name or address, or *.example.com
	// for all names that end so. Empty means all.
	Hosts []string
	// DeadLetters is the directory for events that an endpoint did not take; "" is
	// none.
	DeadLetters string
	// Transport carries requests to webhooks; nil means one for each webhook,
	// with bounds for everything.
	Transport http.RoundTripper
}

// Custom is a custom endpoint of a configuration.
type Custom struct {
	Name string
	Kind string        // "webhook" or "file"
	For  time.Duration // how long an event is offered

	webhook *Webhook
	file    *File
}

// Custom lists the custom endpoints.
func (c Config) Custom() []Custom {
	var list []Custom
	for i := range c.Endpoints.Webhooks {
		w := &c.Endpoints.Webhooks[i]
		list = append(list, Custom{Name: w.Name, Kind: "webhook", For: retryTime(w.RetryHours), webhook: w})
	}
	for i := range c.Endpoints.Files {
		f := &c.Endpoints.Files[i]
		list = append(list, Custom{Name: f.Name, Kind: "file", For: retryTime(f.RetryHours), file: f})
	}
	return list
}

// Equal tells whether two endpoints have the same settings.
func (c Custom) Equal(d Custom) bool { return reflect.DeepEqual(c, d) }

// Check tells which endpoints of c reach for what they must not. The fault is
// ArgumentInvalid and names each member that is wrong.
func (o Outside) Check(c Config) error {
	var bad complaints
	for i := range c.Endpoints.Webhooks {
		if err := o.mayCall(&c.Endpoints.Webhooks[i]); err != nil {
			bad.add(fmt.Sprintf("endpoints.webhooks[%d].url", i), "%v", err)
		}
	}
	if len(c.Endpoints.Files) > 0 && o.Files == "" {
		bad.add("endpoints.files", "%v", errNoFiles)
	}
	return bad.err()
}

var errNoFiles = errors.New("this hub writes no files; its operator may name a directory for them (--route-files)")

func (o Outside) mayCall(w *Webhook) error {
	u, err := url.Parse(w.URL)
	if err != nil {
		return err
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	for _, allowed := range o.Hosts {
		allowed = strings.ToLower(allowed)
		if host == allowed || strings.HasPrefix(allowed, "*.") && strings.HasSuffix(host, allowed[1:]) {
			return nil
		}
	}
	if len(o.Hosts) == 0 {
		return nil
	}
	return fmt.Errorf("this hub calls no webhook on %.100q; its operator may allow it (--webhook-host)", host)
}

// Open readies an endpoint of a hub of that name. One that can't be had says why
// whenever it is given something: the operator may have changed his mind since it
// was configured, and a hub must start without it.
func (o Outside) Open(c Custom, hubName string) Endpoint {
	if c.webhook != nil {
		if err := o.mayCall(c.webhook); err != nil {
			return unavailable{err}
		}
		return newCaller(c.webhook, hubName, o.Transport)
	}
	if o.Files == "" {
		return unavailable{errNoFiles}
	}
	return o.newWriter(c.file)
}

// unavailable is an endpoint that can't be had.
type unavailable struct{ err error }

func (u unavailable) Deliver(context.Context, []message.Stored) error { return u.err }
func (u unavailable) Close() error                                    { return nil }

// directory is where a file endpoint writes, below Outside.Files.
func (f *File) directory() string {
	if f.Directory == "" {
		return f.Name
	}
	return path.Clean(filepath.ToSlash(f.Directory))
}
