package device

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"github.com/hubtwin/hubtwin/fault"
)

// MaxBulkItems is the greatest number of items of one bulk request.
const MaxBulkItems = 100

// ImportMode says what a bulk item does. Its text is the one of the wire.
type ImportMode string

// The modes of the service-rest-api sheet, 1.6.
const (
	BulkCreate                ImportMode = "create"
	BulkUpdate                ImportMode = "update"
	BulkUpdateIfMatchEtag     ImportMode = "updateIfMatchETag"
	BulkCreateOrUpdate        ImportMode = "createOrUpdate"
	BulkCreateOrUpdateIfMatch ImportMode = "createOrUpdateIfMatchETag"
	BulkDelete                ImportMode = "delete"
	BulkDeleteIfMatchEtag     ImportMode = "deleteIfMatchETag"
	BulkUpdateTwin            ImportMode = "updateTwin"
	BulkUpdateTwinIfMatchEtag ImportMode = "updateTwinIfMatchETag"
)

var importModes = []ImportMode{
	BulkCreate, BulkUpdate, BulkUpdateIfMatchEtag, BulkCreateOrUpdate, BulkCreateOrUpdateIfMatch,
	BulkDelete, BulkDeleteIfMatchEtag, BulkUpdateTwin, BulkUpdateTwinIfMatchEtag,
}

// writesIdentity tells whether the settings of an item in this mode are used.
func (m ImportMode) writesIdentity() bool {
	switch m {
	case BulkDelete, BulkDeleteIfMatchEtag, BulkUpdateTwin, BulkUpdateTwinIfMatchEtag:
		return false
	}
	return true
}

// BulkItem is one operation of a bulk request.
type BulkItem struct {
	Mode ImportMode
	// Identity is what the caller asks for, to be completed by [Create] or
	// [Replace]. Modes that don't write the identity fill the ID only.
	Identity Identity
	Etag     string // compare with EtagMatches, in the …IfMatchETag modes
	TwinEtag string // likewise, in updateTwinIfMatchETag
	// The parts of the twin, as raw JSON, unchecked. Nil if absent or null.
	Tags, Desired, Reported json.RawMessage
	// Err is the *fault.Error of an item that is in itself wrong. It fails
	// alone; the other items are carried out. Mode and Identity.ID are set as
	// far as they could be read.
	Err error
}

type bulkBody struct {
	ID         string          `json:"id"`
	ModuleID   string          `json:"moduleId"`
	Etag       string          `json:"eTag"`
	ImportMode string          `json:"importMode"`
	TwinEtag   string          `json:"twinETag"`
	Tags       json.RawMessage `json:"tags"`
	Properties struct {
		Desired  json.RawMessage `json:"desired"`
		Reported json.RawMessage `json:"reported"`
	} `json:"properties"`
	settings
}

// ParseBulk reads the body of POST /devices: a bare array of items
// (service-rest-api sheet, 1.6). An item with a bad id, mode or setting comes
// back with its Err set. The whole request fails with DeserializationError if
// it is not such an array, TooManyDevices beyond [MaxBulkItems] items, and
// DeviceDefinedMultipleTimes if two items name the same device or module.
func ParseBulk(body []byte) ([]BulkItem, error) {
	bodies, err := decodeBulk(body)
	if err != nil {
		return nil, err
	}
	items := make([]BulkItem, len(bodies))
	seen := make(map[ID]bool, len(bodies))
	for n := range bodies {
		items[n] = bodies[n].item()
		id := items[n].Identity.ID
		if seen[id] {
			return nil, fault.New(fault.DeviceDefinedMultipleTimes, "%q is named by more than one item", clip(id.String()))
		}
		seen[id] = id.Device != ""
	}
	return items, nil
}

// decodeBulk reads item by item, to stop at the first that is too many.
func decodeBulk(body []byte) ([]bulkBody, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, fault.New(fault.DeserializationError, "the body must be an array of devices")
	}
	var bodies []bulkBody
	for dec.More() {
		if len(bodies) == MaxBulkItems {
			return nil, fault.New(fault.TooManyDevices, "a bulk request has at most %d items", MaxBulkItems)
		}
		var b *bulkBody
		if err := dec.Decode(&b); err != nil {
			return nil, fault.New(fault.DeserializationError, "item %d: %w", len(bodies), err)
		}
		if b == nil {
			return nil, fault.New(fault.DeserializationError, "item %d: null is not a device", len(bodies))
		}
		bodies = append(bodies, *b)
	}
	_, closed := dec.Token()
	if _, after := dec.Token(); closed != nil || after != io.EOF {
		return nil, fault.New(fault.DeserializationError, "the array of devices does not end where the body ends")
	}
	return bodies, nil
}

func (b *bulkBody) item() BulkItem {
	item := BulkItem{
		Identity: Identity{ID: ID{Device: b.ID, Module: b.ModuleID}},
		Etag:     b.Etag,
		TwinEtag: b.TwinEtag,
		Tags:     notNull(b.Tags),
		Desired:  notNull(b.Properties.Desired),
		Reported: notNull(b.Properties.Reported),
	}
	if item.Mode, item.Err = parseImportMode(b.ImportMode); item.Err != nil {
		return item
	}
	id := item.Identity.ID
	if item.Err = id.Validate(); item.Err != nil || !item.Mode.writesIdentity() {
		return item
	}
	identity, err := b.identity(id)
	if err != nil {
		item.Err = err
		return item
	}
	item.Identity = identity
	return item
}

func parseImportMode(text string) (ImportMode, error) {
	if text == "" {
		return BulkCreateOrUpdate, nil
	}
	for _, m := range importModes {
		if strings.EqualFold(text, string(m)) {
			return m, nil
		}
	}
	return "", fault.New(fault.ArgumentInvalid, "importMode %q is not known", clip(text))
}

func notNull(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}
