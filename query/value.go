package query

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a value (A5).
type Kind uint8

// The kinds, in the order in which groups come out.
const (
	Undefined Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Value is a value in an evaluation. The zero Value is undefined.
type Value struct {
	Kind   Kind
	Bool   bool    // of a Bool
	Number float64 // of a Number: exact for integers of 53 bits
	Text   string  // of a String its characters; of an Array or Object its JSON
}

// KindOf is the kind of a JSON text, by its first character.
func KindOf(json string) Kind {
	if json == "" {
		return Undefined
	}
	switch json[0] {
	case 'n':
		return Null
	case 't', 'f':
		return Bool
	case '"':
		return String
	case '[':
		return Array
	case '{':
		return Object
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return Number
	default:
		return Undefined
	}
}

// ValueOf reads a JSON text that has no blanks around it. It allocates only
// for strings with escapes. What is not JSON is undefined.
func ValueOf(json string) Value {
	v := Value{Kind: KindOf(json)}
	switch v.Kind {
	case Bool:
		v.Bool = json == "true"
	case Number:
		n, err := strconv.ParseFloat(json, 64)
		if err != nil && !math.IsInf(n, 0) { // infinity: beyond a double, but still large
			return Value{}
		}
		v.Number = n
	case String:
		return stringValue(json)
	case Array, Object:
		v.Text = json
	}
	return v
}

func stringValue(quoted string) Value {
	if len(quoted) < 2 || quoted[len(quoted)-1] != '"' {
		return Value{}
	}
	if strings.IndexByte(quoted, '\\') < 0 {
		return Value{Kind: String, Text: quoted[1 : len(quoted)-1]}
	}
	var s string
	if json.Unmarshal([]byte(quoted), &s) != nil {
		return Value{}
	}
	return Value{Kind: String, Text: s}
}

// numberValue is a number, or undefined for what JSON has no numbers for.
func numberValue(n float64) Value {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return Value{}
	}
	return Value{Kind: Number, Number: n}
}

// appendNumber writes n in the fewest digits that give n again, without an
// exponent unless the number is very large or very small.
func appendNumber(dst []byte, n float64) []byte {
	format := byte('f')
	if a := math.Abs(n); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, n, format, -1, 64)
}

// appendListJSON writes a constant array as JSON, except that an undefined
// element stays undefined: it equals nothing in a document.
func appendListJSON(dst []byte, l *List) []byte {
	dst = append(dst, '[')
	for i, e := range l.Elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch e := e.(type) {
		case *List:
			dst = appendListJSON(dst, e)
		case *Literal:
			dst = appendJSON(dst, e.Value)
		}
	}
	return append(dst, ']')
}

func appendJSON(dst []byte, v Value) []byte {
	switch v.Kind {
	case Null:
		return append(dst, "null"...)
	case Bool:
		return strconv.AppendBool(dst, v.Bool)
	case Number:
		return appendNumber(dst, v.Number)
	case String:
		return appendString(dst, v.Text)
	case Array, Object:
		return append(dst, v.Text...)
	default:
		return append(dst, "undefined"...)
	}
}

// appendString writes s as a JSON string.
func appendString(dst []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a string always has a JSON form
	return append(dst, quoted...)
}
