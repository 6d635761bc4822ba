package injection

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

var (
	quiet  = slog.New(slog.DiscardHandler)
	pump7  = device.ID{Device: "pump-7"}
	pump8  = device.ID{Device: "pump-8"}
	failed = Rule{Effect: Fail, Operation: Report, Code: fault.ThrottlingException}
)

// added puts a rule in force.
func added(t *testing.T, table *Table, r Rule) {
	t.Helper()
	if _, err := table.Add(r, 0); err != nil {
		t.Fatal(err)
	}
}

func TestNoTable(t *testing.T) {
	var none *Table
	if hit := none.Meet(Report, pump7, ""); hit != (Hit{}) || hit.Err() != nil {
		t.Errorf("got %+v", hit)
	}
}

// TestEnd: a rule ends after its count, or its time, and is not listed then.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(quiet)
		r := failed
		r.Count, r.Device = 2, "pump-7"
		added(t, table, r)
		var got []bool
		for _, id := range []device.ID{pump7, pump8, pump7, pump7} {
			got = append(got, table.Meet(Report, id, "").Effect == Fail)
		}
		if got[0] != true || got[1] != false || got[2] != true || got[3] != false {
			t.Errorf("got %v", got)
		}
		if list := table.List(); len(list) != 0 || table.any.Load() {
			t.Errorf("left are %+v", list)
		}
		r = failed
		r.Duration = Duration(time.Minute)
		added(t, table, r)
		time.Sleep(time.Minute - 1)
		if table.Meet(Report, pump7, "").Effect != Fail || table.Meet(Twin, pump7, "").Effect != "" {
			t.Error("it is not in force")
		}
		if list := table.List(); len(list) != 1 || list[0].Hits != 1 || time.Until(list[0].Until) != 1 {
			t.Errorf("listed are %+v", list)
		}
		time.Sleep(time.Nanosecond)
		if table.Meet(Report, pump7, "").Effect != "" || len(table.List()) != 0 {
			t.Error("it is still in force")
		}
	})
}

// TestBounds: there are never more rules than may be.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(quiet)
		r := failed
		r.Count = 1
		for range MaxRules {
			added(t, table, r)
		}
		if _, err := table.Add(r, 0); !fault.Is(err, fault.InvalidOperation) {
			t.Errorf("one too many: %v", err)
		}
		// One that has only a count ends nevertheless.
		time.Sleep(MaxDuration)
		added(t, table, r)
		if n := table.Clear("1"); n != 0 {
			t.Errorf("cleared %d that had ended", n)
		}
		if n := table.Clear(""); n != 1 {
			t.Errorf("cleared %d", n)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := New(quiet)
		r := failed
		r.Rate, r.Duration = 5, Duration(time.Minute)
		added(t, table, r)
		passed := 0
		for range 100 { // ten seconds
			if table.Meet(Report, pump7, "").Effect == "" {
				passed++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if passed < 50 || passed > 55 {
			t.Errorf("%d of 100 have passed", passed)
		}
	})
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		rule Rule
		o    Operation
		id   string
		path string
		want bool
	}{
		{Rule{Operation: Report}, Report, "a", "", true},
		{Rule{Operation: Report}, Twin, "a", "", false},
		{Rule{}, Packet, "a", "", true},
		{Rule{}, HTTPS, "a", "/twins/a", false},
		{Rule{Operation: HTTPS}, HTTPS, "", "/devices", true},
		{Rule{Operation: HTTPS, Path: "/twins/"}, HTTPS, "", "/devices", false},
		{Rule{Operation: HTTPS, Path: "/twins/"}, HTTPS, "a", "/twins/a", true},
		{Rule{Operation: HTTPS, Device: "b"}, HTTPS, "a", "/twins/a", false},
	} {
		if got := c.rule.matches(c.o, c.id, c.path); got != c.want {
			t.Errorf("%+v, %s %s %s: %v", c.rule, c.o, c.id, c.path, got)
		}
	}
}

