package twin

import (
	"strings"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/fault"
)

// Limits of what stands in a body (twin-semantics sections 3 to 5).
const (
	MaxDepth   = 10   // objects and arrays within each other, below the section
	MaxKey     = 1024 // bytes of a key
	MaxString  = 4096 // bytes of a string
	MinInteger = -1 << 52
	MaxInteger = 1<<52 - 1
)

// Rules are what depends on the api-version of the caller.
type Rules struct {
	NoArrays bool // before 2019-10-01 arrays were refused (twin-semantics section 13)
}

// Patch is the body of a back end's PATCH, checked. It is immutable and may be
// merged into any number of twins.
type Patch struct {
	tags, desired part
	held          int // length of the body
}

// Replacement is the body of a back end's PUT, or the twin of an import, checked.
// It is immutable.
type Replacement struct {
	tags, desired part
	reported      part // of imports only
	held          int
}

// Reported is a device's patch of its reported properties, checked. It is
// immutable.
type Reported struct {
	members []node
	held    int
}

// ParsePatch reads the body of a back end's PATCH. Of its members only tags and
// properties.desired count, so that a whole twin may come back as a patch
// (cases T033 and T034). A section that is null is cleared. It takes time and
// memory in proportion to body, and keeps no part of it.
//
// Errors: ArgumentNull without a body, IotHubFormatError for what is not JSON,
// ArgumentInvalid for what a twin may not hold.
func ParsePatch(body []byte, r Rules) (*Patch, error) {
	p := parser{scanner: scanner{text: string(body)}, rules: r, nulls: true}
	tags, desired, err := p.document()
	if err != nil {
		return nil, err
	}
	return &Patch{tags: tags, desired: desired, held: len(body)}, nil
}

// ParseReplacement reads the body of a back end's PUT, as [ParsePatch] does,
// but null is refused everywhere (case T042).
func ParseReplacement(body []byte, r Rules) (*Replacement, error) {
	p := parser{scanner: scanner{text: string(body)}, rules: r}
	tags, desired, err := p.document()
	if err != nil {
		return nil, err
	}
	return &Replacement{tags: tags, desired: desired, held: len(body)}, nil
}

