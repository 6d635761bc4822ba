package query

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A meaning is what a piece of query text should give for a document, worked
// out over plain Go values: missing{}, nil, bool, float64, string, []any,
// map[string]any. It knows nothing of the parser and its tree.
type meaning func(doc map[string]any) any

type missing struct{}

// phrase is a piece of generated text with its meaning.
type phrase struct {
	text string
	mean meaning
}

// writer generates phrases, a method for each rule of the grammar. Texts have
// no more parentheses than the grammar asks for, so precedence is tested too.
type writer struct {
	t     *rapid.T
	depth int
}

func (w *writer) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, label) }

func (w *writer) choose(words ...string) string {
	return rapid.SampledFrom(words).Draw(w.t, "word")
}

// blank is what may stand between two tokens.
func (w *writer) blank() string { return w.choose(" ", "  ", "\n", " /* - */ ", "\t") }

func (w *writer) expr() phrase {
	first := w.and()
	for range w.pick("ors", 3) {
		l, r := first, w.and()
		first = phrase{l.text + w.blank() + w.choose("OR", "or", "Or") + w.blank() + r.text, func(d map[string]any) any {
			return either(l.mean(d), r.mean(d))
		}}
	}
	return first
}

func (w *writer) and() phrase {
	first := w.not()
	for range w.pick("ands", 3) {
		l, r := first, w.not()
		first = phrase{l.text + w.blank() + w.choose("AND", "and") + w.blank() + r.text, func(d map[string]any) any {
			// De Morgan: both hold unless either fails.
			return opposite(either(opposite(l.mean(d)), opposite(r.mean(d))))
		}}
	}
	return first
}

func either(l, r any) any {
	switch {
	case l == true || r == true:
		return true
	case l == false && r == false:
		return false
	default:
		return missing{}
	}
}

func opposite(x any) any {
	if b, ok := x.(bool); ok {
		return !b
	}
	return missing{}
}

func (w *writer) not() phrase {
	if w.pick("not", 5) > 0 {
		return w.comparison()
	}
	x := w.not()
	return phrase{w.choose("NOT", "not") + w.blank() + x.text, func(d map[string]any) any { return opposite(x.mean(d)) }}
}

func (w *writer) comparison() phrase {
	l := w.sum()
	switch w.pick("comparison", 4) {
	case 0:
		return l
	case 1:
		return w.in(l)
	}
	sign := w.choose("=", "!=", "<>", "<", "<=", ">", ">=")
	r := w.sum()
	return phrase{l.text + w.blank() + sign + w.blank() + r.text, func(d map[string]any) any {
		return compared(sign, l.mean(d), r.mean(d))
	}}
}

func isPrimitive(x any) bool {
	switch x.(type) {
	case nil, bool, float64, string:
		return true
	}
	return false
}

func compared(sign string, l, r any) any {
	if !isPrimitive(l) || !isPrimitive(r) {
		return missing{}
	}
	switch sign {
	case "=":
		return l == r
	case "!=", "<>":
		return l != r
	}
	if a, ok := l.(float64); ok {
		if b, ok := r.(float64); ok {
			return ordered(sign, a < b, a > b)
		}
	}
	if a, ok := l.(string); ok {
		if b, ok := r.(string); ok {
			return ordered(sign, a < b, a > b)
		}
	}
	return missing{}
}

func ordered(sign string, before, after bool) bool {
	switch sign {
	case "<":
		return before
	case "<=":
		return !after
	case ">":
		return after
	default:
		return !before
	}
}

func (w *writer) in(l phrase) phrase {
	word := w.choose("IN", "in", "NIN")
	list := w.array()
	return phrase{l.text + w.blank() + word + w.blank() + list.text, func(d map[string]any) any {
		x := l.mean(d)
		if !isPrimitive(x) {
			return missing{}
		}
		found := false
		for _, elem := range list.mean(d).([]any) {
			found = found || isPrimitive(elem) && elem == x
		}
		return found != (word == "NIN")
	}}
}

func (w *writer) array() phrase {
	var texts []string
	var values []any
	for range w.pick("elements", 4) {
		c := w.constant()
		texts = append(texts, c.text)
		values = append(values, c.mean(nil))
	}
	return phrase{"[ " + strings.Join(texts, ",") + "]", func(map[string]any) any { return values }}
}

func (w *writer) sum() phrase {
	first := w.product()
	for range w.pick("sums", 2) {
		first = w.calculation(first, w.choose("+", "-"), w.product())
	}
	return first
}

func (w *writer) product() phrase {
	first := w.unary()
	for range w.pick("products", 2) {
		first = w.calculation(first, w.choose("*", "/", "%"), w.unary())
	}
	return first
}

