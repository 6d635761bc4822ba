package mqtt

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzMethodResult reads the topics of answers to methods. What is read, written
// again and read again is the same.
func FuzzMethodResult(f *testing.F) {
	for _, rest := range []string{
		"200/?$rid=1f", "-1/?$rid=1", "0200/?$rid=a", "+2/?$rid=b", "/?$rid=1", "200/", "200", "200?$rid=1",
		"2e2/?$rid=1", "2147483648/?$rid=1", "200/?$rid=1&$version=2", "200/?x=1&$rid=", "200/?$rid=a/b=c", "200//?$rid=1",
	} {
		f.Add(rest)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		status, rid, ok := parseMethodResult(rest)
		if !ok {
			return
		}
		if strings.Contains(rid, "&") {
			t.Errorf("%q: the rid is %q", rest, rid)
		}
		again, ridAgain, ok := parseMethodResult(fmt.Sprintf("%d/?$rid=%s", status, rid))
		if !ok || again != status || ridAgain != rid {
			t.Errorf("%q: %d %q, then %d %q %t", rest, status, rid, again, ridAgain, ok)
		}
	})
}
