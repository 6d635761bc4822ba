package hub

import (
	"bytes"

	"github.com/hubtwin/hubtwin/device"
)

// Everything the hub stores about one identity stands together under
//
//	'd' device 0x00 module 0x00 part
//
// so that one short scan reads it, and a walk over the whole table meets
// devices and their modules in the order of queries (deviceId, then moduleId,
// by bytes). Ids hold no 0x00. The layout is drawn in docs/formats/store.md.
const (
	tableHub      = 'h' // 'h' name: settings of the hub itself
	tableDevices  = 'd'
	tablePolicies = 'p' // 'p' name: shared access policies
	tableUploads  = 'u' // 'u' device 0x00 module 0x00 correlation id: uploads in progress
	// 'j' belongs to package job, 'e', 'g' and 'l' to package eventlog

	partIdentity      = 'i'
	partTwin          = 't'
	partConnection    = 'c'
	partSubscriptions = 's'
)

var (
	keySecret = []byte{tableHub, 's', 'e', 'c', 'r', 'e', 't'}
	keyEpoch  = []byte{tableHub, 'e', 'p', 'o', 'c', 'h'}
)

func keyPolicy(name string) []byte { return append([]byte{tablePolicies}, name...) }

func keyUpload(id device.ID, correlation string) []byte {
	k := keyPrefix(id)
	k[0] = tableUploads
	return append(k, correlation...)
}

// keyPrefix is what all parts of one identity begin with.
func keyPrefix(id device.ID) []byte {
	k := make([]byte, 0, len(id.Device)+len(id.Module)+4)
	k = append(k, tableDevices)
	k = append(k, id.Device...)
	k = append(k, 0)
	k = append(k, id.Module...)
	return append(k, 0)
}

func keyPart(id device.ID, part byte) []byte { return append(keyPrefix(id), part) }

// afterPrefix is the first key behind every key that begins with prefix.
func afterPrefix(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	end[len(end)-1]++ // a prefix ends with 0x00 or a table letter
	return end
}

// splitKey takes a key of the device table apart.
func splitKey(key []byte) (id device.ID, part byte, ok bool) {
	if len(key) < 5 || key[0] != tableDevices {
		return id, 0, false
	}
	dev, rest, ok := bytes.Cut(key[1:], []byte{0})
	if !ok {
		return id, 0, false
	}
	mod, rest, ok := bytes.Cut(rest, []byte{0})
	if !ok || len(rest) != 1 {
		return id, 0, false
	}
	return device.ID{Device: string(dev), Module: string(mod)}, rest[0], true
}
