package document

import "strconv"

// field is a member of the document outside of tags and properties. One table of
// fields serves AppendJSON, Lookup and the lists of paths, so that they cannot
// disagree.
type field struct {
	name string
	from source
	// text appends the JSON text, or nothing if the document has no such member.
	text func([]byte, *Document) []byte
	// members make up an object, which has no text of its own. An object without
	// members is not there.
	members []field
	label   string // the name as JSON has it, and the colon
}

// source is the part of a document that a field follows from.
type source byte

const (
	ofID source = iota + 1
	ofHead
	ofTwin
)

// fields is in the order of the document.
var fields = labelled([]field{
	{name: "deviceId", from: ofID, text: func(b []byte, d *Document) []byte { return appendString(b, d.ID.Device) }},
	{name: "moduleId", from: ofID, text: func(b []byte, d *Document) []byte { return appendIfAny(b, d.ID.Module) }},
	{name: "modelId", from: ofHead, text: func(b []byte, d *Document) []byte { return appendIfAny(b, d.Head.ModelID) }},
	{name: "etag", from: ofTwin, text: func(b []byte, d *Document) []byte { return append(d.Twin.AppendEtag(append(b, '"')), '"') }},
	{name: "deviceEtag", from: ofHead, text: func(b []byte, d *Document) []byte { return appendString(b, d.Head.DeviceEtag) }},
	{name: "status", from: ofHead, text: func(b []byte, d *Document) []byte { return appendString(b, d.Head.Status) }},
	{name: "statusReason", from: ofHead, text: func(b []byte, d *Document) []byte { return appendIfAny(b, d.Head.StatusReason) }},
	{name: "statusUpdateTime", from: ofHead, text: func(b []byte, d *Document) []byte { return appendTime(b, d.Head.StatusUpdated) }},
	{name: "connectionState", from: ofHead, text: func(b []byte, d *Document) []byte { return appendString(b, d.Head.connectionState()) }},
	{name: "lastActivityTime", from: ofHead, text: func(b []byte, d *Document) []byte { return appendTime(b, d.Head.LastActivity) }},
	{name: "cloudToDeviceMessageCount", from: ofHead, text: func(b []byte, d *Document) []byte {
		return strconv.AppendInt(b, int64(d.Head.CloudToDeviceMessageCount), 10)
	}},
	{name: "authenticationType", from: ofHead, text: func(b []byte, d *Document) []byte { return appendString(b, d.Head.AuthenticationType) }},
	{name: "x509Thumbprint", members: []field{
		{name: "primaryThumbprint", from: ofHead, text: func(b []byte, d *Document) []byte { return appendOrNull(b, d.Head.PrimaryThumbprint) }},
		{name: "secondaryThumbprint", from: ofHead, text: func(b []byte, d *Document) []byte { return appendOrNull(b, d.Head.SecondaryThumbprint) }},
	}},
	{name: "version", from: ofTwin, text: func(b []byte, d *Document) []byte { return strconv.AppendInt(b, d.Twin.Version(), 10) }},
	{name: "capabilities", members: []field{
		{name: "iotEdge", from: ofHead, text: appendIoTEdge},
	}},
	{name: "deviceScope", from: ofHead, text: func(b []byte, d *Document) []byte { return appendIfAny(b, d.Head.DeviceScope) }},
	{name: "parentScopes", from: ofHead, text: func(b []byte, d *Document) []byte { return append(b, d.Head.ParentScopes...) }},
})

// appendIoTEdge appends nothing for a module: only devices have capabilities.
func appendIoTEdge(dst []byte, d *Document) []byte {
	if d.ID.IsModule() {
		return dst
	}
	return strconv.AppendBool(dst, d.Head.IoTEdge)
}

// labelled gives each field its label.
func labelled(list []field) []field {
	for i := range list {
		list[i].label = `"` + list[i].name + `":`
		labelled(list[i].members)
	}
	return list
}

// appendFields appends those of list that d has, each with a comma behind it.
func appendFields(dst []byte, list []field, d *Document) []byte {
	for i := range list {
		before := len(dst)
		dst = append(dst, list[i].label...)
		value := len(dst)
		dst = list[i].append(dst, d)
		if len(dst) == value {
			dst = dst[:before]
			continue
		}
		dst = append(dst, ',')
	}
	return dst
}

// append appends the value of the field, or nothing if d has none.
func (f *field) append(dst []byte, d *Document) []byte {
	if f.text != nil {
		return f.text(dst, d)
	}
	before := len(dst)
	dst = appendFields(append(dst, '{'), f.members, d)
	if len(dst) == before+1 {
		return dst[:before]
	}
	dst[len(dst)-1] = '}' // where the last comma was
	return dst
}

// find is the field with a name, or nil.
func find(list []field, name string) *field {
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
}

// The paths to all values outside of tags, desired and reported properties that
// are no objects, by what they follow from: identity and connection, or the twin.
// Those that follow from the ids are in neither list. $metadata, which has as many
// paths as the sections, is not there either.
var (
	HeadPaths = pathsFrom(ofHead, nil, fields)
	TwinPaths = append(pathsFrom(ofTwin, nil, fields),
		[]string{"properties", "desired", "$version"},
		[]string{"properties", "reported", "$version"})
)

func pathsFrom(from source, above []string, list []field) (paths [][]string) {
	for i := range list {
		f := &list[i]
		path := append(above[:len(above):len(above)], f.name)
		switch {
		case f.members != nil:
			paths = append(paths, pathsFrom(from, path, f.members)...)
		case f.from == from:
			paths = append(paths, path)
		}
	}
	return paths
}
