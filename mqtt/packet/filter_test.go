package packet

import "testing"

func TestMatches(t *testing.T) {
	type match struct {
		Filter, Topic string
		Match         bool
	}
	for _, row := range readTable[match](t, "matches.jsonl") {
		if err := CheckFilter([]byte(row.Filter)); err != nil {
			t.Errorf("CheckFilter(%q): %v", row.Filter, err)
		}
		if got := Matches(row.Filter, row.Topic); got != row.Match {
			t.Errorf("Matches(%q, %q) = %v", row.Filter, row.Topic, got)
		}
	}
}

func TestCheckFilter(t *testing.T) {
	for _, filter := range []string{"#", "+", "/", "+/+", "a/+/#", "a//#", "/#", "$iothub/methods/POST/#"} {
		if err := CheckFilter([]byte(filter)); err != nil {
			t.Errorf("%q: %v", filter, err)
		}
	}
	for _, filter := range []string{"", "a#", "#/a", "a/#/b", "##", "a/##", "a+", "+a", "a/+b/c", "++", "+#", "#+"} {
		if err := CheckFilter([]byte(filter)); err == nil {
			t.Errorf("%q is accepted", filter)
		}
	}
}
