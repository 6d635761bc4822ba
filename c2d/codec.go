package c2d

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The stored form of a queue. docs/formats/message.md draws it.
const (
	storedVersion = 1
	headSize      = 1 + 8
	entrySize     = 8 + 8 + 8 + 1 + 1 + 4 + 1 // without the message id

	deliveredFlag = 4 // besides the Ack
	maxIDSize     = 128
)

// ErrStored is wrapped by the error for bytes that are no stored queue.
var ErrStored = errors.New("not a stored queue")

// AppendBinary appends the stored form of q, which must not be nil.
func (q *Queue) AppendBinary(b []byte) []byte {
	b = append(b, storedVersion)
	b = binary.BigEndian.AppendUint64(b, q.last)
	for _, e := range q.entries {
		flags := byte(e.Ack)
		if e.Delivered {
			flags |= deliveredFlag
		}
		b = binary.BigEndian.AppendUint64(b, e.Sequence)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Enqueued.UnixNano()))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Expiry.UnixNano()))
		b = append(b, flags, byte(e.DeliveryCount))
		b = binary.BigEndian.AppendUint32(b, uint32(e.Size))
		b = append(append(b, byte(len(e.MessageID))), e.MessageID...)
	}
	return b
}

// Decode reads what AppendBinary wrote.
func Decode(stored []byte) (*Queue, error) {
	if len(stored) < headSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrStored, len(stored))
	}
	if v := stored[0]; v != storedVersion {
		return nil, fmt.Errorf("%w: version %d is not known", ErrStored, v)
	}
	q := &Queue{last: binary.BigEndian.Uint64(stored[1:])}
	before := uint64(0)
	for b := stored[headSize:]; len(b) > 0; {
		e, n, ok := decodeEntry(b)
		if !ok || e.Sequence <= before || e.Sequence > q.last || len(q.entries) == MaxDepth {
			return nil, fmt.Errorf("%w: entry %d is broken", ErrStored, len(q.entries)+1)
		}
		q.entries = append(q.entries, e)
		before, b = e.Sequence, b[n:]
	}
	return q, nil
}

// decodeEntry reads the entry that b begins with, and says how long it is.
func decodeEntry(b []byte) (e Entry, n int, ok bool) {
	if len(b) < entrySize {
		return Entry{}, 0, false
	}
	flags, id := b[24], int(b[30])
	n = entrySize + id
	if flags > deliveredFlag|byte(Full) || id > maxIDSize || n > len(b) {
		return Entry{}, 0, false
	}
	return Entry{
		Sequence:      binary.BigEndian.Uint64(b),
		Enqueued:      storedTime(b[8:]),
		Expiry:        storedTime(b[16:]),
		Ack:           Ack(flags) & Full,
		Delivered:     flags&deliveredFlag != 0,
		DeliveryCount: int(b[25]),
		Size:          int(binary.BigEndian.Uint32(b[26:])),
		MessageID:     string(b[entrySize:n]),
	}, n, true
}

func storedTime(b []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()
}
