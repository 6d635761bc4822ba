package hub

import (
	"bytes"
	"encoding/binary"
	"time"

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
	tableHub         = 'h' // 'h' name: settings of the hub itself
	tableDevices     = 'd'
	tablePolicies    = 'p' // 'p' name: shared access policies
	tableAuthorities = 'a' // 'a' name: certificate authorities
	tableUploads     = 'u' // 'u' device 0x00 module 0x00 correlation id: uploads in progress
	// 'j' belongs to package job, 'e', 'g' and 'l' to package eventlog

	tableBodies   = 'b' // 'b' device 0x00 module 0x00 sequence(8): messages that wait
	tableExpiries = 'x' // 'x' time(8) device 0x00 module 0x00 sequence(8): when they expire
	tableOutcomes = 'o' // 'o' number(8): feedback that is in no message yet
	tableFeedback = 'f' // 'f' number(8): messages of feedback

	partIdentity      = 'i'
	partTwin          = 't'
	partConnection    = 'c'
	partSubscriptions = 's'
	partQueue         = 'q' // of messages that wait for the identity
	partModules       = 'm' // of a device: the ids of its modules
)

var (
	keySecret = []byte{tableHub, 's', 'e', 'c', 'r', 'e', 't'}
	keyEpoch  = []byte{tableHub, 'e', 'p', 'o', 'c', 'h'}

	keyRouting = []byte{tableHub, 'r', 'o', 'u', 't', 'i', 'n', 'g'}
)

// appendNumber ends a key by a number, so that keys are in its order.
func appendNumber(key []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(key, n) }

func keyBody(id device.ID, sequence uint64) []byte {
	k := keyPrefix(id)
	k[0] = tableBodies
	return appendNumber(k, sequence)
}

func keyExpiry(at time.Time, id device.ID, sequence uint64) []byte {
	k := appendNumber([]byte{tableExpiries}, uint64(at.UnixNano()))
	return appendNumber(append(k, keyPrefix(id)[1:]...), sequence)
}

// splitExpiry takes a key of the table of expiries apart.
func splitExpiry(key []byte) (at time.Time, id device.ID, ok bool) {
	if len(key) < 1+8+3+8 {
		return at, id, false
	}
	at = time.Unix(0, int64(binary.BigEndian.Uint64(key[1:]))).UTC()
	id, ok = splitIDs(key[9 : len(key)-8])
	return at, id, ok
}

// splitBody gives the identity whose message a key of the table of bodies is of.
func splitBody(key []byte) (id device.ID, ok bool) {
	if len(key) < 1+3+8 || key[0] != tableBodies {
		return id, false
	}
	return splitIDs(key[1 : len(key)-8])
}

// splitIDs reads device 0x00 module 0x00.
func splitIDs(b []byte) (id device.ID, ok bool) {
	dev, rest, _ := bytes.Cut(b, []byte{0})
	mod, rest, ok := bytes.Cut(rest, []byte{0})
	return device.ID{Device: string(dev), Module: string(mod)}, ok && len(rest) == 0
}

func keyPolicy(name string) []byte { return append([]byte{tablePolicies}, name...) }

func keyAuthority(name string) []byte { return append([]byte{tableAuthorities}, name...) }

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
