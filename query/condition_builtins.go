package query

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
)

// builtinFunction is a function of conditions (B5). The first ones are those of
// queries that ask for a type.
type builtinFunction uint8

const (
	abs builtinFunction = iota + builtinFunction(IsPrimitive) + 1
	exp
	square
	ceiling
	floor
	signOf
	sqrt
	power
	asNumber
	concat
	length
	lower
	upper
	substring
	indexOf
	startsWith
	endsWith
	contains
	twinChangeIncludes
)

// signature is what a function takes and gives.
type signature struct {
	name   string
	least  int // arguments that there must be
	params []types
	more   bool // the last parameter may come again and again
	result types
}

var builtins = [...]signature{
	IsDefined:   {"IS_DEFINED", 1, []types{anything}, false, boolType},
	IsNull:      {"IS_NULL", 1, []types{anything}, false, boolType},
	IsBool:      {"IS_BOOL", 1, []types{anything}, false, boolType},
	IsNumber:    {"IS_NUMBER", 1, []types{anything}, false, boolType},
	IsString:    {"IS_STRING", 1, []types{anything}, false, boolType},
	IsObject:    {"IS_OBJECT", 1, []types{anything}, false, boolType},
	IsArray:     {"IS_ARRAY", 1, []types{anything}, false, boolType},
	IsPrimitive: {"IS_PRIMITIVE", 1, []types{anything}, false, boolType},

	abs:     {"ABS", 1, []types{numberType}, false, numberType},
	exp:     {"EXP", 1, []types{numberType}, false, numberType},
	square:  {"SQUARE", 1, []types{numberType}, false, numberType},
	ceiling: {"CEILING", 1, []types{numberType}, false, numberType},
	floor:   {"FLOOR", 1, []types{numberType}, false, numberType},
	signOf:  {"SIGN", 1, []types{numberType}, false, numberType},
	sqrt:    {"SQRT", 1, []types{numberType}, false, numberType},
	power:   {"POWER", 2, []types{numberType, numberType}, false, numberType},

	asNumber:   {"AS_NUMBER", 1, []types{textType | numberType}, false, numberType},
	concat:     {"CONCAT", 2, []types{textType}, true, textType},
	length:     {"LENGTH", 1, []types{textType}, false, numberType},
	lower:      {"LOWER", 1, []types{textType}, false, textType},
	upper:      {"UPPER", 1, []types{textType}, false, textType},
	substring:  {"SUBSTRING", 2, []types{textType, numberType, numberType}, false, textType},
	indexOf:    {"INDEX_OF", 2, []types{textType, textType}, false, numberType},
	startsWith: {"STARTS_WITH", 2, []types{textType, textType}, false, boolType},
	endsWith:   {"ENDS_WITH", 2, []types{textType, textType}, false, boolType},
	contains:   {"CONTAINS", 2, []types{textType, textType}, false, boolType},

	twinChangeIncludes: {"TWIN_CHANGE_INCLUDES", 1, nil, false, boolType}, // a path; the parser has its rule
}

// takes tells whether arguments of these types may be given.
func (s *signature) takes(given []types) bool {
	if len(given) < s.least || !s.more && len(given) > len(s.params) {
		return false
	}
	for i, t := range given {
		if t&s.params[min(i, len(s.params)-1)] == 0 {
			return false
		}
	}
	return true
}

// usage shows what the function takes.
func (s *signature) usage() string {
	var b strings.Builder
	b.WriteString("write " + s.name + "(")
	for i := range max(s.least, len(s.params)) {
		if i > 0 {
			b.WriteString(", ")
		}
		switch t := s.params[min(i, len(s.params)-1)]; t {
		case anything:
			b.WriteString("value")
		case textType | numberType:
			b.WriteString("string or number")
		default:
			b.WriteString(t.String())
		}
		if i >= s.least {
			b.WriteString(" or nothing")
		}
	}
	if s.more {
		b.WriteString(", …")
	}
	b.WriteString(")")
	return b.String()
}

// maxConcat bounds what CONCAT makes, in bytes. A longer text is undefined: a
// condition that names a large body a thousand times must not fill the memory.
const maxConcat = 1 << 20

// call applies a function.
func (s *Subject) call(e *builtin) Value {
	switch f := e.function; {
	case f <= builtinFunction(IsPrimitive):
		return s.is(Function(f), e.args[0])
	case f == twinChangeIncludes:
		_, where := s.find(e.args[0].(*jsonPath))
		return truthValue([...]Truth{unusable: Unknown, absent: False, present: True}[where])
	case f == concat:
		return s.concat(e.args)
	case f == asNumber:
		return toNumber(s.value(e.args[0]))
	case f <= power:
		return s.calculate(e)
	default:
		return s.textCall(e)
	}
}

