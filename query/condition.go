package query

import (
	"strconv"
	"strings"

	"github.com/hubtwin/hubtwin/message"
)

// Condition is the compiled condition of a route. It does not change; many
// goroutines may evaluate it at once, each on a [Subject] of its own.
type Condition struct {
	root Expr // nil for the empty text
	body bool
	twin bool
}

// ParseCondition compiles the condition of a route for messages of source, and
// checks the types that are known (B4). "true" holds for every message; the empty
// text never holds, so a route without a condition is the caller's to know.
//
// The text has up to MaxText characters and nests up to 200 deep. The error is an
// *Error, which wraps ArgumentInvalid. Its Message begins as the service's does:
// "Syntax error: ", "Invalid operands to binary operator", "Invalid operand to
// unary operator", "Invalid built-in function" or "Invalid arguments to built-in
// function".
func ParseCondition(text string, source message.Source) (*Condition, error) {
	if longer(text, MaxText) {
		return nil, &Error{Message: "the condition is longer than " + strconv.Itoa(MaxText) + " characters"}
	}
	p := &conditionParser{conditionLexer: conditionLexer{scanner{text: text}}, source: source}
	c := p.condition()
	if p.err == nil {
		return c, nil
	}
	if !strings.HasPrefix(p.err.Message, "Invalid ") {
		p.err.Message = "Syntax error: " + p.err.Message
	}
	return nil, p.err
}

// Holds tells whether the message of s matches: the condition is true, not false
// and not undefined. Unless the condition joins or converts text, or looks into a
// body or twin, it allocates nothing.
func (c *Condition) Holds(s *Subject) bool { return c.Evaluate(s) == True }

// Evaluate is the condition's truth, for those who want to tell false from
// undefined. A condition that is not a Boolean is undefined, except that the
// literal null is false.
func (c *Condition) Evaluate(s *Subject) Truth {
	if l, ok := c.root.(*Literal); ok && l.Value.Kind == Null {
		return False
	}
	if c.root == nil {
		return Unknown
	}
	return s.truth(c.root)
}

// UsesBody tells whether the condition looks into the message's body.
func (c *Condition) UsesBody() bool { return c.body }

// UsesTwin tells whether the condition looks at the twin: if not, Subject.Twin
// need not be there.
func (c *Condition) UsesTwin() bool { return c.twin }

// String is the condition in canonical text, from which ParseCondition makes an
// equal one, unless it has become longer than MaxText.
func (c *Condition) String() string {
	if c.root == nil {
		return ""
	}
	return string(appendCondition(nil, c.root, precCoalesce))
}

// The nodes that only conditions have. With them a condition is made of
// *Literal, *Negate, *Arithmetic, *Compare, *Not, *And and *Or.

// property is a property of the message: of the application, of the system, or
// the first of the two that there is.
type property struct {
	name   string // with $ unless it is of the application
	braces bool   // {$name}: of the system only
}

// jsonPath leads to a value inside of the body or the twin.
type jsonPath struct {
	twin  bool
	path  []step // empty for the body or twin itself, which is undefined
	names Path   // of a twin, the steps before the first index; in canonical spelling
}

// step goes from a value to one in it: a member of an object, or an element.
type step struct {
	key   string
	index int // of an element; -1 for a member
}

// coalesce is L if that is defined, else R.
type coalesce struct {
	L, R Expr
	text bool // of the known type text
}

// builtin applies a function of conditions.
type builtin struct {
	function builtinFunction
	args     []Expr
}

func (*property) expr() {}
func (*jsonPath) expr() {}
func (*coalesce) expr() {}
func (*builtin) expr()  {}
