package query

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/message"
)

// conditionCase is a line of testdata/conditions.jsonl, section B7 of the sheet.
type conditionCase struct {
	ID     string
	Msg    string
	C      string
	Result string
}

func conditionCases(t testing.TB) (cases []conditionCase) {
	t.Helper()
	for _, line := range lines(t, "testdata/conditions.jsonl") {
		var c conditionCase
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		cases = append(cases, c)
	}
	return cases
}

// messages reads testdata/messages.jsonl: the messages of B7. The twin of each is
// that of its device in the fixture.
func messages(t testing.TB) map[string]*Subject {
	t.Helper()
	devices := fixture(t)[Devices]
	subjects := map[string]*Subject{}
	for _, line := range lines(t, "testdata/messages.jsonl") {
		var m struct {
			ID          string
			Source      string
			Application map[string]*string
			System      struct {
				ContentType, ContentEncoding, MessageID, ConnectionDeviceID string
				EnqueuedTime                                                time.Time
			}
			Body json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		source, ok := message.ParseSource(strings.ToUpper(m.Source[:1]) + m.Source[1:])
		if !ok {
			t.Fatalf("there is no source %q", m.Source)
		}
		e := &message.Event{Source: source, DeviceID: m.System.ConnectionDeviceID, Enqueued: m.System.EnqueuedTime}
		e.Body = m.Body
		e.System[message.ContentType] = m.System.ContentType
		e.System[message.ContentEncoding] = m.System.ContentEncoding
		e.System[message.MessageID] = m.System.MessageID
		for name, value := range m.Application {
			p := message.Property{Name: name, Null: value == nil}
			if value != nil {
				p.Value = *value
			}
			e.Properties = append(e.Properties, p)
		}
		i := slices.IndexFunc(devices, func(d *memoryDoc) bool { return d.name == e.DeviceID })
		subjects[m.ID] = &Subject{Event: e, Twin: devices[i]}
	}
	return subjects
}

func TestConditionGolden(t *testing.T) {
	subjects := messages(t)
	cases := conditionCases(t)
	if len(cases) != 146 {
		t.Fatalf("%d cases, want 146", len(cases))
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			s := subjects[c.Msg]
			condition, err := ParseCondition(c.C, s.Event.Source)
			if c.Result == "error" {
				wantRefusal(t, err)
				return
			}
			if err != nil {
				t.Fatalf("%s\n%v", c.C, err)
			}
			if got := outcome(condition, s); got != c.Result {
				t.Errorf("%s: %s, want %s", c.C, got, c.Result)
			}
			reparse(t, condition, s.Event.Source)
		})
	}
}

// outcome is what B7 calls the result.
func outcome(c *Condition, s *Subject) string {
	return [...]string{Unknown: "undefined", False: "no", True: "match"}[c.Evaluate(s)]
}

// reparse holds that the canonical text is a fixed point.
func reparse(t *testing.T, c *Condition, source message.Source) {
	t.Helper()
	again, err := ParseCondition(c.String(), source)
	if err != nil || !reflect.DeepEqual(again, c) || again.String() != c.String() {
		t.Errorf("%s\nbecomes %v (%v)", c, again, err)
	}
}

// refusals are the beginnings of messages of B4.
var refusals = []string{
	"Invalid operands to binary operator ", "Invalid operand to unary operator ", "Invalid built-in function ",
	"Invalid arguments to built-in function ", "Syntax error: ",
}

func wantRefusal(t *testing.T, err error) {
	t.Helper()
	var e *Error
	switch {
	case !errors.As(err, &e):
		t.Fatalf("error %v, want an *Error", err)
	case !fault.Is(err, fault.ArgumentInvalid):
		t.Errorf("fault %v, want ArgumentInvalid", fault.Of(err).Code)
	case !slices.ContainsFunc(refusals, func(r string) bool { return strings.HasPrefix(e.Message, r) }):
		t.Errorf("message %q", e.Message)
	}
}

