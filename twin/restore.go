package twin

import (
	"strconv"
	"time"
)

// ParseImport reads the twin of one line of an import: tags, desired and
// reported are each the JSON text of an object, or nil if the line has none. As
// in a PUT, tags and desired that are nil are replaced by nothing; reported
// that are nil stay as they are. $metadata and $version are kept where they are
// given (service-rest-api sheet, 6.4); members without metadata count as written
// now. It takes time and memory in proportion to the texts, and keeps no part of
// them.
//
// Errors: IotHubFormatError for what is not JSON, ArgumentInvalid for what a
// twin may not hold, and for metadata that is none.
func ParseImport(tags, desired, reported []byte, r Rules) (*Replacement, error) {
	all := &Replacement{held: len(tags) + len(desired) + len(reported)}
	var err error
	if all.tags, err = parseKept(tags, "tags", r); err != nil {
		return nil, err
	}
	if all.desired, err = parseKept(desired, "desired", r); err != nil {
		return nil, err
	}
	if all.reported, err = parseKept(reported, "reported", r); err != nil {
		return nil, err
	}
	return all, nil
}

// Restore makes the twin of an identity created at now from an import. Unlike
// [Twin.Replace] it takes each $version as it is given: nobody has seen another
// one. The error is ArgumentInvalid, for a section that is too large.
func Restore(r *Replacement, now time.Time) (*Twin, *Change, error) {
	t, change, err := New(now).Replace(r, now)
	if err != nil {
		return nil, nil, err
	}
	if n := r.desired.kept.number; n != 0 {
		t.desired.version = n
	}
	if n := r.reported.kept.number; n != 0 {
		t.reported.version = n
	}
	return t, change, nil
}

// keep gives the section the stamp it had, and its $version unless that would go
// back: devices tell news from old by it.
func (s *section) keep(k kept) {
	if k.at != 0 {
		s.stamp = k.stamp
	}
	s.version = max(s.version, k.number)
}

// parseKept reads a section of an import.
func parseKept(text []byte, name string, r Rules) (part, error) {
	if text == nil {
		return part{}, nil
	}
	p := parser{scanner: scanner{text: string(text)}, rules: r}
	var s part
	switch p.begin() {
	case '{':
		s = p.section(name)
	default:
		p.refuseSection()
	}
	if err := p.finish(); err != nil || name == "tags" {
		return s, err
	}
	return s, s.readKept(p.metadata, p.version, name == "desired")
}

// readKept reads the texts of $metadata and $version; "" and null are none. Only
// nodes of desired have a $lastUpdatedVersion.
func (s *part) readKept(metadata, version string, desired bool) error {
	if metadata != "" && metadata != null {
		p := parser{scanner: scanner{text: metadata}}
		s.kept.stamp = p.stamps(s.members, desired)
		if err := p.finish(); err != nil {
			return err
		}
	}
	if version != "" && version != null {
		p := parser{scanner: scanner{text: version}}
		s.kept.number = p.counter("$version")
		return p.finish()
	}
	return nil
}

// stamps reads the metadata of an object, gives its members their stamps, and
// returns the object's own. It goes no deeper than the members do; the rest, as
// that of arrays, is passed.
func (p *parser) stamps(members []node, desired bool) (own stamp) {
	if p.peek() != '{' {
		p.refuse("$metadata must be an object with $lastUpdated and an object for each property.")
		return own
	}
	f := finder{members: members}
	for more := p.first('}'); more; more = p.more('}') {
		switch key := p.key(); key {
		case "$lastUpdated":
			own.at = p.time()
		case "$lastUpdatedVersion":
			if n := p.counter(key); desired {
				own.version = n
			}
		default:
			if at := f.find(key); at >= 0 {
				members[at].stamp = p.stamps(members[at].kids, desired)
			} else {
				p.skip()
			}
		}
	}
	return own
}

// time reads a time of metadata.
func (p *parser) time() int64 {
	raw := ""
	if p.peek() == '"' {
		raw, _ = p.str()
	} else {
		p.skip()
	}
	if len(raw) > 2 {
		if t, err := time.Parse(time.RFC3339Nano, raw[1:len(raw)-1]); err == nil {
			return Ticks(t)
		}
	}
	p.refuse("$lastUpdated must be a time such as 2024-03-01T08:00:00.1234567Z.")
	return 0
}

// counter reads a version. The first is 1.
func (p *parser) counter(name string) int64 {
	c := p.peek()
	start := p.at
	p.skip()
	if isDigit(c) {
		if n, err := strconv.ParseInt(p.text[start:p.at], 10, 64); err == nil && 1 <= n && n <= MaxInteger {
			return n
		}
	}
	p.refuse("%s must be a whole number from 1 to %d.", name, int64(MaxInteger))
	return 0
}
