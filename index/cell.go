package index

import (
	"encoding/binary"
	"hash/maphash"
	"math"

	"github.com/hubtwin/hubtwin/query"
)

// cell is a value in 64 bits, as plain columns hold it: the bits of a double,
// or one of the NaNs that no JSON number gives, with a kind in it.
//
//	…  0xfff0…   numbers, infinities included
//	0xfff9       undefined          0xfffd   array
//	0xfffa       null               0xfffe   object
//	0xfffb       false              0xffff   string, with six of its bytes
//	0xfffc       true
//
// Numbers are exact, as is the kind of everything else. The bytes of a string
// are those that follow what all strings of the column begin with; a zero also
// stands for none. So they tell the order of two strings unless they are the
// same, and mostly whether a string has a prefix.
type cell uint64

const (
	undefinedCell cell = (0xfff9 + iota) << 48
	nullCell
	falseCell
	trueCell
	arrayCell
	objectCell
	stringCell

	noNumber = undefinedCell // this and all above are no numbers
	someSize = 6             // bytes of a string
)

var seed = maphash.MakeSeed()

func hashOf(s string) uint32 { return uint32(maphash.String(seed, s)) }

// someOf is the first bytes of a string as they stand in a cell.
func someOf(s string) cell {
	var b [8]byte
	copy(b[2:], s[:min(len(s), someSize)])
	return cell(binary.BigEndian.Uint64(b[:]))
}

// some is the bytes of a string's cell.
func (c cell) some() cell { return c &^ stringCell }

// precededBy gives the bytes of a string's cell after more of the string.
func (c cell) precededBy(more string) cell {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(c))
	copy(b[2:], more+string(b[2:]))
	return cell(binary.BigEndian.Uint64(b[:])).some()
}

// cellOf is the cell of a value, with no bytes of a string.
func cellOf(v query.Value) cell {
	switch v.Kind {
	case query.Null:
		return nullCell
	case query.Bool:
		if v.Bool {
			return trueCell
		}
		return falseCell
	case query.Number:
		return cell(math.Float64bits(v.Number))
	case query.String:
		return stringCell
	case query.Array:
		return arrayCell
	case query.Object:
		return objectCell
	default:
		return undefinedCell
	}
}

func (c cell) number() (float64, bool) { return math.Float64frombits(uint64(c)), c < noNumber }

func (c cell) isString() bool { return c >= stringCell }

// primitive tells whether = and != are defined for the cell.
func (c cell) primitive() bool {
	return c < noNumber || nullCell <= c && c <= trueCell || c >= stringCell
}

// special numbers the cells that are neither numbers nor strings.
func (c cell) special() int { return int(c>>48) - 0xfff9 }

// specialTexts are JSON texts of the kinds that special numbers. What is in an
// array or an object does not matter: whoever needs that asks the document.
var specialTexts = [...]string{"", "null", "false", "true", "[", "{"}
