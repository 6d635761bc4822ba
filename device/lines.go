package device

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"

	"github.com/hubtwin/hubtwin/fault"
)

// MaxLine is the greatest length of one line of an import, in bytes. The line
// of a twin that is as large as may be, with its metadata, is shorter.
const MaxLine = 8 << 20

// Line is one line of an import.
type Line struct {
	Number int64 // from 1; blank lines count
	Size   int   // bytes of the line; of one that is too long, those that were kept
	Item   BulkItem
}

// Lines reads the lines of an import: JSON objects, each a bulk item as
// [ParseBulk] reads them (service-rest-api sheet, 6.4). A line that is wrong in
// itself comes back with its Item's Err set, which is DeserializationError for
// what is no such object and MessageTooLarge for a line longer than [MaxLine];
// reading goes on behind it. Blank lines are passed over, and so is the first
// line if it begins with a letter: exports without keys begin with a sentence.
//
// The error is that of r, and ends the lines.
func Lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		b := bufio.NewReaderSize(r, 64<<10)
		var room []byte
		for number := int64(1); ; number++ {
			text, long, err := readLine(b, room[:0])
			if err != nil && err != io.EOF {
				yield(Line{}, err)
				return
			}
			if cap(text) <= keptRoom {
				room = text
			}
			text = bytes.TrimSpace(text)
			if number == 1 {
				text = bytes.TrimPrefix(text, []byte("\ufeff"))
			}
			if len(text) > 0 && !(number == 1 && isLetter(text[0])) {
				line := Line{Number: number, Size: len(text)}
				if long {
					line.Item.Err = fault.New(fault.MessageTooLarge, "a line has at most %d bytes", MaxLine)
				} else {
					line.Item = parseLine(text)
				}
				if !yield(line, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// keptRoom is how much memory is used again from line to line, in bytes.
const keptRoom = 1 << 20

// readLine appends the next line to room, up to MaxLine bytes of it, and passes
// all of it. The last line may lack its end. The error is io.EOF behind it.
func readLine(b *bufio.Reader, room []byte) (line []byte, long bool, err error) {
	for {
		piece, err := b.ReadSlice('\n')
		if len(room)+len(piece) <= MaxLine+1 {
			room = append(room, piece...)
		} else {
			long = true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return room, long, err
		}
	}
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// parseLine reads one item. It keeps no part of text.
func parseLine(text []byte) BulkItem {
	var b *bulkBody
	if err := json.Unmarshal(text, &b); err != nil {
		item := BulkItem{Err: fault.New(fault.DeserializationError, "the line is not an item: %w", err)}
		if b != nil {
			item.Identity.ID = ID{Device: b.ID, Module: b.ModuleID}
		}
		return item
	}
	if b == nil {
		return BulkItem{Err: fault.New(fault.DeserializationError, "null is not a device")}
	}
	return b.item()
}

// lineJSON is the first part of a line of an export: all but the twin.
type lineJSON struct {
	ID             string             `json:"id"`
	ModuleID       string             `json:"moduleId,omitempty"`
	ImportMode     ImportMode         `json:"importMode,omitempty"`
	Etag           string             `json:"eTag"`
	Status         Status             `json:"status"`
	StatusReason   string             `json:"statusReason,omitempty"`
	ManagedBy      string             `json:"managedBy,omitempty"`
	Authentication authenticationJSON `json:"authentication"`
	Capabilities   *capabilitiesJSON  `json:"capabilities,omitempty"`
	DeviceScope    string             `json:"deviceScope,omitempty"`
	ParentScopes   []string           `json:"parentScopes,omitempty"`
	TwinEtag       string             `json:"twinETag"`
}

// AppendLine appends what a line of an export says of an identity (service-rest-api
// sheet, 6.4), as a JSON object. Without keys, those it has are null.
func AppendLine(dst []byte, i Identity, twinEtag string, keys bool) []byte {
	if !keys {
		i.Authentication.PrimaryKey, i.Authentication.SecondaryKey = "", ""
	}
	line := lineJSON{
		ID: i.ID.Device, ModuleID: i.ID.Module, Etag: i.Etag,
		Status: i.Status, StatusReason: i.StatusReason, ManagedBy: i.ManagedBy,
		Authentication: i.Authentication.form(),
		DeviceScope:    i.DeviceScope, ParentScopes: i.ParentScopes, TwinEtag: twinEtag,
	}
	if i.ID.IsSystem() {
		line.ImportMode = BulkUpdateTwin
	}
	if !i.ID.IsModule() {
		line.Capabilities = &capabilitiesJSON{i.IoTEdge}
	}
	b, err := json.Marshal(line)
	if err != nil {
		panic(err) // it holds nothing that can't be written
	}
	return append(dst, b...)
}
