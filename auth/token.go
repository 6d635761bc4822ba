package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limits of a token.
const (
	// MaxTokenBytes is the greatest length of a token. The longest legal one
	// names a module with two 128-character ids, twice percent-encoded.
	MaxTokenBytes = 4096
	// MaxPolicyName is the greatest length of a policy's name, in characters
	// (service-rest-api sheet, 10.1).
	MaxPolicyName = 64
)

const tokenScheme = "SharedAccessSignature "

// latestExpiry, the last second of the year 9999, stands for every later one.
const latestExpiry = 253402300799

// A Token is a shared access signature taken apart:
//
//	SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]
//
// The fields come in any order. Resource and Expiry are kept as they were
// written, because the signature covers the written text: SDKs disagree on how
// to percent-encode (messaging-and-auth sheet, 8.3).
type Token struct {
	Resource  string    // sr, as written
	Expiry    string    // se, as written: seconds since 1970
	Signature []byte    // sig, decoded: 32 bytes
	Policy    string    // skn, decoded; "" if the key is a device's own
	Expires   time.Time // se, as a time
}

// ParseToken takes a token apart. It does not verify anything. Its errors have
// no fault code; they say what is wrong with the text, and never quote it.
func ParseToken(text string) (Token, error) {
	if len(text) > MaxTokenBytes {
		return Token{}, fmt.Errorf("a token has at most %d bytes", MaxTokenBytes)
	}
	if len(text) < len(tokenScheme) || !strings.EqualFold(text[:len(tokenScheme)], tokenScheme) {
		return Token{}, errors.New("a token begins with SharedAccessSignature and a space")
	}
	var sr, sig, se, skn string
	for rest, more := text[len(tokenScheme):], true; more; {
		var field string
		field, rest, more = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(field, "=")
		var into *string
		switch strings.ToLower(name) {
		case "sr":
			into = &sr
		case "sig":
			into = &sig
		case "se":
			into = &se
		case "skn":
			into = &skn
		default:
			continue
		}
		if *into != "" {
			return Token{}, fmt.Errorf("the token has more than one field %s", strings.ToLower(name))
		}
		*into = value
	}
	if sr == "" || sig == "" || se == "" {
		return Token{}, errors.New("a token needs the fields sr, sig and se")
	}
	t := Token{Resource: sr, Expiry: se}
	var err error
	if t.Expires, err = parseExpiry(se); err != nil {
		return Token{}, err
	}
	if t.Policy, err = url.PathUnescape(skn); err != nil || len(t.Policy) > MaxPolicyName {
		return Token{}, fmt.Errorf("the field skn is the name of a policy, of at most %d characters", MaxPolicyName)
	}
	if t.Signature, err = parseSignature(sig); err != nil {
		return Token{}, err
	}
	return t, nil
}

func parseExpiry(se string) (time.Time, error) {
	// ParseUint takes no sign and no fraction.
	seconds, err := strconv.ParseUint(se, 10, 63)
	if err != nil {
		return time.Time{}, errors.New("the field se is a count of seconds since 1970, in digits")
	}
	return time.Unix(int64(min(seconds, latestExpiry)), 0).UTC(), nil
}

// parseSignature decodes percent escapes and base64. A plus is a plus, whether
// it arrives raw or escaped, and so is a blank, which is a plus that someone on
// the way has decoded as a form (device-protocol sheet, 1.4).
func parseSignature(sig string) ([]byte, error) {
	plain, err := url.PathUnescape(sig)
	if err == nil {
		var b []byte
		b, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(plain, " ", "+"))
		if err == nil && len(b) == sha256.Size {
			return b, nil
		}
	}
	return nil, fmt.Errorf("the field sig is base64 of %d bytes, percent-encoded", sha256.Size)
}

// SignedBy tells, in constant time, whether the token was signed with key, in
// bytes: those that a key's base64 text stands for.
func (t Token) SignedBy(key []byte) bool {
	return hmac.Equal(t.Signature, sign(key, t.Resource, t.Expiry))
}

func sign(key []byte, resource, expiry string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(resource + "\n" + expiry))
	return mac.Sum(nil)
}

// Sign makes a token for resource, which is written plain, as in
// "hub.example.com/devices/pump-7". The key is base64 text. Policy is the
// name of the policy whose key it is, or "" for the key of a device or module.
func Sign(resource, key, policy string, expiry time.Time) (string, error) {
	k, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(k) == 0 {
		return "", errors.New("sign token: the key is not base64")
	}
	sr := escape(resource)
	se := strconv.FormatInt(expiry.Unix(), 10)
	sig := base64.StdEncoding.EncodeToString(sign(k, sr, se))
	token := tokenScheme + "sr=" + sr + "&sig=" + escape(sig) + "&se=" + se
	if policy != "" {
		token += "&skn=" + escape(policy)
	}
	return token, nil
}

// escape percent-encodes everything but unreserved characters. A blank becomes
// %20, never a plus.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
