package query

// Query is a parsed query. The trees that Parse makes are immutable by
// agreement: many goroutines may run one query at once.
type Query struct {
	Top     int    // most rows of the whole answer; 0 without TOP
	Star    bool   // SELECT *; Items is empty then
	Items   []Item // the select list otherwise
	From    Collection
	Where   Expr   // nil selects every document
	GroupBy []Path // nil without GROUP BY
}

// Collection is what a query reads.
type Collection uint8

// The collections of A3.
const (
	Devices Collection = iota // one document per device: its twin
	Modules                   // one document per module: its twin
	Jobs                      // one document per job and device
)

var collectionNames = [...]string{Devices: "devices", Modules: "devices.modules", Jobs: "devices.jobs"}

// String is the collection's name after FROM.
func (c Collection) String() string { return collectionNames[c] }

// ItemType is the kind of the rows, as the x-ms-item-type header spells it:
// "Twin" and "DeviceJob" are whole documents, "Raw" is a selection (A1).
func (q *Query) ItemType() string {
	switch {
	case q.From == Jobs:
		return "DeviceJob"
	case q.Star:
		return "Twin"
	default:
		return "Raw"
	}
}

// Item is one member of the select list: a path, or an aggregate.
type Item struct {
	Aggregate Aggregate
	Path      Path   // nil for COUNT()
	Name      string // member of the row: the alias, else the last key, else "$1", "$2", …
}

// Aggregate is a function over the rows of a group.
type Aggregate uint8

// The aggregates of A4. All but Count regard numbers only.
const (
	NoAggregate Aggregate = iota // a plain path
	Count
	Avg
	Sum
	Min
	Max
)

var aggregateNames = [...]string{Count: "COUNT", Avg: "AVG", Sum: "SUM", Min: "MIN", Max: "MAX"}

// Path names a value in a document, a key for each level, in canonical
// spelling and without the collection's prefix.
type Path []string

// Expr is a node of a condition: one of Path, *Literal, *List, *Call, *Negate,
// *Arithmetic, *Compare, *In, *Not, *And, *Or. (A [Condition] has others, and keeps
// them to itself.)
type Expr interface{ expr() }

// Literal is a constant: a number, string, Boolean, null or undefined.
type Literal struct{ Value Value }

// List is a constant array. Its elements are *Literal or *List.
type List struct {
	Elems []Expr
	// json is the array as a value, where an undefined element is written
	// undefined; "" in arrays that lie in others.
	json string
}

// Call applies a function. Parse has checked the number of arguments.
type Call struct {
	Function Function
	Args     []Expr
}

// Function is a function of conditions.
type Function uint8

// The functions of A4. The Is… functions are never undefined.
const (
	IsDefined Function = iota // its argument is a Path
	IsNull
	IsBool
	IsNumber
	IsString
	IsObject // false for arrays
	IsArray
	IsPrimitive   // string, number, Boolean or null
	StartsWith    // (string, prefix)
	EndsWith      // (string, suffix)
	ArrayContains // (array, value), by content
)

var functionNames = [...]string{
	IsDefined: "IS_DEFINED", IsNull: "IS_NULL", IsBool: "IS_BOOL", IsNumber: "IS_NUMBER",
	IsString: "IS_STRING", IsObject: "IS_OBJECT", IsArray: "IS_ARRAY", IsPrimitive: "IS_PRIMITIVE",
	StartsWith: "STARTSWITH", EndsWith: "ENDSWITH", ArrayContains: "ARRAY_CONTAINS",
}

// arity is how many arguments f takes.
func (f Function) arity() int {
	if f >= StartsWith {
		return 2
	}
	return 1
}

// Negate is unary minus. Parse folds it into number literals.
type Negate struct{ X Expr }

// Arithmetic is a calculation with two numbers.
type Arithmetic struct {
	Op   ArithmeticOp
	L, R Expr
}

// ArithmeticOp is a sign between numbers.
type ArithmeticOp uint8

// The signs of arithmetic.
const (
	Add ArithmeticOp = iota
	Subtract
	Multiply
	Divide
	Remainder
)

var arithmeticSigns = [...]string{Add: "+", Subtract: "-", Multiply: "*", Divide: "/", Remainder: "%"}

// Compare is a comparison of two values.
type Compare struct {
	Op   CompareOp
	L, R Expr
}

// CompareOp is a sign of comparison.
type CompareOp uint8

// The signs of comparison; <> is NotEqual.
const (
	Equal CompareOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

var compareSigns = [...]string{Equal: "=", NotEqual: "!=", Less: "<", LessEqual: "<=", Greater: ">", GreaterEqual: ">="}

// In is membership in a constant list, or with Not (NIN) its opposite.
type In struct {
	X    Expr
	Not  bool
	List *List
}

// Not is negation of a truth.
type Not struct{ X Expr }

// And is a conjunction of two or more terms, none of them an *And itself.
type And struct{ Terms []Expr }

// Or is a disjunction of two or more terms, none of them an *Or itself.
type Or struct{ Terms []Expr }

func (Path) expr()        {}
func (*Literal) expr()    {}
func (*List) expr()       {}
func (*Call) expr()       {}
func (*Negate) expr()     {}
func (*Arithmetic) expr() {}
func (*Compare) expr()    {}
func (*In) expr()         {}
func (*Not) expr()        {}
func (*And) expr()        {}
func (*Or) expr()         {}
