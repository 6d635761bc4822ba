package auth

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestVectors checks the signatures that the sheets give, and that a signature
// is understood however it is encoded in the token.
func TestVectors(t *testing.T) {
	type vector struct {
		Note, Key   string
		KeyAsText   bool // Event Hubs style
		Sr, Se, Sig string
	}
	for _, c := range golden[vector](t, "vectors.jsonl") {
		key := []byte(c.Key)
		if !c.KeyAsText {
			key, _ = base64.StdEncoding.DecodeString(c.Key)
		}
		if got := base64.StdEncoding.EncodeToString(sign(key, c.Sr, c.Se)); got != c.Sig {
			t.Errorf("%s: signature %s, want %s", c.Note, got, c.Sig)
		}
		for encoding, sig := range map[string]string{
			"upper case":         escape(c.Sig),
			"lower case":         lowerEscapes(escape(c.Sig)),
			"raw":                c.Sig,
			"slash raw":          strings.ReplaceAll(escape(c.Sig), "%2F", "/"),
			"plus become blank":  strings.ReplaceAll(c.Sig, "+", " "),
			"plus become %20":    strings.ReplaceAll(c.Sig, "+", "%20"),
			"equal sign escaped": strings.ReplaceAll(c.Sig, "=", "%3d"),
		} {
			for _, text := range []string{
				"SharedAccessSignature sr=" + c.Sr + "&sig=" + sig + "&se=" + c.Se,
				"SharedAccessSignature sig=" + sig + "&se=" + c.Se + "&sr=" + c.Sr,
				"SharedAccessSignature sr=" + c.Sr + "&sig=" + sig + "&skn=&se=" + c.Se,
				"sharedaccesssignature SR=" + c.Sr + "&Sig=" + sig + "&SE=" + c.Se + "&new=1",
			} {
				token, err := ParseToken(text)
				if err != nil || !token.SignedBy(key) {
					t.Errorf("%s, %s: %s: %v", c.Note, encoding, text, err)
				}
			}
		}
	}
}

// lowerEscapes writes the hexadecimal digits of percent escapes in lower case.
func lowerEscapes(s string) string {
	return strings.NewReplacer("%2B", "%2b", "%2F", "%2f", "%3D", "%3d").Replace(s)
}

func TestParseToken(t *testing.T) {
	type tokenCase struct{ Token, Key, Sr, Policy string }
	for _, c := range golden[tokenCase](t, "tokens.jsonl") {
		got, err := ParseToken(c.Token)
		if err != nil {
			t.Errorf("%s: %v", c.Token, err)
			continue
		}
		key, _ := base64.StdEncoding.DecodeString(c.Key)
		end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		if got.Resource != c.Sr || got.Policy != c.Policy || got.Expiry != "1893456000" || !got.Expires.Equal(end) {
			t.Errorf("%s: %+v", c.Token, got)
		}
		if !got.SignedBy(key) || got.SignedBy(key[1:]) || got.SignedBy(nil) {
			t.Errorf("%s: wrong key", c.Token)
		}
	}
}

func TestParseTokenRefuses(t *testing.T) {
	for _, c := range golden[struct{ Note, Token string }](t, "malformed.jsonl") {
		if got, err := ParseToken(c.Token); err == nil {
			t.Errorf("%s: %+v", c.Note, got)
		}
	}
}

func TestTokenLength(t *testing.T) {
	const rest = "SharedAccessSignature sig=y0Y9ezZODJanNa6HLDpMILhiBUoImk8u1zXHUZvru%2BE%3D&se=1893456000&sr="
	longest := rest + strings.Repeat("x", MaxTokenBytes-len(rest))
	if _, err := ParseToken(longest); err != nil {
		t.Error(err)
	}
	if _, err := ParseToken(longest + "x"); err == nil {
		t.Error("accepted a token that is too long")
	}
}

func TestExpiryFarAway(t *testing.T) {
	// Some clients count milliseconds. Their tokens last, but no longer than a
	// time that can be written down.
	token, err := ParseToken("SharedAccessSignature sr=h&sig=y0Y9ezZODJanNa6HLDpMILhiBUoImk8u1zXHUZvru%2BE%3D&se=9223372036854775807")
	if err != nil || token.Expires.Year() != 9999 {
		t.Errorf("%v, %v", token.Expires, err)
	}
}

func TestSign(t *testing.T) {
	const key = "AAECAwQFBgcICQoLDA0ODw=="
	end := time.Unix(1893456000, 0)
	got, err := Sign("hub1.azure-devices.net/devices/dev1", key, "", end)
	if want := golden[struct{ Token, Key, Sr, Policy string }](t, "tokens.jsonl")[0].Token; err != nil || got != want {
		t.Errorf("got  %s\nwant %s\n%v", got, want, err)
	}
	for _, key := range []string{"", "not base64!"} {
		if _, err := Sign("hub/devices/dev1", key, "", end); err == nil {
			t.Errorf("signed with the key %q", key)
		}
	}
}

func TestSignParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "key")
		resource := rapid.StringN(1, 100, 500).Draw(t, "resource")
		policy := rapid.StringN(0, 16, MaxPolicyName).Draw(t, "policy")
		end := rapid.Int64Range(0, latestExpiry).Draw(t, "end")
		text, err := Sign(resource, base64.StdEncoding.EncodeToString(key), policy, time.Unix(end, 0))
		if err != nil {
			t.Fatal(err)
		}
		token, err := ParseToken(text)
		if err != nil {
			t.Fatal(err)
		}
		if !token.SignedBy(key) || token.Policy != policy || token.Expires.Unix() != end {
			t.Fatalf("%s: %+v", text, token)
		}
		if token.SignedBy(append(key, 1)) {
			t.Fatal("signed by another key")
		}
	})
}

// FuzzParseToken: a token that was taken apart and put together again is the
// same token.
func FuzzParseToken(f *testing.F) {
	for _, c := range golden[struct{ Token, Key, Sr, Policy string }](f, "tokens.jsonl") {
		f.Add(c.Token)
	}
	for _, c := range golden[struct{ Note, Token string }](f, "malformed.jsonl") {
		f.Add(c.Token)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseToken(text)
		if err != nil {
			return
		}
		b, err := ParseToken(tokenScheme + "sr=" + a.Resource + "&se=" + a.Expiry + "&skn=" + escape(a.Policy) +
			"&sig=" + escape(base64.StdEncoding.EncodeToString(a.Signature)))
		if err != nil && len(text) < MaxTokenBytes/2 {
			t.Fatal(err)
		}
		if err == nil && (a.Resource != b.Resource || a.Policy != b.Policy || !a.Expires.Equal(b.Expires) || string(a.Signature) != string(b.Signature)) {
			t.Fatalf("%+v became %+v", a, b)
		}
		if len(readings(a.Resource)) > 3 {
			t.Fatal("too many readings")
		}
	})
}
