// Package job runs the service's import and export jobs: the whole registry from
// or to a file in a container, in the background, one at a time.
//
// What an import or export does is the hub's; here are the records of jobs, which
// survive a restart, and the containers: a folder that the operator has named, or
// a container of a blob store, by a URI that carries the right to it. Scheduled
// jobs (/jobs/v2) are not here.
//
//	enqueued ──▶ running ──▶ completed
//	                 ├─────▶ failed      also if the hub ends meanwhile
//	                 └─────▶ cancelled
//
// Begin at [Manager].
package job

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// Type says what a job does. Its text is that of the wire.
type Type string

const (
	Import Type = "import"
	Export Type = "export"
)

// Status is where a job stands. Its text is that of the wire.
type Status string

const (
	Enqueued  Status = "enqueued"
	Running   Status = "running"
	Completed Status = "completed"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

func (s Status) ended() bool { return s != Enqueued && s != Running }

// Record is what is known of a job. URIs are not kept: they are secrets.
type Record struct {
	ID             string
	Type           Type
	Status         Status
	Progress       int       // percent
	Started, Ended time.Time // Ended is zero before
	Reason         string    // why it failed
	Input, Output  string    // names of blobs
	NoKeys         bool      // excludeKeysInExport
}

// AppendJSON appends the record as the API shows it (REST sheet, 6.4).
func (r Record) AppendJSON(dst []byte) []byte {
	form := struct {
		ID       string  `json:"jobId"`
		Started  string  `json:"startTimeUtc"`
		Ended    *string `json:"endTimeUtc"`
		Type     Type    `json:"type"`
		Status   Status  `json:"status"`
		Progress int     `json:"progress"`
		Input    string  `json:"inputBlobName,omitempty"`
		Output   string  `json:"outputBlobName,omitempty"`
		NoKeys   bool    `json:"excludeKeysInExport"`
		Storage  string  `json:"storageAuthenticationType"`
		Reason   *string `json:"failureReason"`
	}{ID: r.ID, Started: device.FormatTime(r.Started), Type: r.Type, Status: r.Status, Progress: r.Progress,
		Input: r.Input, Output: r.Output, NoKeys: r.NoKeys, Storage: "keyBased"}
	if !r.Ended.IsZero() {
		text := device.FormatTime(r.Ended)
		form.Ended = &text
	}
	if r.Reason != "" {
		form.Reason = &r.Reason
	}
	b, err := json.Marshal(form)
	if err != nil {
		panic(err) // it holds nothing that can't be written
	}
	return append(dst, b...)
}

// Request is what a caller asks for.
type Request struct {
	Type                       Type
	InputURI, OutputURI        string
	Input, Output              string // names of blobs
	NoKeys                     bool
	ManagedIdentityForStorages bool
}

// The blobs of a job, unless the caller names others.
const (
	defaultBlob = "devices.txt"
	errorsBlob  = "importErrors.log"
)

// maxURI bounds the URI of a container, in bytes.
const maxURI = 8 << 10

// ParseRequest reads the body of POST /jobs/create. Failures:
// DeserializationError, and ArgumentInvalid for a type or name that can't be.
func ParseRequest(body []byte) (Request, error) {
	var b *struct {
		Type                      string `json:"type"`
		InputBlobContainerURI     string `json:"inputBlobContainerUri"`
		OutputBlobContainerURI    string `json:"outputBlobContainerUri"`
		InputBlobName             string `json:"inputBlobName"`
		OutputBlobName            string `json:"outputBlobName"`
		ExcludeKeysInExport       bool   `json:"excludeKeysInExport"`
		StorageAuthenticationType string `json:"storageAuthenticationType"`
	}
	if err := json.Unmarshal(body, &b); err != nil || b == nil {
		return Request{}, fault.New(fault.DeserializationError, "the body is not a job")
	}
	r := Request{
		Type:     Type(strings.ToLower(b.Type)),
		InputURI: b.InputBlobContainerURI, OutputURI: b.OutputBlobContainerURI,
		Input: b.InputBlobName, Output: b.OutputBlobName,
		NoKeys:                     b.ExcludeKeysInExport,
		ManagedIdentityForStorages: strings.EqualFold(b.StorageAuthenticationType, "identityBased"),
	}
	switch r.Type {
	case Import:
		r.Input, r.Output = orDefault(r.Input, defaultBlob), errorsBlob
	case Export:
		r.Input, r.Output = "", orDefault(r.Output, defaultBlob)
	default:
		return Request{}, fault.New(fault.ArgumentInvalid, "the type of a job is import or export")
	}
	for _, name := range []string{r.Input, r.Output} {
		if !isBlobName(name) && name != "" {
			return Request{}, fault.New(fault.ArgumentInvalid, "a blob is named by up to 256 printable characters without .. and backslashes")
		}
	}
	return r, nil
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func isBlobName(s string) bool {
	bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == '\ufffd' }
	return len(s) <= 256 && !strings.ContainsFunc(s, bad) && !strings.Contains(s, "..") && !strings.HasPrefix(s, "/")
}
