package device

import (
	"encoding/base64"
	"math/rand/v2"
	"strconv"
	"strings"
)

// NextEtag is the etag that follows old: base64 of a decimal counter, unquoted
// (service-rest-api sheet, 0.4). After "", or a text that is no such etag, the
// counter starts at random, so that a stale etag of a deleted device does not
// match the next device of the same name.
func NextEtag(old string) string {
	n := rand.Uint64N(900_000_000) + 100_000_000
	if b, err := base64.StdEncoding.DecodeString(old); err == nil {
		if last, err := strconv.ParseUint(string(b), 10, 63); err == nil {
			n = last + 1
		}
	}
	return base64.StdEncoding.EncodeToString(strconv.AppendUint(nil, n, 10))
}

// EtagMatches tells whether the precondition given, as clients write it in
// If-Match or in a bulk item, admits the etag have. It accepts *, "*", "etag",
// etag and W/"etag" (service-rest-api sheet, 0.4). An empty precondition admits
// nothing: whether it may be left out is for the caller to say.
func EtagMatches(given, have string) bool {
	given = strings.TrimPrefix(strings.TrimSpace(given), "W/")
	if n := len(given); n >= 2 && given[0] == '"' && given[n-1] == '"' {
		given = given[1 : n-1]
	}
	return given == "*" || given != "" && given == have
}
