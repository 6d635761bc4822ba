package hub

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/twin"
)

// BulkError is one item of a bulk request that failed.
type BulkError struct {
	ID        device.ID
	Operation device.ImportMode
	Fault     *fault.Error
}

// Bulk carries out the items, each by itself: those that can be done are done.
// Items about one device and its modules are carried out in their order. It
// returns the failures, in the order of the items. Twin data must keep to the
// rules.
func (h *Hub) Bulk(ctx context.Context, who auth.Principal, items []device.BulkItem, rules twin.Rules) ([]BulkError, error) {
	if err := who.May(auth.RegistryWrite); err != nil {
		return nil, err
	}
	of := map[string][]int{} // items of a device
	for i := range items {
		dev := items[i].Identity.ID.Device
		of[dev] = append(of[dev], i)
	}
	// Devices all at once, so that they share an fsync. ParseBulk bounds their
	// number.
	outcomes := make([]error, len(items))
	var done sync.WaitGroup
	for _, list := range of {
		done.Go(func() {
			for _, i := range list {
				outcomes[i] = h.bulkItem(ctx, items[i], rules, func() (*twin.Replacement, error) { return twinContent(items[i], rules) })
			}
		})
	}
	done.Wait()
	var failed []BulkError
	for i, err := range outcomes {
		if err != nil {
			failed = append(failed, BulkError{ID: items[i].Identity.ID, Operation: items[i].Mode, Fault: fault.Of(err)})
		}
	}
	return failed, nil
}

// bulkItem carries out one item. content gives the twin data that an identity
// brings along, or nil.
func (h *Hub) bulkItem(ctx context.Context, item device.BulkItem, rules twin.Rules, content func() (*twin.Replacement, error)) error {
	if item.Err != nil {
		return item.Err
	}
	id := item.Identity.ID
	if mode, c, ok := itemPut(item); ok {
		first, err := content()
		if err != nil {
			return err
		}
		_, err = h.put(ctx, item.Identity, mode, c, first)
		return err
	}
	switch item.Mode {
	case device.BulkDelete:
		return h.delete(ctx, id, Any)
	case device.BulkDeleteIfMatchEtag:
		return h.delete(ctx, id, mustMatch(item.Etag))
	case device.BulkUpdateTwin:
		return h.bulkTwin(ctx, item, rules, Any)
	case device.BulkUpdateTwinIfMatchEtag:
		return h.bulkTwin(ctx, item, rules, mustMatch(item.TwinEtag))
	}
	return fault.New(fault.ArgumentInvalid, "importMode %q is not known", item.Mode)
}

// itemPut gives the put that an item is, if its mode writes identities.
func itemPut(item device.BulkItem) (mode putMode, c Condition, ok bool) {
	switch item.Mode {
	case device.BulkCreate:
		return putNew, "", true
	case device.BulkUpdate:
		return putExisting, Any, true
	case device.BulkUpdateIfMatchEtag:
		return putExisting, mustMatch(item.Etag), true
	case device.BulkCreateOrUpdate:
		return putAny, Any, true
	case device.BulkCreateOrUpdateIfMatch:
		return putAny, mustMatch(item.Etag), true
	}
	return 0, "", false
}

// mustMatch is the condition of the …IfMatchETag modes: an item without an etag
// matches nothing.
func mustMatch(etag string) Condition {
	if etag == "" {
		return `""`
	}
	return Condition(etag)
}

func (h *Hub) bulkTwin(ctx context.Context, item device.BulkItem, rules twin.Rules, c Condition) error {
	p, err := itemPatch(item, rules)
	if err != nil {
		return err
	}
	_, err = h.mergeTwin(ctx, item.Identity.ID, p, c)
	return err
}

// itemPatch is the patch that an item in a mode of twins is.
func itemPatch(item device.BulkItem, rules twin.Rules) (*twin.Patch, error) {
	body, err := twinBody(item)
	if err != nil {
		return nil, err
	}
	return twin.ParsePatch(body, rules)
}

// twinContent is the twin data that an identity item brings along, or nil.
func twinContent(item device.BulkItem, rules twin.Rules) (*twin.Replacement, error) {
	if item.Tags == nil && item.Desired == nil {
		return nil, nil
	}
	body, err := twinBody(item)
	if err != nil {
		return nil, err
	}
	return twin.ParseReplacement(body, rules)
}

// twinBody puts the twin data of an item into the form of a twin request.
func twinBody(item device.BulkItem) ([]byte, error) {
	var body struct {
		Tags       json.RawMessage `json:"tags,omitempty"`
		Properties struct {
			Desired json.RawMessage `json:"desired,omitempty"`
		} `json:"properties"`
	}
	body.Tags, body.Properties.Desired = item.Tags, item.Desired
	return json.Marshal(body)
}
