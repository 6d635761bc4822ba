package twin

// Object is the members of an object of a twin, in the order of their arrival.
// It is for reading, and lasts as long as its twin.
type Object struct{ members []node }

// Tags is what the back end keeps for itself, without metadata.
func (t *Twin) Tags() Object { return Object{t.tags.members} }

// Desired is the desired properties without $metadata and $version.
func (t *Twin) Desired() Object { return Object{t.desired.members} }

// Reported is the reported properties without $metadata and $version.
func (t *Twin) Reported() Object { return Object{t.reported.members} }

// Len is the number of members.
func (o Object) Len() int { return len(o.members) }

// Member gives the member at i, which must be below Len: its key, decoded, and
// the JSON text of a scalar or an array as it was written, without white space;
// or "" for an object, which then is kids.
func (o Object) Member(i int) (key, json string, kids Object) {
	n := &o.members[i]
	return n.key, n.raw, Object{n.kids}
}
