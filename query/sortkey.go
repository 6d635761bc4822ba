package query

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"strings"
)

// A sort key is a value as bytes: equal values have equal keys, and keys in
// byte order are values in the order of their kinds, numbers by size and text
// by code points. No key is the beginning of another, so keys can be joined.
//
//	undefined 01   null 02   false 03   true 04
//	number    05, the double's bits, turned so that they sort
//	text      06, the characters (00 as 00 FF), 00 01
//	array     07, the keys of its elements, 00
//	object    08, for each member by name: the keys of name and value; 00
//	deep      09, the JSON text like a text's characters
const (
	undefinedTag = 1 + iota
	nullTag
	falseTag
	trueTag
	numberTag
	stringTag
	arrayTag
	objectTag
	deepTag
)

// maxKeyDepth is how deep keys look into a value. Twins stay far above it; the
// answer of a device to a method may not, and is compared by its text there.
const maxKeyDepth = 32

// sortKey appends the key of a JSON text.
func sortKey(dst []byte, json string) []byte { return appendKey(dst, json, maxKeyDepth) }

func appendKey(dst []byte, json string, depth int) []byte {
	v := ValueOf(json)
	switch v.Kind {
	case Null:
		return append(dst, nullTag)
	case Bool:
		if v.Bool {
			return append(dst, trueTag)
		}
		return append(dst, falseTag)
	case Number:
		return appendNumberKey(append(dst, numberTag), v.Number)
	case String:
		return appendTextKey(append(dst, stringTag), v.Text)
	case Undefined:
		return append(dst, undefinedTag)
	}
	switch {
	case depth == 0:
		return appendTextKey(append(dst, deepTag), json)
	case v.Kind == Array:
		dst = append(dst, arrayTag)
		for elem := range elements(json) {
			dst = appendKey(dst, elem, depth-1)
		}
	default:
		var keys [][]byte
		for name, value := range members(json) {
			keys = append(keys, appendKey(appendKey(nil, name, 0), value, depth-1))
		}
		slices.SortFunc(keys, bytes.Compare)
		dst = append(dst, objectTag)
		dst = append(dst, slices.Concat(keys...)...)
	}
	return append(dst, 0)
}

func appendNumberKey(dst []byte, n float64) []byte {
	if n == 0 {
		n = 0 // of either sign
	}
	bits := math.Float64bits(n)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}

func appendTextKey(dst []byte, s string) []byte {
	for {
		n := strings.IndexByte(s, 0)
		if n < 0 {
			dst = append(dst, s...)
			return append(dst, 0, 1)
		}
		dst = append(dst, s[:n]...)
		dst = append(dst, 0, 0xff)
		s = s[n+1:]
	}
}

// elements walks the JSON texts in an array. It ends early where the text is
// not JSON.
func elements(json string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := nextText(json, 1); i < len(json) && json[i] != ']'; i = nextText(json, i) {
			end := textEnd(json, i)
			if end == i || !yield(json[i:end]) {
				return
			}
			i = end
		}
	}
}

// members walks the names, as JSON strings, and values of an object.
func members(json string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := nextText(json, 1); i < len(json) && json[i] != '}'; i = nextText(json, i) {
			nameEnd := textEnd(json, i)
			at := nextText(json, nameEnd)
			end := textEnd(json, at)
			if end == at || !yield(json[i:nameEnd], json[at:end]) {
				return
			}
			i = end
		}
	}
}

// nextText passes blanks, commas and colons.
func nextText(json string, i int) int {
	for i < len(json) && strings.IndexByte(" \t\r\n,:", json[i]) >= 0 {
		i++
	}
	return i
}

// textEnd is the end of the JSON text that begins at i.
func textEnd(json string, i int) int {
	depth := 0
	for ; i < len(json); i++ {
		switch json[i] {
		case '"':
			i = stringEnd(json, i)
			if depth == 0 {
				return min(i+1, len(json))
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		if depth < 0 {
			return i
		}
	}
	return len(json) // i may be past it, after a backslash at the very end
}

// stringEnd is the place of the quote that ends the string begun at i.
func stringEnd(json string, i int) int {
	for i++; i < len(json) && json[i] != '"'; i++ {
		if json[i] == '\\' {
			i++
		}
	}
	return i
}
