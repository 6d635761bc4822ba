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

// firstRevision is that of all records of the log: nobody expects anything of
// them.
const firstRevision store.Revision = 1

// keyOf is the beginning of what belongs to a stream in a table; size more bytes
// fit behind it.
func keyOf(table byte, name string, size int) []byte {
	k := make([]byte, 0, len(name)+2+size)
	k = append(k, table)
	k = append(k, name...)
	return append(k, 0)
}

func keyGroup(name, group string) []byte {
	return append(keyOf(tableGroups, name, len(group)), group...)
}

func (p *partition) stateKey() []byte {
	return binary.BigEndian.AppendUint16(keyOf(tableLog, p.stream.name, 2), uint16(p.number))
}

const sequenceSize = 8

// key is that of an entry; size more bytes fit behind it.
func (p *partition) key(sequence uint64, size int) []byte {
	k := keyOf(tableEntries, p.stream.name, 2+sequenceSize+size)
	k = binary.BigEndian.AppendUint16(k, uint16(p.number))
	return binary.BigEndian.AppendUint64(k, sequence)
}

// all is the range of all entries.
func (p *partition) all() store.Range {
	first := p.key(0, 0)
	return prefixRange(first[:len(first)-sequenceSize])
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

// write is that of an entry which has no number yet. Its key and value share
// memory.
func (p *partition) write(body []byte) store.Write {
	b := p.key(0, headerSize+len(body))
	size := len(b)
	b = append(b, make([]byte, headerSize)...)
	b = append(b, body...)
	return store.Write{Key: b[:size:size], Value: b[size:], Revision: firstRevision}
}

// number says in the write of an entry where it stands.
func number(w *store.Write, s partitionState) {
	binary.BigEndian.PutUint64(w.Key[len(w.Key)-sequenceSize:], s.next)
	binary.BigEndian.PutUint64(w.Value, s.offset)
	binary.BigEndian.PutUint64(w.Value[8:], uint64(s.time))
}

var errDamaged = errors.New("a record of the event log is damaged")

// decodeEntry makes a Record whose body is part of value.
func decodeEntry(key, value []byte) (Record, error) {
	if len(key) < 2+sequenceSize || len(value) < headerSize {
		return Record{}, errDamaged
	}
	at := len(key) - sequenceSize
	return Record{
		Partition: int(binary.BigEndian.Uint16(key[at-2:])),
		Sequence:  binary.BigEndian.Uint64(key[at:]),
		Offset:    binary.BigEndian.Uint64(value),
		Time:      time.Unix(0, int64(binary.BigEndian.Uint64(value[8:]))).UTC(),
		Body:      value[headerSize:],
	}, nil
}

func decodePartitions(b []byte) (int, error) {
	if len(b) != 2 {
		return 0, errDamaged
	}
	if n := int(binary.BigEndian.Uint16(b)); n >= 1 && n <= MaxPartitions {
		return n, nil
	}
	return 0, errDamaged
}

// partitionState is where the next entry stands, and the time of the last one.
// It is stored when entries are forgotten, for there may be none left.
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
