package hub

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"time"
)

// connectionRecord is what is kept of an identity's connection.
type connectionRecord struct {
	Connected bool      `json:"connected"`
	Epoch     uint64    `json:"epoch"` // of the run of the hub that wrote it
	Since     time.Time `json:"since"` // when Connected last changed
	Activity  time.Time `json:"activity"`
	ModelID   string    `json:"modelId,omitempty"`
}

var errConnection = errors.New("hub: damaged stored form of a connection")

// The stored form is drawn in docs/formats/store.md.
const (
	connectionVersion = 1
	connectedFlag     = 1
	never             = math.MinInt64 // the zero time
)

// append appends the stored form.
func (r *connectionRecord) append(dst []byte) []byte {
	var flags byte
	if r.Connected {
		flags |= connectedFlag
	}
	dst = append(dst, connectionVersion, flags)
	dst = binary.AppendUvarint(dst, r.Epoch)
	for _, t := range []time.Time{r.Since, r.Activity} {
		at := int64(never)
		if !t.IsZero() {
			at = t.UnixNano()
		}
		dst = binary.LittleEndian.AppendUint64(dst, uint64(at))
	}
	return append(dst, r.ModelID...)
}

// decodeConnection reads what append wrote, or the JSON that the first versions
// wrote. It keeps nothing of b.
func decodeConnection(b []byte) (r connectionRecord, err error) {
	if len(b) > 0 && b[0] == '{' {
		err = json.Unmarshal(b, &r)
		return r, err
	}
	if len(b) < 2 || b[0] != connectionVersion || b[1]&^connectedFlag != 0 {
		return r, errConnection
	}
	r.Connected = b[1] == connectedFlag
	epoch, n := binary.Uvarint(b[2:])
	if n <= 0 || len(b) < 2+n+16 {
		return r, errConnection
	}
	r.Epoch = epoch
	b = b[2+n:]
	for i, t := range []*time.Time{&r.Since, &r.Activity} {
		if at := int64(binary.LittleEndian.Uint64(b[8*i:])); at != never {
			*t = time.Unix(0, at).UTC()
		}
	}
	r.ModelID = string(b[16:])
	return r, nil
}
