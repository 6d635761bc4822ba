package query

import (
	"encoding/json"
	"strings"
)

// jsonTree is a JSON text with the places of its values, so that many paths can be
// followed in it after it was read once.
type jsonTree struct {
	text    string
	nodes   []jsonNode       // a value before those in it; the first is the whole
	escaped map[int32]string // names with escapes, decoded, by where they begin
}

// jsonNode is a value. Its children are the nodes up to next.
type jsonNode struct {
	key        int32 // where the name begins, with its quote; -1 for an element
	start, end int32 // of the value's text
	next       int32 // the node after it and all in it
}

// parse reads data, false if it is no JSON.
func (t *jsonTree) parse(data []byte) bool {
	if !json.Valid(data) { // it also bounds the depth
		return false
	}
	text := string(data)
	t.text, t.nodes, t.escaped = text, t.nodes[:0], nil
	var open []int32 // the objects and arrays that are not closed
	key := int32(-1)
	for i := nextText(text, 0); i < len(text); i = nextText(text, i) {
		switch c := text[i]; {
		case c == ']' || c == '}':
			i++
			n := &t.nodes[open[len(open)-1]]
			n.end, n.next = int32(i), int32(len(t.nodes))
			open = open[:len(open)-1]
		case c == '[' || c == '{':
			open = append(open, int32(len(t.nodes)))
			t.nodes = append(t.nodes, jsonNode{key: key, start: int32(i)})
			key = -1
			i++
		case c == '"' && key < 0 && len(open) > 0 && text[t.nodes[open[len(open)-1]].start] == '{':
			key = int32(i)
			i = textEnd(text, i)
			if quoted := text[key:i]; strings.IndexByte(quoted, '\\') >= 0 {
				if t.escaped == nil {
					t.escaped = map[int32]string{}
				}
				t.escaped[key] = stringValue(quoted).Text
			}
		default:
			end := textEnd(text, i)
			t.nodes = append(t.nodes, jsonNode{key, int32(i), int32(end), int32(len(t.nodes) + 1)})
			key = -1
			i = end
		}
	}
	return true
}

// find gives the text of the value at path. If fold, names are the same whatever
// their case. Of members with one name the last one counts.
func (t *jsonTree) find(path []step, fold bool) (json string, ok bool) {
	at := int32(0)
	for _, s := range path {
		if at = t.child(at, s, fold); at < 0 {
			return "", false
		}
	}
	n := t.nodes[at]
	return t.text[n.start:n.end], true
}

// child is the node that s leads to from the value at, -1 if there is none.
func (t *jsonTree) child(at int32, s step, fold bool) int32 {
	parent, found := t.nodes[at], int32(-1)
	if isArray := t.text[parent.start] == '['; isArray != (s.index >= 0) {
		return -1
	}
	for i, n := at+1, 0; i < parent.next; i, n = t.nodes[i].next, n+1 {
		switch {
		case s.index >= 0 && n == s.index:
			return i
		case s.index < 0 && t.named(i, s.key, fold):
			found = i
		}
	}
	return found
}

// named tells whether the node at is the member key of its object.
func (t *jsonTree) named(at int32, key string, fold bool) bool {
	start := t.nodes[at].key
	if t.escaped != nil {
		if name, ok := t.escaped[start]; ok {
			return name == key || fold && strings.EqualFold(name, key)
		}
	}
	rest := t.text[start+1:]
	if strings.HasPrefix(rest, key) && rest[len(key)] == '"' {
		return true
	}
	return fold && strings.EqualFold(rest[:strings.IndexByte(rest, '"')], key)
}
