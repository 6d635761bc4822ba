// Package blob speaks to a blob store with the interface of Azure Storage, for
// devices that upload files: it signs what lets a device write one blob for a
// while, and asks the store what has become of it. The bytes of the files never
// pass through the hub.
//
// Begin with [Open]. Azurite, the emulator of that service, is such a store.
package blob

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Store is a container of a blob store. It may be used by many goroutines.
type Store struct {
	account   string
	key       []byte
	endpoint  *url.URL // of the account
	container string
	http      *http.Client
}

// development is what UseDevelopmentStorage=true stands for: an emulator on this
// machine, whose account and key everybody knows.
const development = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
	"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
	"BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1"

var containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)

// askTimeout is how long the store may take to say what it has.
const askTimeout = 10 * time.Second

// Open makes a Store from the connection string of a storage account and the name
// of a container. It does not talk to the store.
func Open(connectionString, container string) (*Store, error) {
	if !containerName.MatchString(container) {
		return nil, fmt.Errorf("%q is no name of a container: 3 to 63 of a-z, 0-9 and single dashes", container)
	}
	part := map[string]string{}
	for _, field := range strings.Split(connectionString, ";") {
		name, value, ok := strings.Cut(field, "=")
		if !ok && field != "" {
			return nil, fmt.Errorf("the connection string of a storage account is made of NAME=VALUE and semicolons, and %.40q is not", field)
		}
		part[name] = value
	}
	if strings.EqualFold(part["UseDevelopmentStorage"], "true") {
		return Open(development, container)
	}
	key, err := base64.StdEncoding.DecodeString(part["AccountKey"])
	switch {
	case part["AccountName"] == "" || part["AccountKey"] == "":
		return nil, errors.New("the connection string of a storage account needs AccountName and AccountKey")
	case err != nil:
		return nil, errors.New("the AccountKey of the storage account is not base64")
	}
	text := part["BlobEndpoint"]
	if text == "" {
		protocol, suffix := part["DefaultEndpointsProtocol"], part["EndpointSuffix"]
		if protocol == "" {
			protocol = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		text = protocol + "://" + part["AccountName"] + ".blob." + suffix
	}
	endpoint, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" {
		return nil, fmt.Errorf("the BlobEndpoint %.100q of the storage account is no http or https URL", text)
	}
	return &Store{
		account: part["AccountName"], key: key, endpoint: endpoint, container: container,
		http: &http.Client{
			Timeout:       askTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Host is the host of the store, with its port if there is one.
func (s *Store) Host() string { return s.endpoint.Host }

// Container is the path of the container on that host. An emulator has the name
// of the account before it.
func (s *Store) Container() string {
	return strings.TrimPrefix(s.endpoint.Path+"/"+s.container, "/")
}

// URI is the address of a blob, without what lets anybody use it.
func (s *Store) URI(name string) string { return s.url(name).String() }

func (s *Store) url(name string) *url.URL { return s.endpoint.JoinPath(s.container, name) }

// signedVersion is the version of the service that the signature is made for.
const signedVersion = "2020-12-06"

// Sign gives the query that lets its bearer do something with one blob until
// expires: "r" is to read, "rw" to read and write. It begins with a question mark.
func (s *Store) Sign(name, permissions string, expires time.Time) string {
	end := expires.UTC().Format(time.RFC3339)
	resource := "/blob/" + s.account + "/" + s.container + "/" + name
	// The empty ones are: start, identifier, address, protocol; snapshot,
	// encryption scope; and five headers of the answer.
	text := strings.Join([]string{permissions, "", end, resource, "", "", "", signedVersion, "b", "", "", "", "", "", "", ""}, "\n")
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	query := url.Values{
		"sv": {signedVersion}, "sr": {"b"}, "sp": {permissions}, "se": {end},
		"sig": {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
	return "?" + query.Encode()
}

// ErrNoBlob is given for a blob that the store does not have.
var ErrNoBlob = errors.New("there is no such blob")

// Properties asks the store for the size of a blob, in bytes, and when it was last
// written. The error wraps ErrNoBlob if there is none.
func (s *Store) Properties(ctx context.Context, name string) (size int64, modified time.Time, err error) {
	target := s.url(name)
	target.RawQuery = strings.TrimPrefix(s.Sign(name, "r", time.Now().Add(time.Minute)), "?")
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, target.String(), nil)
	if err != nil {
		return 0, time.Time{}, err
	}
	req.Header.Set("x-ms-version", signedVersion)
	res, err := s.http.Do(req)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("ask the blob store: %w", err)
	}
	res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return 0, time.Time{}, fmt.Errorf("%w: %s", ErrNoBlob, name)
	default:
		return 0, time.Time{}, fmt.Errorf("the blob store answers %s for %s", res.Status, name)
	}
	modified, err = http.ParseTime(res.Header.Get("Last-Modified"))
	return res.ContentLength, modified, err
}
