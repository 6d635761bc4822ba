package document

import (
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/twin"
)

// Document is one twin as SELECT * and GET show it. It is a query.Document.
type Document struct {
	ID   device.ID
	Head Head
	Twin *twin.Twin
}

// Etag is the etag of the twin, without quotes.
func (d *Document) Etag() string { return d.Twin.Etag() }

// Key is the document's place in the order of its collection.
func (d *Document) Key() string { return RowKey(d.ID) }

// RowKey is the key of the document of id: device id, a zero byte, and module id.
// Keys are in the order of the ids, for no id has a zero byte.
func RowKey(id device.ID) string { return id.Device + "\x00" + id.Module }

// AppendJSON appends the whole document. It allocates nothing but room in dst.
func (d *Document) AppendJSON(dst []byte) []byte {
	dst = appendFields(append(dst, '{'), fields, d)
	dst = d.Twin.AppendSections(dst)
	return append(dst, '}')
}

// Lookup gives the JSON text at a path of canonical names, for queries. It is the
// text that AppendJSON shows there.
func (d *Document) Lookup(path []string) (json string, ok bool) {
	if len(path) > 0 && inTwin(path) {
		return d.Twin.Lookup(path)
	}
	b := d.AppendValue(make([]byte, 0, 48), path)
	return string(b), len(b) > 0
}

func inTwin(path []string) bool { return path[0] == "tags" || path[0] == "properties" }

// AppendValue appends what Lookup gives, nothing if there is no value.
func (d *Document) AppendValue(dst []byte, path []string) []byte {
	if len(path) == 0 {
		return dst
	}
	if inTwin(path) {
		json, _ := d.Twin.Lookup(path)
		return append(dst, json...)
	}
	f := find(fields, path[0])
	for _, name := range path[1:] {
		if f == nil {
			return dst
		}
		f = find(f.members, name)
	}
	if f == nil {
		return dst
	}
	return f.append(dst, d)
}

// AppendIDs appends the members "deviceId" and, of a module, "moduleId", without
// braces around them. The body of an event of a whole twin begins with them.
func AppendIDs(dst []byte, id device.ID) []byte {
	dst = appendFields(dst, fields[:2], &Document{ID: id})
	return dst[:len(dst)-1] // without the last comma
}