func (w *writer) calculation(l phrase, sign string, r phrase) phrase {
	return phrase{l.text + " " + sign + w.blank() + r.text, func(d map[string]any) any {
		a, ok := l.mean(d).(float64)
		b, ok2 := r.mean(d).(float64)
		if !ok || !ok2 || b == 0 && (sign == "/" || sign == "%") {
			return missing{}
		}
		switch sign {
		case "+":
			a += b
		case "-":
			a -= b
		case "*":
			a *= b
		case "/":
			a /= b
		default:
			a = math.Mod(a, b)
		}
		if math.IsInf(a, 0) {
			return missing{}
		}
		return a
	}}
}

func (w *writer) unary() phrase {
	if w.pick("minus", 6) > 0 {
		return w.primary()
	}
	x := w.primary()
	return phrase{"-" + x.text, func(d map[string]any) any {
		if n, ok := x.mean(d).(float64); ok {
			return -n
		}
		return missing{}
	}}
}

func (w *writer) primary() phrase {
	w.depth++
	defer func() { w.depth-- }()
	kinds := 8
	if w.depth > 3 {
		kinds = 6 // nothing that goes deeper
	}
	switch w.pick("primary", kinds) {
	case 0:
		return w.constant()
	case 1:
		return w.array()
	case 6:
		e := w.expr()
		return phrase{"(" + e.text + ")", e.mean}
	case 7:
		return w.call()
	default:
		return w.path()
	}
}

func (w *writer) constant() phrase {
	value := func(text string, v any) phrase { return phrase{text, func(map[string]any) any { return v }} }
	switch w.pick("constant", 9) {
	case 0:
		return value("true", true)
	case 1:
		return value("False", false)
	case 2:
		return value("null", nil)
	case 3:
		return value("undefined", missing{})
	case 4:
		return value("0x2", 2.0)
	case 5:
		n := rapid.SampledFrom([]float64{0, 1, 2, 2.5, 1e21, 1e-7, 9007199254740991}).Draw(w.t, "number")
		return value(strconv.FormatFloat(n, 'g', -1, 64), n)
	default:
		s := rapid.SampledFrom([]string{"", "a", "b", "ab", "it's", `"`, `\`, "ø", "\n", "😀"}).Draw(w.t, "string")
		switch w.pick("quotes", 3) {
		case 0:
			return value("'"+strings.NewReplacer(`\`, `\\`, "'", "''").Replace(s)+"'", s)
		case 1:
			return value(`"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)+`"`, s)
		default:
			escaped := "'"
			for _, r := range s {
				if r > 0xffff {
					escaped += string(r)
				} else {
					escaped += fmt.Sprintf(`\u%04X`, r)
				}
			}
			return value(escaped+"'", s)
		}
	}
}

// userKeys are the keys of documents below tags, as written in paths.
var userKeys = map[string]string{
	"a": "a", "A": "A", "b": "b", "c-d": "c-d", "[[x:y]]": "x:y", "[[group]]": "group", "from": "from", "5g": "5g", "$v": "$v",
}

func (w *writer) path() phrase {
	text := w.choose("", "devices.", "DEVICES.") + w.choose("tags", "Tags")
	keys := []string{"tags"}
	for range 1 + w.pick("keys", 2) {
		key := rapid.SampledFrom([]string{"a", "a", "b", "b", "A", "c-d", "[[x:y]]", "[[group]]", "from", "5g", "$v"}).Draw(w.t, "key")
		text += "." + key
		keys = append(keys, userKeys[key])
	}
	return phrase{text, func(d map[string]any) any {
		var at any = d
		for _, k := range keys {
			m, _ := at.(map[string]any)
			v, ok := m[k]
			if !ok {
				return missing{}
			}
			at = v
		}
		return at
	}}
}

var typeTests = map[string]func(any) bool{
	"IS_NULL":      func(x any) bool { return x == nil },
	"IS_BOOL":      func(x any) bool { _, ok := x.(bool); return ok },
	"IS_NUMBER":    func(x any) bool { _, ok := x.(float64); return ok },
	"is_string":    func(x any) bool { _, ok := x.(string); return ok },
	"IS_OBJECT":    func(x any) bool { _, ok := x.(map[string]any); return ok },
	"IS_ARRAY":     func(x any) bool { _, ok := x.([]any); return ok },
	"IS_PRIMITIVE": isPrimitive,
	"IS_DEFINED":   func(any) bool { return true }, // the missing value is no question of type
}

func (w *writer) call() phrase {
	name := w.choose("IS_NULL", "IS_BOOL", "IS_NUMBER", "is_string", "IS_OBJECT", "IS_ARRAY", "IS_PRIMITIVE",
		"IS_DEFINED", "STARTSWITH", "EndsWith", "ARRAY_CONTAINS")
	x := w.path()
	if test, ok := typeTests[name]; ok {
		if name != "IS_DEFINED" {
			x = w.sum()
		}
		return phrase{name + w.choose("", " ") + "(" + x.text + ")", func(d map[string]any) any {
			v := x.mean(d)
			if _, gone := v.(missing); gone {
				return false
			}
			return test(v)
		}}
	}
	y := w.sum()
	return phrase{name + "(" + x.text + " , " + y.text + ")", func(d map[string]any) any {
		l, r := x.mean(d), y.mean(d)
		if name == "ARRAY_CONTAINS" {
			return contained(l, r)
		}
		s, ok := l.(string)
		part, ok2 := r.(string)
		switch {
		case !ok || !ok2:
			return missing{}
		case name == "STARTSWITH":
			return strings.HasPrefix(s, part)
		default:
			return strings.HasSuffix(s, part)
		}
	}}
}

func contained(array, x any) any {
	list, ok := array.([]any)
	if _, gone := x.(missing); gone || !ok {
		return missing{}
	}
	for _, elem := range list {
		if reflect.DeepEqual(elem, x) || reflect.DeepEqual(elem, []any{}) && isEmptyList(x) {
			return true
		}
	}
	return false
}

func isEmptyList(x any) bool {
	list, ok := x.([]any)
	return ok && len(list) == 0
}

// value generates what a document may hold.
func (w *writer) value(depth int) any {
	kinds := 9
	if depth == 0 {
		kinds = 7
	}
	switch w.pick("value", kinds) {
	case 0:
		return nil
	case 1:
		return true
	case 2:
		return false
	case 3, 4:
		return rapid.SampledFrom([]float64{0, 1, 2, 2.5, -1, 1e21, 9007199254740991}).Draw(w.t, "number")
	case 5, 6:
		return rapid.SampledFrom([]string{"", "a", "b", "ab", "it's", `"`, `\`, "ø", "\n", "😀"}).Draw(w.t, "string")
	case 7:
		list := []any{}
		for range w.pick("elements", 3) {
			list = append(list, w.value(depth-1))
		}
		return list
	default:
		return w.object(depth - 1)
	}
}

func (w *writer) object(depth int) map[string]any {
	m := map[string]any{}
	for range w.pick("members", 6) {
		m[w.choose("a", "b", "A", "c-d", "x:y", "group", "from", "5g", "$v")] = w.value(depth)
	}
	return m
}

// TestMeaning: conditions made by the grammar mean what a plain reading of the
// sheet says, and so do their canonical texts.
func TestMeaning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &writer{t: rt}
		c := w.expr()
		q, err := parse(c.text, 1<<20, (*parser).target)
		if err != nil {
			rt.Fatalf("%s\n%v", c.text, err)
		}
		again, err := parse(q.String(), 1<<20, (*parser).query)
		if err != nil || !reflect.DeepEqual(again, q) || again.String() != q.String() {
			rt.Fatalf("%s\nprints as %s\nand again as %v (%v)", c.text, q, again, err)
		}
		for range 3 {
			doc := map[string]any{"deviceId": "d", "tags": w.object(2)}
			text, _ := json.Marshal(doc)
			want := Unknown
			if b, ok := c.mean(doc).(bool); ok {
				want = truthOf(b)
			}
			if got := Matches(q.Where, newDoc(t, string(text))); got != want {
				rt.Fatalf("%s\non %s\nis %v, want %v", c.text, text, got, want)
			}
		}
	})
}

