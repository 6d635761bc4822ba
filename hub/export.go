package hub

import (
	"context"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
)

// ExportOptions say what an export leaves out.
type ExportOptions struct {
	// NoKeys leaves out symmetric keys. Whoever imports such lines has the hub
	// make new ones.
	NoKeys bool
}

// Export gives emit a line for every identity: JSON in the form that [Hub.Import]
// reads, without a line break (REST sheet, 6.4). All of them are of one moment.
// A device stands before its modules, devices in the order of their ids. emit must
// not keep the line. An error of emit, or the end of ctx, ends the export.
//
// The memory taken does not depend on the number of identities. What the store
// would like to forget stays on disk until emit has had the last line.
func (h *Hub) Export(ctx context.Context, who auth.Principal, o ExportOptions, emit func(line []byte) error) error {
	if err := who.May(auth.RegistryRead); err != nil {
		return err
	}
	v, err := h.store.View()
	if err != nil {
		return outcome(err)
	}
	defer v.Close()
	var line []byte
	for row, err := range storedRows(v) {
		if err != nil {
			return outcome(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := row.state()
		row.done()
		if err != nil {
			return err
		}
		if !s.registered() {
			continue
		}
		line = appendLine(line[:0], s, o)
		if err := emit(line); err != nil {
			return err
		}
	}
	return nil
}

// appendLine appends the line of one identity. A system module comes into being
// with its device, so that only its twin is there to import.
func appendLine(dst []byte, s *state, o ExportOptions) []byte {
	dst = device.AppendLine(dst, *s.identity, s.twin.Etag(), !o.NoKeys)
	dst[len(dst)-1] = ',' // in place of the closing brace
	dst = s.twin.AppendSections(dst)
	return append(dst, '}')
}
