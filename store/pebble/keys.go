package pebble

import (
	"encoding/binary"
	"fmt"

	"github.com/hubtwin/hubtwin/store"
)

// The tables of the store, each a first byte of its keys. docs/formats/store.md
// draws them.
const (
	metaTable   = 0x00
	eventTable  = 0x01
	recordTable = 0x02
	endOfTables = 0x03
)

var (
	formatKey   = []byte{metaTable, 'f', 'o', 'r', 'm', 'a', 't'}
	idKey       = []byte{metaTable, 'i', 'd'}
	positionKey = []byte{metaTable, 'p', 'o', 's', 'i', 't', 'i', 'o', 'n'}
)

const (
	eventKeySize = 1 + 8 + 4
	revisionSize = 8 // in front of each record's value
)

// recordKey is where the record of a user's key stands.
func recordKey(key []byte) []byte {
	k := make([]byte, 1+len(key))
	k[0] = recordTable
	copy(k[1:], key)
	return k
}

// putEventKey writes the key of the index-th event of a commit to k, which has
// eventKeySize bytes.
func putEventKey(k []byte, at store.Position, index int) {
	k[0] = eventTable
	binary.BigEndian.PutUint64(k[1:], uint64(at))
	binary.BigEndian.PutUint32(k[9:], uint32(index))
}

// eventsFrom is the least key of the events of commits from at on.
func eventsFrom(at store.Position) []byte {
	k := make([]byte, eventKeySize)
	putEventKey(k, at, 0)
	return k
}

func parseEventKey(k []byte) (at store.Position, index int, err error) {
	if len(k) != eventKeySize {
		return 0, 0, fmt.Errorf("store: event key of %d bytes is damaged", len(k))
	}
	return store.Position(binary.BigEndian.Uint64(k[1:])), int(binary.BigEndian.Uint32(k[9:])), nil
}

// parseRecord takes a stored value apart. The record's value aliases stored.
func parseRecord(stored []byte) (store.Record, error) {
	if len(stored) < revisionSize {
		return store.Record{}, fmt.Errorf("store: record of %d bytes is damaged", len(stored))
	}
	return store.Record{
		Revision: store.Revision(binary.BigEndian.Uint64(stored)),
		Value:    stored[revisionSize:],
	}, nil
}