// TestGeneratedQueries: whole queries made by the grammar parse, and print to
// a fixed point.
func TestGeneratedQueries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &writer{t: rt}
		text := w.query()
		q, err := parse(text, 1<<20, (*parser).query)
		if err != nil {
			rt.Fatalf("%s\n%v", text, err)
		}
		again, err := parse(q.String(), 1<<20, (*parser).query)
		if err != nil || !reflect.DeepEqual(again, q) || again.String() != q.String() {
			rt.Fatalf("%s\nprints as %s\nand again as %v (%v)", text, q, again, err)
		}
	})
}

func (w *writer) query() string {
	text := w.choose("SELECT ", "select\n") + w.choose("", "", "TOP 3 ", "TOP (12) ")
	var groups, items []string
	star := w.pick("star", 3) == 0
	if !star {
		for range w.pick("groups", 3) {
			groups = append(groups, w.path().text)
		}
		for range 1 + w.pick("items", 3) {
			items = append(items, w.item(groups))
		}
		text += strings.Join(items, ",")
	} else {
		text += "*"
	}
	text += w.choose("", " FROM devices", " from Devices")
	if w.pick("where", 2) == 0 {
		text += w.blank() + "WHERE " + w.expr().text
	}
	if groups != nil {
		text += w.blank() + "GROUP  by " + strings.Join(groups, " , ")
	}
	return text
}

// item is an aggregate or, if groups allow it, one of their paths.
func (w *writer) item(groups []string) string {
	alias := w.choose("", "", " AS n", " as x-1", " AS $1", " AS status")
	if groups != nil && w.pick("item", 2) == 0 {
		return w.choose(groups...) + alias
	}
	if w.pick("count", 2) == 0 {
		return "COUNT()" + alias
	}
	return w.choose("count", "AVG ", "SUM", "MIN", "Max") + "(" + w.path().text + ")" + alias
}