// is asks for a type. Objects and arrays count as undefined except when they are
// asked for, and what is infinite is no number.
func (s *Subject) is(f Function, arg Expr) Value {
	v := s.value(arg)
	b := isKind(f, v.Kind)
	switch f {
	case IsDefined:
		b = v.primitive()
	case IsNumber:
		b = b && !math.IsInf(v.Number, 0)
	}
	return boolValue(b)
}

// concat joins texts; a property without value is empty.
func (s *Subject) concat(args []Expr) Value {
	var b strings.Builder
	for _, arg := range args {
		v := s.value(arg)
		if v.Kind == Null && isText(arg) {
			continue
		}
		if v.Kind != String || b.Len()+len(v.Text) > maxConcat {
			return Value{}
		}
		b.WriteString(v.Text)
	}
	return textValue(b.String())
}

// calculate applies a function of numbers.
func (s *Subject) calculate(e *builtin) Value {
	v := s.value(e.args[0])
	if v.Kind != Number {
		return Value{}
	}
	n := v.Number
	switch e.function {
	case abs:
		n = math.Abs(n)
	case exp:
		n = math.Exp(n)
	case square:
		n *= n
	case ceiling:
		n = math.Ceil(n)
	case floor:
		n = math.Floor(n)
	case signOf:
		n = float64(sign(n, 0))
	case sqrt:
		n = math.Sqrt(n)
	default: // power
		by := s.value(e.args[1])
		if by.Kind != Number {
			return Value{}
		}
		n = math.Pow(n, by.Number)
	}
	return doubleValue(n)
}

// textCall applies a function whose first argument is a text.
func (s *Subject) textCall(e *builtin) Value {
	v := s.value(e.args[0])
	if v.Kind != String {
		return Value{}
	}
	switch e.function {
	case length:
		return doubleValue(float64(units(v.Text)))
	case lower:
		return textValue(strings.ToLower(v.Text))
	case upper:
		return textValue(strings.ToUpper(v.Text))
	case substring:
		return s.substring(v.Text, e.args[1:])
	}
	part := s.value(e.args[1])
	if part.Kind != String {
		return Value{}
	}
	switch e.function {
	case indexOf:
		n := strings.Index(v.Text, part.Text)
		if n > 0 {
			n = units(v.Text[:n])
		}
		return doubleValue(float64(n))
	case startsWith:
		return boolValue(strings.HasPrefix(v.Text, part.Text))
	case endsWith:
		return boolValue(strings.HasSuffix(v.Text, part.Text))
	default: // contains
		return boolValue(strings.Contains(v.Text, part.Text))
	}
}

// units counts UTF-16 code units, in which conditions measure text.
func units(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// substring takes the text from a place on, or so many units of it. The place must
// be in the text; only without a count it may be its end.
func (s *Subject) substring(text string, args []Expr) Value {
	all := units(text)
	from, ok := s.count(args[0], all)
	if !ok {
		return Value{}
	}
	to := all
	if len(args) > 1 {
		n, ok := s.count(args[1], all-from)
		if !ok || from == all {
			return Value{}
		}
		to = from + n
	}
	if all == len(text) {
		return textValue(text[from:to])
	}
	return textValue(string(utf16.Decode(utf16.Encode([]rune(text))[from:to])))
}

// count is the whole part of a number from 0 to most.
func (s *Subject) count(e Expr, most int) (int, bool) {
	v := s.value(e)
	n := math.Trunc(v.Number)
	return int(n), v.Kind == Number && 0 <= n && n <= float64(most)
}

// toNumber reads a text as a number: blanks around it, a sign, digits with commas
// between them, decimals, an exponent. What is too large is infinite.
func toNumber(v Value) Value {
	if v.Kind != String {
		if v.Kind == Number {
			return v
		}
		return Value{}
	}
	s := strings.Trim(v.Text, " \t\n\v\f\r")
	if comma := strings.IndexByte(s, ','); comma > 0 && isDigit(s[comma-1]) {
		whole := s
		if n := strings.IndexAny(s, ".eE"); n >= 0 {
			whole = s[:n]
		}
		s = strings.ReplaceAll(whole, ",", "") + s[len(whole):]
	}
	if !plainNumber(s) {
		return Value{}
	}
	n, _ := strconv.ParseFloat(s, 64) // out of range it is infinite, or 0
	return doubleValue(n)
}

// plainNumber tells whether s is a sign, digits, decimals and an exponent, of
// which digits or decimals must be there.
func plainNumber(s string) bool {
	l := scanner{text: s}
	if l.at("+") || l.at("-") {
		l.pos++
	}
	n := l.digits(isDigit)
	if l.at(".") {
		l.pos++
		n += l.digits(isDigit)
	}
	if n > 0 && (l.at("e") || l.at("E")) {
		l.pos++
		if l.at("+") || l.at("-") {
			l.pos++
		}
		n = l.digits(isDigit)
	}
	return n > 0 && l.pos == len(s)
}
