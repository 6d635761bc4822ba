package query

import (
	"math"
	"strings"
)

// Document is what a query looks at: a twin, or a job of a device.
type Document interface {
	// Key is the document's position in the stable order of its collection
	// (deviceId, then moduleId or jobId, by bytes). It is not empty.
	Key() string
	// Lookup gives the JSON text of the value at path, without blanks around
	// it; !ok means there is none. A path through anything but objects leads
	// to none.
	Lookup(path []string) (json string, ok bool)
	// AppendJSON appends the whole document as SELECT * shows it.
	AppendJSON(dst []byte) []byte
}

// Truth is the outcome of a condition.
type Truth uint8

// The three truths. Only True selects a document.
const (
	Unknown Truth = iota // the sheet says undefined
	False
	True
)

func (t Truth) String() string { return [...]string{"unknown", "false", "true"}[t] }

func truthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

// not swaps true and false.
func (t Truth) not() Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	default:
		return Unknown
	}
}

func (t Truth) and(u Truth) Truth {
	switch {
	case t == False || u == False:
		return False
	case t == True:
		return u
	default:
		return Unknown
	}
}

func (t Truth) or(u Truth) Truth { return t.not().and(u.not()).not() }

// Matches evaluates condition e on d, with the three-valued logic of A5. A nil
// condition is true.
func Matches(e Expr, d Document) Truth {
	switch e := e.(type) {
	case nil:
		return True
	case *And:
		return allOf(e.Terms, d)
	case *Or:
		return anyOf(e.Terms, d)
	case *Not:
		return Matches(e.X, d).not()
	case *Compare:
		return compare(e.Op, eval(e.L, d), eval(e.R, d))
	case *In:
		return isIn(e, d)
	case *Call:
		return call(e, d)
	default:
		// A bare value: anything but a Boolean counts as undefined.
		v := eval(e, d)
		if v.Kind != Bool {
			return Unknown
		}
		return truthOf(v.Bool)
	}
}

// allOf is false if one term is, else unknown if one is.
func allOf(terms []Expr, d Document) Truth {
	t := True
	for _, e := range terms {
		if t = t.and(Matches(e, d)); t == False {
			break
		}
	}
	return t
}

// anyOf is true if one term is, else unknown if one is.
func anyOf(terms []Expr, d Document) Truth {
	t := False
	for _, e := range terms {
		if t = t.or(Matches(e, d)); t == True {
			break
		}
	}
	return t
}

// eval gives the value of e.
func eval(e Expr, d Document) Value {
	switch e := e.(type) {
	case Path:
		json, ok := d.Lookup(e)
		if !ok {
			return Value{}
		}
		return ValueOf(json)
	case *Literal:
		return e.Value
	case *List:
		return Value{Kind: Array, Text: e.json}
	case *Negate:
		v := eval(e.X, d)
		if v.Kind != Number {
			return Value{}
		}
		return numberValue(-v.Number)
	case *Arithmetic:
		return calculate(e.Op, eval(e.L, d), eval(e.R, d))
	default:
		t := Matches(e, d)
		if t == Unknown {
			return Value{}
		}
		return Value{Kind: Bool, Bool: t == True}
	}
}

// calculate knows numbers only. Division by zero and what no double holds are
// undefined.
func calculate(op ArithmeticOp, l, r Value) Value {
	if l.Kind != Number || r.Kind != Number {
		return Value{}
	}
	return numberValue(op.apply(l.Number, r.Number))
}

// apply calculates with doubles; where there is no result it is NaN or infinite.
func (op ArithmeticOp) apply(a, b float64) float64 {
	switch op {
	case Add:
		return a + b
	case Subtract:
		return a - b
	case Multiply:
		return a * b
	case Divide:
		return a / b
	default:
		return math.Mod(a, b)
	}
}

func compare(op CompareOp, l, r Value) Truth {
	switch op {
	case Equal:
		return equals(l, r)
	case NotEqual:
		return equals(l, r).not()
	}
	var c int
	switch {
	case l.Kind == Number && r.Kind == Number:
		c = sign(l.Number, r.Number)
	case l.Kind == String && r.Kind == String:
		c = strings.Compare(l.Text, r.Text) // of UTF-8: the order of code points
	default:
		return Unknown
	}
	switch op {
	case Less:
		return truthOf(c < 0)
	case LessEqual:
		return truthOf(c <= 0)
	case Greater:
		return truthOf(c > 0)
	default:
		return truthOf(c >= 0)
	}
}

func sign(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// equals is defined between primitives; those of different kinds differ.
func equals(l, r Value) Truth {
	if !l.primitive() || !r.primitive() {
		return Unknown
	}
	return truthOf(l == r)
}

func (v Value) primitive() bool { return Null <= v.Kind && v.Kind <= String }

func isIn(e *In, d Document) Truth {
	x := eval(e.X, d)
	if !x.primitive() {
		return Unknown
	}
	found := False
	for _, elem := range e.List.Elems {
		if l, ok := elem.(*Literal); ok && equals(x, l.Value) == True {
			found = True
			break
		}
	}
	if e.Not {
		return found.not()
	}
	return found
}

// call applies a function; all of them give truths.
func call(e *Call, d Document) Truth {
	switch e.Function {
	case StartsWith, EndsWith:
		s, part := eval(e.Args[0], d), eval(e.Args[1], d)
		if s.Kind != String || part.Kind != String {
			return Unknown
		}
		if e.Function == StartsWith {
			return truthOf(strings.HasPrefix(s.Text, part.Text))
		}
		return truthOf(strings.HasSuffix(s.Text, part.Text))
	case ArrayContains:
		return arrayContains(eval(e.Args[0], d), eval(e.Args[1], d))
	default:
		return truthOf(isKind(e.Function, kindAt(e.Args[0], d)))
	}
}

// kindAt is the kind of e, without decoding what a path leads to.
func kindAt(e Expr, d Document) Kind {
	if p, ok := e.(Path); ok {
		json, ok := d.Lookup(p)
		if !ok {
			return Undefined
		}
		return KindOf(json)
	}
	return eval(e, d).Kind
}

func isKind(f Function, k Kind) bool {
	switch f {
	case IsDefined:
		return k != Undefined
	case IsNull:
		return k == Null
	case IsBool:
		return k == Bool
	case IsNumber:
		return k == Number
	case IsString:
		return k == String
	case IsObject:
		return k == Object
	case IsArray:
		return k == Array
	default: // IsPrimitive
		return Null <= k && k <= String
	}
}

// arrayContains compares by content: objects whatever the order of their
// members, arrays element by element.
func arrayContains(array, x Value) Truth {
	if array.Kind != Array || x.Kind == Undefined {
		return Unknown
	}
	want := sortKey(nil, string(appendJSON(nil, x)))
	var got []byte
	for elem := range elements(array.Text) {
		got = sortKey(got[:0], elem)
		if string(got) == string(want) {
			return True
		}
	}
	return False
}
