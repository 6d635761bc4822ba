package httpapi_test

import (
	"encoding/json"
	"testing"

	"github.com/hubtwin/hubtwin/internal/certs"
)

// TestProofOfPossession registers an authority, and proves with its code that somebody
// has the key.
func TestProofOfPossession(t *testing.T) {
	g := newRig(t, nil)
	root := certs.SelfSigned(t, "root", certs.CA)
	type certificate struct {
		Properties struct {
			Certificate      string `json:"certificate,omitempty"`
			IsVerified       bool   `json:"isVerified"`
			VerificationCode string `json:"verificationCode,omitempty"`
		} `json:"properties"`
	}
	call := func(line string, body any) (c certificate) {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		got := g.request("registryReadWrite", line, string(text))
		if err := json.Unmarshal([]byte(got.body), &c); err != nil || got.status != "200" {
			t.Fatalf("%s: %v\n%s", line, err, got.raw)
		}
		return c
	}
	var added certificate
	added.Properties.Certificate = string(root.PEM())
	c := call("PUT /$hubtwin/certificates/plant", added)
	if c.Properties.IsVerified {
		t.Error("it counts without a proof")
	}
	proof := map[string]string{"certificate": string(root.Sign(t, c.Properties.VerificationCode).PEM())}
	if c := call("POST /$hubtwin/certificates/plant/verify", proof); !c.Properties.IsVerified || c.Properties.VerificationCode != "" {
		t.Errorf("after the proof: %+v", c.Properties)
	}
}
