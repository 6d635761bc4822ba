package client

import (
	"fmt"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
)

const (
	tokenLife = time.Hour
	// renewBefore is how long before its end a token is replaced, so that a
	// clock that differs from the hub's by minutes does no harm.
	renewBefore = 10 * time.Minute
)

// tokens makes shared access signatures and keeps the newest.
type tokens struct {
	secret ConnectionString

	mu      sync.Mutex
	token   string
	expires time.Time
}

// current gives a token that is good for a while yet.
func (t *tokens) current(now time.Time) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.expires.Add(-renewBefore)) {
		return t.token, nil
	}
	expires := now.Add(tokenLife)
	token, err := auth.Sign(t.secret.host(), t.secret.SharedAccessKey, t.secret.SharedAccessKeyName, expires)
	if err != nil {
		return "", fmt.Errorf("SharedAccessKey: %w", err)
	}
	t.token, t.expires = token, expires
	return token, nil
}