// ParseReported reads the patch of a device. Keys with $ are refused (case
// T050). The error is always ArgumentInvalid, also for what is not JSON
// (device-protocol 5.3).
func ParseReported(body []byte, r Rules) (*Reported, error) {
	p := parser{scanner: scanner{text: string(body)}, rules: r, nulls: true, device: true}
	var members []node
	if p.begin() == '{' {
		var room [few]node
		members = p.members(1, room[:0])
	} else {
		p.refuse("Reported properties must be a JSON object.")
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return &Reported{members: members, held: len(body)}, nil
}

// parser builds nodes from a body, and refuses what a twin may not hold.
type parser struct {
	scanner
	rules   Rules
	nulls   bool // null means "remove"; else it is refused
	device  bool // the body comes from a device
	refusal *fault.Error

	metadata, version string // texts of $metadata and $version in the newest section, for imports
}

// refuse ends parsing with a refusal. Whether the rest is JSON is seen to by
// finish: what is not JSON is called so, whatever else is wrong with it.
func (p *parser) refuse(format string, args ...any) {
	if !p.stopped {
		p.refusal = fault.New(fault.ArgumentInvalid, format, args...)
		p.stopped = true
	}
}

// begin gives the first byte of the document. All the rest relies on UTF-8.
func (p *parser) begin() byte {
	if !utf8.ValidString(p.text) {
		p.fail()
	}
	return p.peek()
}

// finish checks that nothing follows the document, and gives what was wrong.
func (p *parser) finish() error {
	p.end()
	format := fault.IotHubFormatError
	if p.device {
		format = fault.ArgumentInvalid
	}
	switch {
	case !p.stopped:
		return nil
	case p.refusal != nil && isJSON(p.text):
		return p.refusal
	case p.refusal != nil:
		return fault.New(format, "The body is not JSON.")
	default:
		return fault.New(format, "The body is not JSON in UTF-8: error near byte %d.", p.at)
	}
}

// document reads a back end's body.
func (p *parser) document() (tags, desired part, err error) {
	switch c := p.begin(); {
	case strings.Trim(p.text, " \t\r\n") == "", strings.Trim(p.text, " \t\r\n") == null:
		return tags, desired, fault.New(fault.ArgumentNull, "The request has no body.")
	case c != '{':
		p.refuse("The body must be a JSON object.")
	}
	for more := !p.stopped && p.first('}'); more; more = p.more('}') {
		switch p.key() {
		case "tags":
			tags = p.section("tags")
		case "properties":
			desired = p.properties()
		default:
			p.skip()
		}
	}
	return tags, desired, p.finish()
}

// properties reads the object around desired. Properties that are null are as
// good as absent.
func (p *parser) properties() (desired part) {
	switch p.peek() {
	case '{':
	case 'n':
		p.word()
		return part{}
	default:
		p.refuseSection()
	}
	for more := !p.stopped && p.first('}'); more; more = p.more('}') {
		if p.key() == "desired" {
			desired = p.section("desired")
		} else {
			p.skip()
		}
	}
	return desired
}

// section reads tags or desired.
func (p *parser) section(name string) part {
	switch p.peek() {
	case '{':
		var room [few]node
		return part{given: true, members: p.members(1, room[:0])}
	case 'n':
		p.word()
		if !p.nulls {
			p.refuseNull(name)
		}
		return part{given: true, clear: true}
	}
	p.refuseSection()
	return part{}
}

// hidden passes $version or $metadata, which only imports look at.
func (p *parser) hidden(key string) {
	p.peek()
	start := p.at
	p.skip()
	if key == "$version" {
		p.version = p.text[start:p.at]
	} else {
		p.metadata = p.text[start:p.at]
	}
}

// members reads an object whose values lie at depth. Objects collect their
// members at the end of room, which all levels share, and copy them once their
// number is known.
func (p *parser) members(depth int, room []node) []node {
	base := len(room)
	for more := p.first('}'); more; more = p.more('}') {
		key := p.key()
		if depth == 1 && !p.device && (key == "$version" || key == "$metadata") {
			p.hidden(key)
			continue
		}
		p.checkKey(key)
		room = append(room, p.value(key, depth, room))
	}
	kept := unique(room[base:])
	members := make([]node, len(kept))
	copy(members, kept)
	return members
}

// value reads the value of key. If it is an object or array, it is the depth-th
// below the section.
func (p *parser) value(key string, depth int, room []node) node {
	switch c := p.peek(); c {
	case '{':
		if p.checkDepth(key, depth) {
			return node{key: key, kids: p.members(depth+1, room)}
		}
	case '[':
		start, spaces := p.at, p.spaces
		p.array(key, depth)
		raw := p.text[start:p.at]
		if p.spaces > spaces {
			raw = compact(raw)
		}
		return node{key: key, raw: raw}
	case 'n':
		p.word()
		if !p.nulls {
			p.refuseNull(key)
		}
		return node{key: key, raw: null}
	default:
		return node{key: key, raw: p.scalar(key, c)}
	}
	return node{key: key}
}

// array passes an array, which is kept as text; only the rules are checked.
func (p *parser) array(key string, depth int) {
	if p.rules.NoArrays {
		p.refuse("Provided json is not a valid 'tags' or 'properties' object: arrays are not supported.")
	}
	if !p.checkDepth(key, depth) {
		return
	}
	for more := p.first(']'); more; more = p.more(']') {
		p.element(key, depth+1)
	}
}

// element passes one value below an array. key is the last key before it.
func (p *parser) element(key string, depth int) {
	switch c := p.peek(); c {
	case '[':
		p.array(key, depth)
	case '{':
		if !p.checkDepth(key, depth) {
			return
		}
		for more := p.first('}'); more; more = p.more('}') {
			key := p.key()
			p.checkKey(key)
			p.element(key, depth+1)
		}
	case 'n':
		p.word()
		p.refuseNull(key)
	default:
		p.scalar(key, c)
	}
}

// scalar reads a string, number or boolean that begins with c.
func (p *parser) scalar(key string, c byte) string {
	switch {
	case c == '"':
		raw, _ := p.str()
		p.checkString(key, raw)
		return raw
	case c == '-' || isDigit(c):
		raw, whole := p.number()
		if whole {
			p.checkInteger(key, raw)
		}
		return raw
	}
	return p.word()
}