// TestConditionValues has what the golden cases leave out. The message is m1 unless
// the table says another.
func TestConditionValues(t *testing.T) {
	subjects := messages(t)
	for _, c := range []struct{ text, want string }{
		{"", "undefined"}, {" /* nothing */ ", "undefined"}, {"null", "no"}, {"'a'", "undefined"}, {"undefined", "undefined"},
		{"$body.nul", "undefined"}, {"$body.temp", "undefined"}, {"$body", "undefined"}, {"$twin", "undefined"},

		// names
		{"a+b = 'x'", "undefined"}, {"is_defined(level!)", "no"}, {"level!!='x'", "undefined"}, {"-level = 'x'", "undefined"},
		{"$zone-id = 'N7'", "undefined"}, {"{ $MESSAGEID } = 'm-1'", "match"}, {"{$level} = 'storage'", "undefined"},
		{"$ = 'x'", "undefined"}, {"$bodyx = 'x'", "undefined"}, {"$enqueuedTime >= '2024-03-05'", "match"},
		{"is_string($enqueuedTime)", "match"}, {"trueish = 'x' OR true", "match"}, {"$MessageId || '!' = 'm-1!'", "match"},

		// numbers
		{".5 = 0.5 AND -.5 = - (.5) AND 1E2 = 100 AND - 3 = -3", "match"}, {"10e1000 = 1 / 0", "match"}, {"-10e1000 < 0", "match"},
		{"1. = 'x'", "undefined"}, {"1e = 'x'", "undefined"}, {"0X1f = 31", "match"}, {"0x = 'x'", "undefined"},
		{"is_defined(0 / 0)", "no"}, {"is_defined(10e1000)", "match"}, {"9007199254740993 = 9007199254740992", "match"},
		{"3 % 0 ?? 12 = 12", "error"}, {"(3 % 0 ?? 12) = 12", "match"}, {"-(3) - -(4) * -2 = -11", "match"}, {"- - 3 = 3", "match"},
		{"7 - 4 - 2 = 1 AND 8 / 4 / 2 = 1 AND 2 + 3 * 4 % 5 = 4", "match"},
		{"null + null = 0", "undefined"}, {"3 + null = 3", "error"}, {"as_number(severity) + $body.temp = 53", "match"},

		// text
		{`'it\'s' = "it's" AND "\"" = '"' AND '\\' = "\u005C"`, "match"}, {"'it''s' = 'x'", "error"}, {"'a'and'b' = 'x'", "error"},
		{"level = 'storage'and true", "match"}, {"'a' || 'b'='ab'", "match"}, {"'B' < 'a' AND 'a' < 'ab'", "match"}, {`'\n' = 'x'`, "error"},

		// null, missing and undefined
		{"null = null AND NOT (null != null)", "match"}, {"(null AND missing = 'x') = null", "match"}, {"(missing = 'x' AND null) = null", "match"},
		{"(null OR null) = null", "match"}, {"missing = 'x' OR null", "undefined"}, {"NOT (null AND true)", "match"},
		{"undefined AND false", "no"}, {"undefined OR false", "undefined"}, {"NOT undefined", "error"}, {"undefined = undefined", "undefined"},
		{"level = null", "error"}, {"$body.gone = null AND $body.temp.gone = null AND $body.arr[0].gone = null", "match"},
		{"NOT ($body.gone != null)", "match"}, {"$body.gone <= null", "undefined"}, {"abs($body.gone) = null", "error"}, {"abs($body.gone) = 0", "undefined"},
		{"$body.gone + 1 = 1", "undefined"}, {"is_null($body.gone)", "no"}, {"$body.gone = $body.nul", "match"}, {"NOT $body.nul", "undefined"},
		{"($body.gone ?? $body.temp) = 50", "match"}, {"($body.pos ?? 'x') = 'x'", "match"}, {"$body.arr = null", "undefined"},
		{"$body = null", "undefined"}, {"$body[0] = null", "undefined"}, {"$missing <> $body.gone", "undefined"},
		{"bare <> 'x'", "undefined"}, {"(bare ?? 'x') = 'x'", "undefined"}, {"(bare ?? 'x') || '.' = '.'", "match"}, {"bare = $body.nul", "undefined"},
		{"is_string(bare)", "no"}, {"length(bare) = 0", "undefined"}, {"$body.nul || 'x' = 'x'", "undefined"}, {"as_number(bare) = 0", "undefined"},

		// operands
		{"$body.temp + 1 = 'x'", "no"}, {"$body.temp = $body.code", "no"}, {"$body.temp = $body.arr[1] + 20", "match"}, {"$body.on = true AND $body.off <> true", "match"},
		{"true = (1 = 1)", "match"}, {"1 < 2 = true", "match"}, {"true < false", "undefined"}, {"1 = 1 = 1", "error"}, {"$body.temp || 'x' = 'x'", "undefined"},
		{"- $body.half = 0.5", "match"}, {"- level = 'x'", "error"}, {"- null = 0", "error"}, {"level AND true", "error"}, {"true AND 3", "error"},
		{"$body.on AND $body.temp", "undefined"}, {"$body.off AND $body.temp", "no"}, {"'a' || 3 = 'a3'", "error"}, {"(level ?? 3) = 'x'", "error"},
		{"(undefined ?? undefined) = undefined", "undefined"}, {"(missing ?? missing ?? 'x') = 'x'", "match"}, {"'a' + 'b' = 'ab'", "error"},

		// functions
		{"length('😀ø') = 3", "match"}, {"index_of('😀x', 'x') = 2", "match"}, {"index_of('x', '') = 0", "match"}, {"substring('😀xy', 2, 1) = 'x'", "match"},
		{"substring('abc', 4) = 'x'", "undefined"}, {"substring('abc', -1) = 'x'", "undefined"}, {"substring('abc', 1, 0) = ''", "match"},
		{"substring('abc', 1, 3) = 'x'", "undefined"}, {"substring('abc', 1, -2) = 'x'", "undefined"}, {"substring('abc', 1.7) = 'bc'", "match"},
		{"substring('abc', 1 % 0) = 'x'", "undefined"}, {"substring('abc', 1 / 0) = 'x'", "undefined"}, {"substring('abc', 1, 1 / 0) = 'x'", "undefined"},
		{`substring('😀', 1) = '\ud83d'`, "match"}, {"lower('ÆØ') = 'æø' AND UPPER('æø') = 'ÆØ'", "match"}, {"contains('abc', '')", "match"},
		{"as_number(' -1,234.5E+1 ') = -12345", "match"}, {"as_number('1,000e2') = 100000", "match"}, {"as_number('10e1000') = 1 / 0", "match"},
		{"as_number('.5') = 0.5 AND as_number('5.') = 5", "match"}, {"as_number(',1') = 1", "undefined"}, {"as_number('1e') = 1", "undefined"},
		{"as_number('0x10') = 16", "undefined"}, {"as_number('Infinity') > 1", "undefined"}, {"as_number('') = 0", "undefined"}, {"as_number('1.2,3') > 1", "undefined"},
		{"as_number(as_number(4)) = 4", "match"}, {"as_number(true) = 1", "error"}, {"as_number($body.on) = 1", "undefined"},
		{"power(10, 4000) = 1 / 0 AND sign(-3 / 0) = -1 AND sign(0) = 0", "match"}, {"power($body.name, 2) = 1", "undefined"}, {"power(2, $body.name) = 1", "undefined"},
		{"floor(-2.1) = -3 AND ceiling(-2.1) = -2 AND abs(-12) = 12", "match"}, {"abs(1, 2) = 1", "error"}, {"abs() = 1", "error"}, {"abs(null) = 1", "error"},
		{"is_number(undefined)", "no"}, {"is_primitive(null) AND is_primitive(bare) AND is_null(null)", "match"}, {"is_primitive($body.pos)", "no"},
		{"is_bool(1 = 1) AND NOT is_bool(missing = 'x')", "match"}, {"is_array($body.pos)", "no"}, {"is_object($body.arr)", "no"}, {"is_string($body.when)", "no"},
		{"is_defined($body.when)", "no"}, {"concat('a', null) = 'a'", "error"}, {"concat('a', undefined) = 'a'", "error"}, {"is_defined(concat('a', missing))", "no"},
		{"concat(concat('a', 'b'), 'c') || 'd' = 'abcd'", "match"}, {"starts_with('a', 3)", "error"}, {"is_null()", "error"}, {"substring('a', 1, 2, 3) = 'x'", "error"},
		{"abs (1) = 1", "match"}, {"abs(1,) = 1", "error"}, {"count() = 1", "error"}, {"and(true)", "error"},

		// paths
		{"$body.a..b = 1", "error"}, {"$body. = 1", "error"}, {"$body.a[] = 1", "error"}, {"$body.a[x] = 1", "error"}, {"$body.a[1 = 1", "error"}, {"$body.a[1]b = 1", "error"}, {"$body.a[0]x1] = 1", "error"},
		{"$body.[0] = 1", "error"}, {"$body.a]b = 1", "error"}, {"$body.arr[0][0] = null", "match"}, {"$body.arr[00001] = 30", "match"}, {"$body.arr[99999999999] = 30", "error"},
		{"$twin.Tags.SITE = 'Oslo' AND $TWIN.tags.cost-center = 'A-7'", "match"}, {"is_defined($twin.PROPERTIES.Reported.LastDesiredStatus.Code)", "match"},
		{"$twin.tags.nope.deeper = null", "undefined"}, {"$twin.tags.site[0] = 'O'", "undefined"}, {"$twin.statusUpdateTime > '2'", "undefined"},
		{"{$twin.tags.site} = 'Oslo'", "match"}, {"$twin.properties.desired.$version = 3", "match"}, {"is_object($twin.tags)", "match"},

		// syntax
		{"level =", "error"}, {"= level", "error"}, {"level 'x'", "error"}, {"()", "error"}, {"(true))", "error"}, {"{level} = 'x'", "error"}, {"{$level = 'x'", "error"},
		{"true ? false", "error"}, {"true /* open", "error"}, {"level = ‘x’", "undefined"}, {"a && b", "error"}, {"true;", "error"}, {"a[0] = 'x'", "error"}, {"\xff", "error"},
	} {
		s := subjects["m1"]
		condition, err := ParseCondition(c.text, s.Event.Source)
		if c.want == "error" {
			if err == nil {
				t.Errorf("%s is not refused: %s", c.text, condition)
				continue
			}
			wantRefusal(t, err)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := outcome(condition, s); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
		reparse(t, condition, s.Event.Source)
	}
}
