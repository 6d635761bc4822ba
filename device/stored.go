package device

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The stored form is described in docs/formats/identity.md: a version byte, a
// flag byte, a type byte, a time, and length-prefixed texts.
const (
	storedVersion = 1

	flagDisabled = 1 << 0
	flagIoTEdge  = 1 << 1
	flagsKnown   = flagDisabled | flagIoTEdge

	// maxTicks is the last tick of the year 9999.
	maxTicks = 3155378975999999999
)

// storedTypes gives each authentication type its byte. Only ever append.
var storedTypes = [...]AuthenticationType{SAS, SelfSigned, CertificateAuthority, None}

var errStored = errors.New("decode identity: not the stored form of an identity")

// Encode appends the stored form of i to dst. Times keep 100 ns.
func Encode(dst []byte, i Identity) []byte {
	var flags byte
	if i.Status == Disabled {
		flags |= flagDisabled
	}
	if i.IoTEdge {
		flags |= flagIoTEdge
	}
	dst = append(dst, storedVersion, flags, storedType(i.Authentication.Type))
	dst = binary.AppendUvarint(dst, uint64(ticks(i.StatusUpdatedTime)))
	for _, s := range i.texts() {
		dst = appendText(dst, *s)
	}
	dst = binary.AppendUvarint(dst, uint64(len(i.ParentScopes)))
	for _, s := range i.ParentScopes {
		dst = appendText(dst, s)
	}
	return dst
}

// Decode reads what Encode wrote. It does not keep b. Bytes that are not the
// stored form, or that a later version wrote, are an error without a fault
// code: they mean a broken or newer store, not a mistake of the caller.
func Decode(b []byte) (Identity, error) {
	if len(b) < 3 {
		return Identity{}, errStored
	}
	version, flags, authType := b[0], b[1], int(b[2])
	if version != storedVersion {
		return Identity{}, fmt.Errorf("decode identity: version %d is not known", version)
	}
	if flags&^flagsKnown != 0 || authType >= len(storedTypes) {
		return Identity{}, errStored
	}
	i := Identity{Status: Enabled, IoTEdge: flags&flagIoTEdge != 0}
	if flags&flagDisabled != 0 {
		i.Status = Disabled
	}
	i.Authentication.Type = storedTypes[authType]
	r := reader{whole: string(b[3:]), rest: b[3:]}
	t := r.uvarint(maxTicks)
	i.StatusUpdatedTime = fromTicks(int64(t))
	for _, s := range i.texts() {
		*s = r.text()
	}
	// Each scope takes a byte at least, so the count can't ask for more memory
	// than the record has bytes.
	if n := r.uvarint(uint64(len(r.rest))); n > 0 {
		i.ParentScopes = make([]string, n)
		for k := range i.ParentScopes {
			i.ParentScopes[k] = r.text()
		}
	}
	if r.bad || len(r.rest) > 0 {
		return Identity{}, errStored
	}
	return i, nil
}

// texts lists the text fields in stored order. Only a new version may change it.
func (i *Identity) texts() []*string {
	a := &i.Authentication
	return []*string{
		&i.ID.Device, &i.ID.Module, &i.GenerationID, &i.Etag, &i.StatusReason,
		&a.PrimaryKey, &a.SecondaryKey, &a.PrimaryThumbprint, &a.SecondaryThumbprint,
		&i.DeviceScope, &i.ManagedBy,
	}
}

func storedType(t AuthenticationType) byte {
	for n, known := range storedTypes {
		if t == known {
			return byte(n)
		}
	}
	panic(fmt.Sprintf("encode identity: authentication type %q", t))
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// reader takes a record apart. After the first mistake it is bad and gives
// zeros.
type reader struct {
	whole string // the record; texts are parts of it, since a copy of each would cost more
	rest  []byte // what is to be read of it
	bad   bool
}

func (r *reader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > most {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) text() string {
	n := r.uvarint(uint64(len(r.rest)))
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return ""
	}
	s := r.whole[len(r.whole)-len(r.rest):][:n]
	r.rest = r.rest[n:]
	return s
}