func TestParse(t *testing.T) {
	for text, says := range map[string]string{
		`{"effect":"fail","operation":"report","code":429001,"count":3}`:                 "",
		`{"effect":"drop","duration":"30s"}`:                                             "",
		`{"effect":"delay","delay":"2s","path":"/twins/","duration":"1m"}`:               "",
		`{"effect":"explode","count":1}`:                                                 "effect:",
		`{"effect":"drop"}`:                                                              "count or duration",
		`{"effect":"drop","duration":"2h"}`:                                              "duration:",
		`{"effect":"drop","duration":"-1s"}`:                                             "duration:",
		`{"effect":"drop","count":-1}`:                                                   "count:",
		`{"effect":"drop","count":1000001}`:                                              "count:",
		`{"effect":"drop","operation":"https","count":1}`:                                "can't be dropped",
		`{"effect":"drop","operation":"fly","count":1}`:                                  "operation:",
		`{"effect":"drop","device":"a/b","count":1}`:                                     "device:",
		`{"effect":"delay","count":1}`:                                                   "delay:",
		`{"effect":"delay","delay":"6m","count":1}`:                                      "delay:",
		`{"effect":"fail","count":1,"code":503001}`:                                      "operation:",
		`{"effect":"fail","operation":"packet","count":1,"code":503001}`:                 "operation:",
		`{"effect":"fail","operation":"report","count":1}`:                               "code:",
		`{"effect":"fail","operation":"report","count":1,"code":429999}`:                 "code:",
		`{"effect":"fail","operation":"report","count":1,"code":503001,"rate":-1}`:       "rate:",
		`{"effect":"fail","operation":"report","count":1,"code":503001,"path":"/twins"}`: "path:",
		`{"effect":"fail","path":"twins","count":1,"code":503001}`:                       "path:",
		`{"effects":"fail"}`:                                                             "unknown field",
		`{"effect":"drop","count":1} {}`:                                                 "behind the rule's end",
		``:                                                                               "EOF",
	} {
		_, err := Parse([]byte(text))
		switch {
		case says == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// TestOrders: what a device may order is bounded.
func TestOrders(t *testing.T) {
	order := func(properties map[string]string) (Order, bool) {
		return ParseOrder("pump-7", func(name string) string { return properties[name] })
	}
	if _, ok := order(map[string]string{PropertyType: "KillAmqpSession"}); ok {
		t.Error("an order for AMQP counts")
	}
	o, ok := order(map[string]string{PropertyType: "InvokeAuthError", propertyDelay: "60000", propertyDuration: "60000", propertyReason: strings.Repeat("x", 5000)})
	if !ok || o.Delay != MaxDelay || len(o.Reason) > 100 || len(o.rules) != 1 || o.rules[0].Duration != Duration(MaxDuration) || o.rules[0].Device != "pump-7" {
		t.Errorf("got %+v, %v", o, ok)
	}
	o, _ = order(map[string]string{PropertyType: "InvokeThrottling", propertyDelay: "-1", propertyDuration: "0"})
	if o.Delay != 0 || len(o.rules) != 3 || o.rules[0].Duration != Duration(time.Second) {
		t.Errorf("got %+v", o)
	}
	synctest.Test(t, func(t *testing.T) {
		table := New(quiet)
		for range MaxRules {
			table.Carry(o)
		}
		if n := len(table.List()); n != MaxRules {
			t.Errorf("%d rules", n)
		}
	})
}

// TestLog: what is injected is logged.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	table := New(slog.New(slog.NewTextHandler(&log, nil)))
	r := failed
	r.Count = 1
	added(t, table, r)
	table.Meet(Report, pump7, "")
	for _, want := range []string{`msg="fault injection begins" id=1 effect=fail operation=report code=429001`, `msg="fault injected" id=1`, "of=pump-7"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
}

// A table without rules costs what a comparison costs.
func BenchmarkMeet(b *testing.B) {
	table := New(quiet)
	for b.Loop() {
		table.Meet(Report, pump7, "")
	}
}
