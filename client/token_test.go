package client

import (
	"testing"
	"time"

	"github.com/hubtwin/hubtwin/auth"
)

// A token is kept while it is good for a while yet, and replaced before its end.
func TestTokenIsRenewed(t *testing.T) {
	ts := tokens{secret: ConnectionString{HostName: "hub.example.com:8443", SharedAccessKeyName: "service", SharedAccessKey: "c2VjcmV0"}}
	start := time.Date(2026, 8, 15, 9, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string {
		token, err := ts.current(start.Add(d))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := at(0)
	parsed, err := auth.ParseToken(first)
	if err != nil || parsed.Resource != "hub.example.com" || parsed.Policy != "service" || !parsed.Expires.Equal(start.Add(tokenLife)) {
		t.Errorf("token %+v, %v", parsed, err)
	}
	if at(tokenLife-renewBefore-time.Second) != first {
		t.Error("the token was replaced too early")
	}
	second := at(tokenLife - renewBefore)
	if second == first {
		t.Error("the token was not replaced before its end")
	}
	if at(tokenLife) != second {
		t.Error("the new token was not kept")
	}
}
