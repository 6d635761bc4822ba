package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/hubtwin/hubtwin/store"
)

// The log's part of the store; docs/formats/store.md draws it.
//
//	'e' stream 0x00 partition(2) sequence(8)   an entry
//	'g' stream 0x00 group                      where a group of readers is
//	'l' stream 0x00 partition(2)               where a partition goes on that has no entries
//	'l' 0x00                                   how many partitions the built-in stream has
const (
	tableEntries = 'e'
	tableGroups  = 'g'
	tableLog     = 'l'
)

var keyPartitions = []byte{tableLog, 0}

func keyOf(table byte, name string, size int) []byte {
	k := make([]byte, 0, len(name)+2+size)
	k = append(k, table)
	k = append(k, name...)
	return append(k, 0)
}

func keyStream(name string) []byte { return keyOf(tableEntries, name, 0) }

func keyPartition(name string, number int) []byte {
	return binary.BigEndian.AppendUint16(keyOf(tableEntries, name, 2), uint16(number))
}

func keyEntry(name string, number int, sequence uint64) []byte {
	k := binary.BigEndian.AppendUint16(keyOf(tableEntries, name, 10), uint16(number))
	return binary.BigEndian.AppendUint64(k, sequence)
}

func keyGroup(name, group string) []byte {
	return append(keyOf(tableGroups, name, len(group)), group...)
}

func keyState(name string, number int) []byte {
	return binary.BigEndian.AppendUint16(keyOf(tableLog, name, 2), uint16(number))
}

// prefixRange is all keys that begin with prefix, which does not end with 0xff
// only.
func prefixRange(prefix []byte) store.Range {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; ; i-- {
		if end[i]++; end[i] != 0 {
			return store.Range{Start: prefix, End: end[:i+1]}
		}
	}
}

// headerSize is what stands before the body of an entry: its offset and its
// enqueued time, Unix nanoseconds.
const headerSize = 16

func encodeEntry(offset uint64, time int64, body []byte) []byte {
	v := make([]byte, headerSize, headerSize+len(body))
	binary.BigEndian.PutUint64(v, offset)
	binary.BigEndian.PutUint64(v[8:], uint64(time))
	return append(v, body...)
}

var errDamaged = errors.New("an entry of the event log is damaged")

// decodeEntry makes a Record whose body is part of value.
func decodeEntry(key, value []byte) (Record, error) {
	if len(key) < 10 || len(value) < headerSize {
		return Record{}, errDamaged
	}
	return Record{
		Partition: int(binary.BigEndian.Uint16(key[len(key)-10:])),
		Sequence:  binary.BigEndian.Uint64(key[len(key)-8:]),
		Offset:    binary.BigEndian.Uint64(value),
		Time:      time.Unix(0, int64(binary.BigEndian.Uint64(value[8:]))).UTC(),
		Body:      value[headerSize:],
	}, nil
}

// partitionState says where a partition goes on when all its entries have been
// forgotten.
type partitionState struct {
	next, offset uint64
	time         int64
}

func (s partitionState) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.next)
	b = binary.BigEndian.AppendUint64(b, s.offset)
	return binary.BigEndian.AppendUint64(b, uint64(s.time))
}

func decodeState(b []byte) (s partitionState, err error) {
	if len(b) != 24 {
		return s, errDamaged
	}
	return partitionState{
		binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), int64(binary.BigEndian.Uint64(b[16:])),
	}, nil
}
