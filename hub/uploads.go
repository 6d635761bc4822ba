package hub

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/blob"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/eventlog"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/store"
)

// Limits of file uploads (device-protocol sheet, 8 and 9.3).
const (
	maxUploads  = 10        // in progress, of a device
	uploadTime  = time.Hour // for which a device may write its blob
	maxBlobName = 1024      // characters, with the id of the device before it

	// An upload that was never ended is remembered for a day: so a device that
	// comes late hears that it is too late.
	uploadMemory = 24 * time.Hour
	uploadSweep  = 10 * time.Minute
)

// FileNotifications is the stream in the event log that tells of files.
const FileNotifications = "filenotifications"

// notificationTime is how long back ends have to read of a file.
const notificationTime = time.Hour

// Upload is what a device needs to write a file to the blob store.
type Upload struct {
	CorrelationID string `json:"correlationId"`
	HostName      string `json:"hostName"`
	ContainerName string `json:"containerName"`
	BlobName      string `json:"blobName"`
	SASToken      string `json:"sasToken"`
}

// uploadRecord is an upload in progress in its stored form.
type uploadRecord struct {
	BlobName   string    `json:"blobName"`
	Generation string    `json:"generationId"` // of the identity: another life has nothing to do with it
	Expires    time.Time `json:"expires"`
}

// BeginUpload lets the device write a blob of that name, below its own id, for an
// hour. A device has up to ten uploads in progress.
func (h *Hub) BeginUpload(ctx context.Context, who auth.Principal, id device.ID, name string) (Upload, error) {
	s, err := h.uploader(who, id)
	if err != nil {
		return Upload{}, err
	}
	name = id.String() + "/" + name
	if err := checkBlobName(name); err != nil {
		return Upload{}, err
	}
	// One at a time, so that none slips past the count.
	h.uploads.Lock()
	defer h.uploads.Unlock()
	at := now()
	n, err := h.uploadsOf(id, s.identity.GenerationID, at)
	if err != nil {
		return Upload{}, err
	}
	if n >= maxUploads {
		return Upload{}, fault.New(fault.DeviceMaximumActiveFileUploads, "%q has %d uploads in progress; notify the hub of those that have ended", id, n)
	}
	correlation := rand.Text()
	record, err := json.Marshal(uploadRecord{name, s.identity.GenerationID, at.Add(uploadTime)})
	if err != nil {
		return Upload{}, err
	}
	if _, err := store.CommitBatch(ctx, h.store, store.Batch{Writes: []store.Write{{
		Key: keyUpload(id, correlation), Value: record, Revision: store.NewRevision(),
	}}}); err != nil {
		return Upload{}, outcome(err)
	}
	return Upload{
		CorrelationID: correlation, HostName: h.blobs.Host(), ContainerName: h.blobs.Container(),
		BlobName: name, SASToken: h.blobs.Sign(name, "rw", at.Add(uploadTime)),
	}, nil
}

// uploader finds out whether an identity may upload files.
func (h *Hub) uploader(who auth.Principal, id device.ID) (*state, error) {
	if err := who.MayActAs(id); err != nil {
		return nil, err
	}
	s, err := h.heads.read(id)
	if err != nil {
		return nil, err
	}
	if err := mayConnect(s, who); err != nil {
		return nil, err
	}
	if h.blobs == nil {
		return nil, fault.New(fault.StorageEndpointNotConfigured, "the hub was started without a blob store; give it one with --blob-storage")
	}
	return s, nil
}

func checkBlobName(name string) error {
	switch {
	case strings.HasSuffix(name, "/"):
		return fault.New(fault.ArgumentInvalid, "blobName is missing, or ends with a slash")
	case !utf8.ValidString(name) || strings.ContainsAny(name, "\\\x00\r\n"):
		return fault.New(fault.ArgumentInvalid, "blobName has characters that a blob must not have")
	case utf8.RuneCountInString(name) > maxBlobName:
		return fault.New(fault.ArgumentInvalid, "blobName has more than %d characters with the device id before it", maxBlobName)
	}
	for _, part := range strings.Split(name, "/") {
		if part == "." || part == ".." || part == "" {
			return fault.New(fault.ArgumentInvalid, "blobName has a part that is empty, or made of dots")
		}
	}
	return nil
}

// uploadsOf counts the uploads in progress of one life of an identity.
func (h *Hub) uploadsOf(id device.ID, generation string, at time.Time) (n int, err error) {
	v, err := h.store.View()
	if err != nil {
		return 0, outcome(err)
	}
	defer v.Close()
	prefix := keyUpload(id, "")
	for e, err := range v.Scan(prefix, afterPrefix(prefix)) {
		if err != nil {
			return 0, err
		}
		var r uploadRecord
		if err := json.Unmarshal(e.Value, &r); err != nil {
			return 0, fmt.Errorf("read upload: %w", err)
		}
		if r.Generation == generation && at.Before(r.Expires) {
			n++
		}
	}
	return n, nil
}

