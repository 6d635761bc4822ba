package index

import (
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
//	0xfffb       false              0xffff   string, with 48 bits of its hash
//	0xfffc       true
//
// Numbers are exact, as is the kind of everything else. Two strings with
// different hashes differ; with the same hash they have to be looked at.
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
	hashBits = 1<<48 - 1
)

var seed = maphash.MakeSeed()

func hashOf(s string) uint64 { return maphash.String(seed, s) & hashBits }

func stringCellOf(hash uint64) cell { return stringCell | cell(hash) }

// cellOf is the cell of a JSON text, "" for none.
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
		return stringCellOf(hashOf(v.Text))
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
