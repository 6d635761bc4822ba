package document

import (
	"strings"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/twin"
)

// appendString appends s as a JSON string. Ids, etags and states need no escapes,
// and that is the way of almost every field.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return append(appendEscaped(dst, s), '"')
		}
	}
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendEscaped appends the inside of a JSON string, spelled as encoding/json
// does without escapes for HTML: what is not UTF-8 becomes U+FFFD.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i, r := range s {
		switch short := strings.IndexRune("\b\f\n\r\t\"\\", r); {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			dst = append(dst, `\ufffd`...)
		case short >= 0:
			dst = append(dst, '\\', `bfnrt"\`[short])
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
		case r == '\u2028' || r == '\u2029': // they end lines in JavaScript
			dst = append(dst, '\\', 'u', '2', '0', '2', hex[r&0xf])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// appendIfAny appends nothing for the empty string.
func appendIfAny(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(dst, s)
}

func appendOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}

// appendTime appends a date of a twin, given in ticks. Unlike in identities, the
// zero date has its Z (twin sheet, section 1).
func appendTime(dst []byte, ticks int64) []byte {
	if ticks == 0 {
		return append(dst, `"0001-01-01T00:00:00Z"`...)
	}
	return append(twin.AppendTicks(append(dst, '"'), ticks), '"')
}
