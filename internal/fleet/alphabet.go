package fleet

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/twin"
)

// frequent keys are in most objects. They lead to a number (a), a string (b), a
// value of which nearly each twin has its own (n), and a Boolean (A) more often
// than to anything else.
var frequent = []string{"a", "b", "n", "A"}

// seldom are the other names of users. What a query must put into double square
// brackets is among them, and a name that differs from another by case only.
var seldom = []string{"B", "c-d", "x:y", "group", "from", "5g", "ø"}

// Values that keys lead to are drawn by kind; each number is a list of
// spellings of one double.
var numbers = [][]string{
	{"1", "1.0", "1e0", "10e-1", "0.1E+1"},
	{"0", "-0", "0.0", "0e5", "-0.0", "1e-400"},
	{"2", "2.0", "20e-1"},
	{"-1", "-1.0"},
	{"0", "-0", "-0.0"},
	{"-2.5", "-25e-1"},
	{"2.5", "25e-1", "2.50"},
	{"1000", "1e3", "1E+3", "1000.0"},
	{"0.1", "1e-1", "0.1000000000000000055511151231257827"},
	{"0.30000000000000004", "0.3000000000000000444"},
	{"4503599627370495"}, // the largest integer of twins
	{"-4503599627370496"},
	{"9007199254740992.0", "9007199254740993.0"},
	{"1e308"},
}

// infinite are numbers that twins hold and doubles do not. No query can name
// them.
var infinite = []string{"1e999", "-1e999", "2e400"}

// texts are the characters of strings.
var texts = []string{
	"a", "b", "ab", "", "abc", "A", "1", "1.0", "true", "null", "ø", "it's", `"`, `\`, "a/b", "\n", "😀", "\ufffd", "\x00",
	longText + "a", longText + "b", longText,
}

// longText is longer than anything that an index might keep whole.
var longText = strings.Repeat("long ", 60)

// distinct is how many values there are of the kind of which twins have nearly
// one each.
const distinct = 4096

func serialText(n int) string { return fmt.Sprintf("v%04d", n) }

// models are the model ids of devices; "" is none.
var models = []string{"", "dtmi:a;1", "dtmi:a;2"}

// instants are the times at which things happen, as seconds after the first.
var instants = []float64{0, 1, 1.5, 60, 60.1234567, 86400}

func instant(i int) time.Time {
	ticks := time.Duration(instants[i]*1e7+0.5) * 100
	return time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC).Add(ticks)
}

// Instant draws the time of a change: one of few, each later than some others.
func Instant(t *rapid.T) time.Time { return instant(pick(t, len(instants))) }

// instantTexts are those times as twins and as identities spell them, and
// beginnings of them.
var instantTexts = func() (list []string) {
	for i := range instants {
		list = append(list, string(twin.AppendTime(nil, instant(i))), device.FormatTime(instant(i)))
	}
	return append(list, "2024", "2024-02-29", "2024-03-01T00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00")
}()

// deviceIDs and moduleIDs are few, and begin like each other.
var (
	deviceIDs = []string{"d1", "d2", "d10", "d11", "d", "D1", "d3", "d12", "d:1", "e"}
	moduleIDs = []string{"m1", "m2", "m", "$edgeAgent"}
)

// DeviceID draws the id of a device, of ten.
func DeviceID(t *rapid.T) device.ID { return device.ID{Device: choose(t, deviceIDs...)} }

// ModuleID draws the id of a module, of forty.
func ModuleID(t *rapid.T) device.ID {
	return device.ID{Device: choose(t, deviceIDs...), Module: choose(t, moduleIDs...)}
}

func key(t *rapid.T) string {
	if oneIn(t, 6) {
		return choose(t, seldom...)
	}
	return choose(t, frequent...)
}

// pick draws a number below n, small ones a little more often.
func pick(t *rapid.T, n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }

// oneIn is true once in about n times.
func oneIn(t *rapid.T, n int) bool { return pick(t, n) == n-1 }

func choose(t *rapid.T, list ...string) string { return rapid.SampledFrom(list).Draw(t, "choice") }

// chooseNumber draws a spelling of a number that a query can name.
func chooseNumber(t *rapid.T) string {
	if oneIn(t, 4) {
		return fmt.Sprint(pick(t, distinct))
	}
	return choose(t, rapid.SampledFrom(numbers).Draw(t, "number")...)
}

func chooseText(t *rapid.T) string {
	if oneIn(t, 4) {
		return serialText(pick(t, distinct))
	}
	return choose(t, texts...)
}

// escaped writes r as \uXXXX, or two of them.
func escaped(t *rapid.T, r rune) string {
	format := choose(t, `\u%04x`, `\u%04X`)
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return fmt.Sprintf(format+format, high, low)
	}
	return fmt.Sprintf(format, r)
}
