package query

import "math"

// truth evaluates a condition, with the three truths of A5 and the rules of B6.
func (s *Subject) truth(e Expr) Truth {
	switch e := e.(type) {
	case *And:
		t := True
		for _, term := range e.Terms {
			if t = t.and(s.truth(term)); t == False {
				break
			}
		}
		return t
	case *Or:
		t := False
		for _, term := range e.Terms {
			if t = t.or(s.truth(term)); t == True {
				break
			}
		}
		return t
	case *Not:
		return s.truth(e.X).not()
	case *Compare:
		return compare(e.Op, s.comparand(e.Op, e.L), s.comparand(e.Op, e.R))
	default:
		v := s.value(e)
		if v.Kind != Bool {
			return Unknown
		}
		return truthOf(v.Bool)
	}
}

// value gives the value of e. An object or array keeps its kind, for IS_OBJECT and
// IS_ARRAY; nothing else takes it for a value.
func (s *Subject) value(e Expr) Value {
	switch e := e.(type) {
	case *Literal:
		return e.Value
	case *property:
		return s.property(e)
	case *jsonPath:
		json, _ := s.find(e)
		return memberValue(json)
	case *builtin:
		return s.call(e)
	case *coalesce:
		if v := s.value(e.L); v.primitive() {
			return v
		}
		return s.value(e.R)
	case *Negate:
		v := s.value(e.X)
		if v.Kind != Number {
			return Value{}
		}
		return doubleValue(-v.Number)
	case *Arithmetic:
		l, r := s.value(e.L), s.value(e.R)
		if l.Kind != Number || r.Kind != Number {
			return Value{}
		}
		return doubleValue(e.Op.apply(l.Number, r.Number))
	default:
		return truthValue(s.truth(e))
	}
}

// comparand is the value of e beside op. What is missing in a body is null for
// equality, and a property without value is like a missing one.
func (s *Subject) comparand(op CompareOp, e Expr) Value {
	if m, ok := e.(*jsonPath); ok {
		json, found := s.find(m)
		if found == absent && !m.twin && (op == Equal || op == NotEqual) {
			return Value{Kind: Null}
		}
		return memberValue(json)
	}
	v := s.value(e)
	if v.Kind == Null && isText(e) {
		return Value{}
	}
	return v
}

// isText tells whether e is known to be a text: if it is null all the same, it is
// a property without value.
func isText(e Expr) bool {
	switch e := e.(type) {
	case *property:
		return true
	case *coalesce:
		return e.text
	}
	return false
}

func boolValue(b bool) Value { return Value{Kind: Bool, Bool: b} }

func textValue(s string) Value { return Value{Kind: String, Text: s} }

func truthValue(t Truth) Value {
	if t == Unknown {
		return Value{}
	}
	return boolValue(t == True)
}

// doubleValue is a number of conditions, which may be infinite.
func doubleValue(n float64) Value {
	if math.IsNaN(n) {
		return Value{}
	}
	return Value{Kind: Number, Number: n}
}
