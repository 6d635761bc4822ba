package fleet

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// Query draws the text of a query of twins or modules, from the whole grammar
// (query-language sheet, A2). It parses, and is far from the bounds of length
// and depth.
func Query(t *rapid.T) string {
	w := writer{t, choose(t, "", "", "devices.")}
	from := choose(t, " FROM devices", "", " from Devices", " FROM devices.modules")
	if strings.HasSuffix(from, "modules") {
		w.prefix = choose(t, "", w.prefix, "devices.modules.")
	}
	text := choose(t, "SELECT ", "select ") + choose(t, "", "", "", "", "TOP 3 ", "TOP (7) ")
	var groups []string
	switch pick(t, 4) {
	case 0:
		text += "*"
	case 1:
		text += w.list(1+pick(t, 3), func() string { return w.path() + w.alias() })
	case 2:
		text += w.list(1+pick(t, 3), w.aggregate)
	default:
		for range 1 + pick(t, 3) {
			groups = append(groups, w.path())
		}
		text += w.list(1+pick(t, 3), func() string {
			if oneIn(t, 2) {
				return w.aggregate()
			}
			return choose(t, groups...) + w.alias()
		})
	}
	text += from
	if !oneIn(t, 5) {
		text += choose(t, " WHERE ", " where ", "\nWHERE\t", " /* - */ WHERE ") + w.or(2)
	}
	if groups != nil {
		text += choose(t, " GROUP BY ", " group  by ") + strings.Join(groups, ", ")
	}
	return text
}

// Condition draws what may follow WHERE, about devices.
func Condition(t *rapid.T) string { return writer{t, choose(t, "", "", "devices.")}.or(2) }

// writer writes queries, a method for each rule of the grammar. The number that
// the methods take is how deep parentheses and calls may still go.
type writer struct {
	t      *rapid.T
	prefix string // of paths, where one is written
}

func (w writer) list(n int, item func() string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = item()
	}
	return strings.Join(list, ", ")
}

func (w writer) alias() string {
	return choose(w.t, "", "", " AS x", " as deviceId", " AS $1", " AS y-z")
}

func (w writer) aggregate() string {
	if oneIn(w.t, 3) {
		return choose(w.t, "COUNT()", "count ()") + w.alias()
	}
	path := w.numberPath()
	if oneIn(w.t, 3) {
		path = w.path()
	}
	return choose(w.t, "SUM", "COUNT", "AVG", "Min", "MAX") + "(" + path + ")" + w.alias()
}

func (w writer) or(depth int) string {
	text := w.and(depth)
	for range more(w.t) {
		text += choose(w.t, " OR ", " or ") + w.and(depth)
	}
	return text
}

// more draws how many operands follow the first: few, or most conditions would
// be unknown.
func more(t *rapid.T) int {
	if oneIn(t, 6) {
		return 2
	}
	return pick(t, 2)
}

func (w writer) and(depth int) string {
	text := w.not(depth)
	for range more(w.t) {
		text += choose(w.t, " AND ", " and ") + w.not(depth)
	}
	return text
}

func (w writer) not(depth int) string {
	switch not := choose(w.t, "NOT ", "not "); {
	case !oneIn(w.t, 4):
		return w.comparison(depth)
	case depth > 0 && oneIn(w.t, 2): // only below NOT unknown and false differ
		return not + "(" + w.or(depth-1) + ")"
	default:
		return not + w.not(depth)
	}
}

var (
	signs    = []string{"=", "!=", "=", "<>", "<", "<=", ">", ">="}
	mirrored = []string{"=", "=", "!=", ">", "<="}
)

// comparison is the leaf of conditions: most are about one path and a constant
// that it may well have.
func (w writer) comparison(depth int) string {
	switch k := pick(w.t, 14); {
	case k < 4:
		path, constant := w.subject()
		return path + " " + choose(w.t, signs...) + " " + constant()
	case k == 4:
		path, constant := w.subject()
		return constant() + " " + choose(w.t, signs...) + " " + path
	case k == 5:
		return w.path() + " " + choose(w.t, mirrored...) + " " + w.path()
	case k == 6:
		path, constant := w.subject()
		return path + choose(w.t, " IN ", " NIN ", " in ") + "[" + w.list(pick(w.t, 4), constant) + "]"
	case k < 9:
		return w.call(depth)
	case k == 9:
		return w.sum(depth) + " " + choose(w.t, signs...) + " " + choose(w.t, w.number(), w.number(), w.sum(depth))
	case k == 10 && oneIn(w.t, 3):
		return w.sum(depth) // a bare value
	case k == 10:
		return w.prefix + choose(w.t, "capabilities.iotEdge", "tags.A", "properties.desired.A", "properties.reported.A")
	case k == 11:
		path, constant := w.subject() // a range
		return path + choose(w.t, " > ", " >= ") + constant() + " AND " + path + choose(w.t, " < ", " <= ") + constant()
	case depth == 0:
		return choose(w.t, "true", "false", "null", "undefined")
	default:
		return "(" + w.or(depth-1) + ")" + choose(w.t, "", "", "", " = true", " != false")
	}
}

