package query

import "strings"

// unexpected fails at the token: what says what could stand there.
func (p *parser) unexpected(what string) {
	if p.err != nil {
		return
	}
	t := p.tok
	found := "the end"
	if t.kind != end {
		found = quoted(p.text[t.start:t.end])
	}
	p.fail(t.start, p.hint(t, what), "expected %s, found %s", what, found)
}

// wordHints are for words of other dialects, wherever they come unexpectedly.
var wordHints = map[string]string{
	"like":     "there is no LIKE; write STARTSWITH(path, 'text') or ENDSWITH(path, 'text')",
	"between":  "there is no BETWEEN; write path >= a AND path <= b",
	"order":    "there is no ORDER BY; rows come by deviceId and moduleId",
	"limit":    "there is no LIMIT; write SELECT TOP n",
	"offset":   "there is no OFFSET; page through the rows with the continuation token",
	"having":   "there is no HAVING; filter the groups after the query",
	"join":     "there are no joins",
	"distinct": "there is no DISTINCT; GROUP BY gives each value once",
	"exists":   "there is no EXISTS; write IS_DEFINED(path)",
	"is":       "write IS_NULL(path) or IS_DEFINED(path)",
	"not":      "write path NIN ['a', 'b']; NOT stands before a whole comparison, elsewhere in parentheses",
	"group":    "the key group is written [[group]]",
	"&&":       "write AND",
	"||":       "write OR",
	"==":       "equality is written =",
	"=>":       "write >=",
	"=<":       "write <=",
	"!":        "write NOT, or != for inequality",
	":":        "a key with ':' is written in double square brackets: tags.[[a:b]]",
	"{":        "braces belong to message routing",
	".":        "names stand without blanks around '.', numbers have a digit before it",
	"-":        "one minus sign is enough; comments are written /* */",
}

// hint finds what to write instead of token t, where what could stand.
func (p *parser) hint(t token, what string) string {
	before := strings.TrimSpace(p.text[:t.start])
	switch {
	case what == "'['" && t.kind == leftParen:
		return "the list stands in square brackets: IN ['a', 'b']"
	case what == "'['" && strings.HasPrefix(p.text[t.start:], "[["):
		return "arrays in arrays are written with a blank: [ [1], [2] ]"
	case what == "'*', a path or an aggregate" && (t.kind == from || t.kind == end):
		return "the select list is empty; for whole documents write SELECT *"
	case t.kind == leftBracket && strings.HasPrefix(what, "an operator"):
		return "elements of an array have no path; write ARRAY_CONTAINS(path, value)"
	case t.kind >= plus && t.kind <= percent && strings.HasPrefix(what, "FROM"):
		return "the select list has no arithmetic"
	case t.kind == path && strings.HasSuffix(before, "-") && strings.HasPrefix(what, "an operator"):
		return "'-' is a character of names; put a blank before it to subtract"
	default:
		return wordHints[strings.ToLower(p.text[t.start:t.end])]
	}
}

// functionHints are for functions that the twin dialect does not have.
var functionHints = map[string]string{
	"starts_with": "write STARTSWITH",
	"ends_with":   "write ENDSWITH",
	"contains":    "for arrays write ARRAY_CONTAINS, for text STARTSWITH or ENDSWITH",
	"exists":      "write IS_DEFINED",
}

// functionHint says what to write instead of an unknown function.
func functionHint(name string) string {
	switch lower := strings.ToLower(name); lower {
	case "index_of", "length", "lower", "upper", "substring", "concat", "as_number",
		"abs", "exp", "power", "square", "ceiling", "floor", "sign", "sqrt":
		return "it belongs to message routing"
	case "count", "avg", "sum", "min", "max":
		return "aggregates stand in the select list only"
	default:
		return functionHints[lower]
	}
}