// EndUpload ends an upload. If the device says that it has succeeded, back ends
// hear of the file once the blob store confirms it. Faults are
// InvalidFileUploadCorrelationID and ExpiredFileUploadCorrelationID.
func (h *Hub) EndUpload(ctx context.Context, who auth.Principal, id device.ID, correlation string, success bool) error {
	s, err := h.uploader(who, id)
	if err != nil {
		return err
	}
	key, record, r, err := h.upload(id, correlation)
	if err != nil {
		return err
	}
	if r.Generation != s.identity.GenerationID {
		return noUpload(correlation)
	}
	if now().After(r.Expires) {
		return fault.New(fault.ExpiredFileUploadCorrelationID, "the upload %.100q ended at %s", correlation, r.Expires.Format(time.RFC3339))
	}
	b := store.Batch{
		Expect: []store.Expectation{{Key: key, Revision: record.Revision}},
		Writes: []store.Write{{Key: key}},
	}
	var entries []eventlog.Entry
	if success {
		if entries, err = h.fileNotification(ctx, id, s, r); err != nil {
			return err
		}
	}
	decided := make(chan error, 1)
	h.events.Submit(b, entries, func(_ store.Position, err error) { decided <- err })
	select {
	case err = <-decided:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if errors.Is(err, store.ErrConflict) {
		return noUpload(correlation) // two ends met
	}
	return outcome(err)
}

func noUpload(correlation string) error {
	return fault.New(fault.InvalidFileUploadCorrelationID, "there is no upload with the correlation id %.100q", correlation)
}

func (h *Hub) upload(id device.ID, correlation string) (key []byte, record store.Record, r uploadRecord, err error) {
	if len(correlation) > 100 || strings.ContainsRune(correlation, 0) {
		return nil, record, r, noUpload(correlation)
	}
	v, err := h.store.View()
	if err != nil {
		return nil, record, r, outcome(err)
	}
	defer v.Close()
	key = keyUpload(id, correlation)
	record, ok, err := v.Get(key)
	switch {
	case err != nil:
		return nil, record, r, err
	case !ok:
		return nil, record, r, noUpload(correlation)
	}
	return key, record, r, json.Unmarshal(record.Value, &r)
}

// fileNotification tells back ends of a file (messaging-and-auth sheet, 3.3).
func (h *Hub) fileNotification(ctx context.Context, id device.ID, s *state, r uploadRecord) ([]eventlog.Entry, error) {
	size, modified, err := h.blobs.Properties(ctx, r.BlobName)
	switch {
	case errors.Is(err, blob.ErrNoBlob):
		return nil, fault.New(fault.ArgumentInvalid, "the blob store has no blob %q; upload it before you notify the hub", r.BlobName)
	case err != nil:
		return nil, fault.New(fault.ServiceUnavailable, "the blob store did not tell of %q; try again", r.BlobName).Because(err)
	}
	at := now()
	body, err := json.Marshal(struct {
		DeviceID    string `json:"deviceId"`
		URI         string `json:"blobUri"`
		Name        string `json:"blobName"`
		LastUpdated string `json:"lastUpdatedTime"`
		Size        int64  `json:"blobSizeInBytes"`
		Enqueued    string `json:"enqueuedTimeUtc"`
	}{id.Device, h.blobs.URI(r.BlobName), r.BlobName, device.FormatTime(modified), size, device.FormatTime(at)})
	if err != nil {
		return nil, err
	}
	e := message.Event{
		Message:  message.Message{System: message.System{message.ContentType: "application/json", message.ContentEncoding: "utf-8"}, Body: body},
		DeviceID: id.Device, ModuleID: id.Module, GenerationID: s.identity.GenerationID, Enqueued: at,
	}
	return []eventlog.Entry{{Stream: FileNotifications, Key: id.Device, Time: at, Body: e.AppendBinary(nil)}}, nil
}

// sweepUploads forgets uploads whose time is long over, until ctx ends.
func (h *Hub) sweepUploads(ctx context.Context) {
	tick := time.NewTicker(uploadSweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := h.forgetUploads(ctx, now()); err != nil && ctx.Err() == nil {
				h.log.Error("forget old uploads", slog.Any("error", err))
			}
		}
	}
}

// forgetUploads deletes those whose time was over a day before at, a thousand of
// them at most.
func (h *Hub) forgetUploads(ctx context.Context, at time.Time) error {
	v, err := h.store.View()
	if err != nil {
		return err
	}
	defer v.Close()
	var b store.Batch
	for e, err := range v.Scan([]byte{tableUploads}, []byte{tableUploads + 1}) {
		if err != nil {
			return err
		}
		var r uploadRecord
		if json.Unmarshal(e.Value, &r) != nil || at.Sub(r.Expires) > uploadMemory {
			b.Writes = append(b.Writes, store.Write{Key: append([]byte(nil), e.Key...)})
		}
		if len(b.Writes) == 1000 {
			break
		}
	}
	if len(b.Writes) == 0 {
		return nil
	}
	_, err = store.CommitBatch(ctx, h.store, b)
	return err
}