var typeTests = []string{"IS_DEFINED", "IS_NUMBER", "is_string", "IS_BOOL", "IS_NULL", "IS_OBJECT", "IS_ARRAY", "IS_PRIMITIVE"}

func (w writer) call(depth int) string {
	switch path, constant := w.subject(); pick(w.t, 6) {
	case 0:
		return choose(w.t, typeTests...) + "(" + path + ")"
	case 1:
		field, _ := w.field()
		return choose(w.t, typeTests...) + "(" + field + ")"
	case 2:
		return choose(w.t, typeTests[1:]...) + " (" + w.sum(depth) + ")"
	case 3:
		return choose(w.t, "STARTSWITH", "EndsWith") + "(" + path + ", " + w.part() + ")"
	case 4:
		return choose(w.t, "STARTSWITH", "ENDSWITH") + "(" + w.sum(depth) + ", " + w.sum(depth) + ")"
	default:
		return "ARRAY_CONTAINS(" + choose(w.t, path, w.array(1)) + ", " + choose(w.t, constant(), w.array(1), w.path()) + ")"
	}
}

func (w writer) sum(depth int) string {
	text := w.product(depth)
	for range pick(w.t, 2) {
		text += choose(w.t, " + ", " - ") + w.product(depth)
	}
	return text
}

func (w writer) product(depth int) string {
	text := w.unary(depth)
	for range pick(w.t, 2) {
		text += choose(w.t, " * ", " / ", " % ") + w.unary(depth)
	}
	return text
}

func (w writer) unary(depth int) string {
	minus := choose(w.t, "", "", "", "", "-")
	switch k := pick(w.t, 10); {
	case k < 3:
		return minus + w.numberPath()
	case k == 3:
		return minus + w.path()
	case k < 7:
		return minus + w.number()
	case k == 7:
		return minus + w.constant()
	case k == 8 || depth == 0:
		return minus + w.array(1)
	case oneIn(w.t, 2):
		return minus + w.call(depth-1)
	default:
		return minus + "(" + w.or(depth-1) + ")"
	}
}

// number draws one without a sign, hexadecimal at times.
func (w writer) number() string {
	if oneIn(w.t, 5) {
		return fmt.Sprintf(choose(w.t, "%#x", "%#X"), pick(w.t, 1001))
	}
	return strings.TrimPrefix(chooseNumber(w.t), "-")
}

// constant draws one without a sign.
func (w writer) constant() string {
	switch k := pick(w.t, 10); {
	case k < 4:
		return w.number()
	case k < 7:
		return w.text()
	case k < 9:
		return choose(w.t, "true", "false", "True")
	default:
		return choose(w.t, "null", "undefined", "NULL")
	}
}

// signed is a constant as it may stand in lists.
func (w writer) signed() string {
	if oneIn(w.t, 5) {
		return "-" + w.number()
	}
	return w.constant()
}

func (w writer) text() string { return quotedForQuery(w.t, chooseText(w.t)) }

// part draws the beginning or the end of a text.
func (w writer) part() string {
	s := []rune(chooseText(w.t))
	if at := pick(w.t, len(s)+1); oneIn(w.t, 2) {
		s = s[:at]
	} else {
		s = s[len(s)-at:]
	}
	return quotedForQuery(w.t, string(s))
}

func (w writer) array(depth int) string {
	return "[ " + w.list(pick(w.t, 4), func() string {
		if depth > 0 && oneIn(w.t, 5) {
			return w.array(depth - 1)
		}
		return w.signed()
	}) + "]"
}

// quotedForQuery writes s between quotes, in one of its spellings.
func quotedForQuery(t *rapid.T, s string) string {
	quote := choose(t, "'", "'", `"`)
	style := pick(t, 4) // 2 doubles quotes, 3 escapes in turns
	var b strings.Builder
	for i, r := range s {
		switch {
		case style == 3 && i%2 == 0:
			b.WriteString(escaped(t, r))
		case r == '\\', string(r) == quote && style < 2:
			b.WriteString(`\` + string(r))
		case string(r) == quote:
			b.WriteString(quote + quote)
		default:
			b.WriteRune(r)
		}
	}
	return quote + b.String() + quote
}
