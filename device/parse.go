package device

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/hubtwin/hubtwin/fault"
)

// Limits of what a caller may give an identity.
const (
	MaxStatusReasonLength = 128 // characters
	maxManagedByLength    = 128 // characters
	maxScopeLength        = 256 // bytes; a scope is a device id and some 40 more
	minKeyBytes           = 16  // of a key once decoded from base64
	maxKeyBytes           = 64
)

// identityBody has the members of a PUT body that the hub reads. All others
// are read-only echoes, or unknown, and ignored. encoding/json matches names
// without regard to case and takes null as absent, as the service does.
type identityBody struct {
	DeviceID string `json:"deviceId"`
	ModuleID string `json:"moduleId"`
	settings
}

// settings is what a PUT body and a bulk item have in common.
type settings struct {
	Status         string             `json:"status"`
	StatusReason   string             `json:"statusReason"`
	Authentication authenticationBody `json:"authentication"`
	Capabilities   capabilitiesJSON   `json:"capabilities"`
	DeviceScope    string             `json:"deviceScope"`
	ParentScopes   []string           `json:"parentScopes"`
	ManagedBy      string             `json:"managedBy"`
}

type authenticationBody struct {
	Type         string `json:"type"`
	SymmetricKey struct {
		PrimaryKey   string `json:"primaryKey"`
		SecondaryKey string `json:"secondaryKey"`
	} `json:"symmetricKey"`
	X509Thumbprint struct {
		PrimaryThumbprint   string `json:"primaryThumbprint"`
		SecondaryThumbprint string `json:"secondaryThumbprint"`
	} `json:"x509Thumbprint"`
}

// ParseIdentity reads the body of PUT /devices/{id} or
// PUT /devices/{id}/modules/{mid}, where pathID comes from the path. What it
// returns is what the caller asks for: keys may be missing, and everything the
// hub decides is zero. [Create] and [Replace] complete it.
//
// A deviceId or moduleId in the body must equal the path's. It may be missing:
// the path already says it, and refusing would help nobody.
//
// Failures: ArgumentNull without a body, DeserializationError if it is not the
// JSON expected, ArgumentInvalid for a bad id, key, thumbprint or status.
// (service-rest-api sheet, 1.1 to 1.4 and 2)
func ParseIdentity(body []byte, pathID ID) (Identity, error) {
	if err := pathID.Validate(); err != nil {
		return Identity{}, err
	}
	var b *identityBody
	if len(body) > 0 {
		if err := json.Unmarshal(body, &b); err != nil {
			return Identity{}, fault.New(fault.DeserializationError, "the body is not an identity: %w", err)
		}
	}
	if b == nil {
		return Identity{}, fault.New(fault.ArgumentNull, "the body must hold the identity")
	}
	if b.DeviceID != "" && b.DeviceID != pathID.Device {
		return Identity{}, fault.New(fault.ArgumentInvalid, "deviceId in the body is not the %q of the path", pathID.Device)
	}
	if b.ModuleID != "" && b.ModuleID != pathID.Module {
		return Identity{}, fault.New(fault.ArgumentInvalid, "moduleId in the body is not the %q of the path", pathID.Module)
	}
	return b.identity(pathID)
}

func (s *settings) identity(id ID) (Identity, error) {
	auth, err := s.Authentication.parse(id.IsModule())
	if err != nil {
		return Identity{}, err
	}
	i := Identity{ID: id, Status: Enabled, Authentication: auth}
	if id.IsModule() {
		i.ManagedBy = s.ManagedBy
		return i, checkLength("managedBy", s.ManagedBy, maxManagedByLength)
	}
	if i.Status, err = parseStatus(s.Status); err != nil {
		return Identity{}, err
	}
	i.StatusReason = s.StatusReason
	i.IoTEdge = s.Capabilities.IoTEdge
	i.DeviceScope = s.DeviceScope
	if len(s.ParentScopes) > 0 && s.ParentScopes[0] != "" {
		i.ParentScopes = s.ParentScopes[:1:1]
	}
	if err := checkLength("statusReason", s.StatusReason, MaxStatusReasonLength); err != nil {
		return Identity{}, err
	}
	return i, i.checkScopeLengths()
}

func (i *Identity) checkScopeLengths() error {
	for _, scope := range append([]string{i.DeviceScope}, i.ParentScopes...) {
		if len(scope) > maxScopeLength {
			return fault.New(fault.InvalidDeviceScope, "a device scope has at most %d bytes", maxScopeLength)
		}
	}
	return nil
}

func checkLength(name, text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return fault.New(fault.ArgumentInvalid, "%s has at most %d characters, this one has %d", name, most, n)
	}
	return nil
}

func parseStatus(text string) (Status, error) {
	switch {
	case text == "" || strings.EqualFold(text, string(Enabled)):
		return Enabled, nil
	case strings.EqualFold(text, string(Disabled)):
		return Disabled, nil
	}
	return "", fault.New(fault.ArgumentInvalid, "status is enabled or disabled, not %q", clip(text))
}

// parse checks the rules of the service-rest-api sheet, 1.3. An empty string
// is a member that was not given: Node and Python send "" to have keys made.
func (b *authenticationBody) parse(module bool) (Authentication, error) {
	a := Authentication{
		PrimaryKey:          b.SymmetricKey.PrimaryKey,
		SecondaryKey:        b.SymmetricKey.SecondaryKey,
		PrimaryThumbprint:   b.X509Thumbprint.PrimaryThumbprint,
		SecondaryThumbprint: b.X509Thumbprint.SecondaryThumbprint,
	}
	var err error
	if a.Type, err = b.parseType(module); err != nil {
		return Authentication{}, err
	}
	keys := a.PrimaryKey != "" || a.SecondaryKey != ""
	thumbprints := a.PrimaryThumbprint != "" || a.SecondaryThumbprint != ""
	switch {
	case keys && a.Type != SAS:
		return Authentication{}, fault.New(fault.ArgumentInvalid, "authentication of type %s has no symmetric keys", a.Type)
	case thumbprints && a.Type != SelfSigned:
		return Authentication{}, fault.New(fault.ArgumentInvalid, "authentication of type %s has no thumbprints", a.Type)
	case keys:
		err = a.checkKeys()
	case thumbprints:
		err = a.checkThumbprints()
	}
	return a, err
}

// parseType reads the type, in any casing. Without one, thumbprints mean
// selfSigned: callers older than the member had no other way to say so.
func (b *authenticationBody) parseType(module bool) (AuthenticationType, error) {
	if b.Type == "" {
		if b.X509Thumbprint.PrimaryThumbprint != "" || b.X509Thumbprint.SecondaryThumbprint != "" {
			return SelfSigned, nil
		}
		return SAS, nil
	}
	for _, t := range []AuthenticationType{SAS, SelfSigned, CertificateAuthority, None} {
		if !strings.EqualFold(b.Type, string(t)) {
			continue
		}
		if t != None {
			return t, nil
		}
		if module {
			return SAS, nil
		}
		return "", fault.New(fault.ArgumentInvalid, "a device must have a way to prove itself: authentication type none is for modules")
	}
	return "", fault.New(fault.ArgumentInvalid, "authentication type is sas, selfSigned or certificateAuthority, not %q", clip(b.Type))
}

func (a *Authentication) checkKeys() error {
	if a.PrimaryKey == "" || a.SecondaryKey == "" {
		return fault.New(fault.ArgumentInvalid, "give both symmetric keys or neither")
	}
	for _, key := range []string{a.PrimaryKey, a.SecondaryKey} {
		// The lengths are compared because the decoder skips line breaks.
		b, err := base64.StdEncoding.DecodeString(key)
		if err != nil || base64.StdEncoding.EncodedLen(len(b)) != len(key) || len(b) < minKeyBytes || len(b) > maxKeyBytes {
			return fault.New(fault.ArgumentInvalid, "a symmetric key is base64 of %d to %d bytes", minKeyBytes, maxKeyBytes)
		}
	}
	return nil
}

func (a *Authentication) checkThumbprints() error {
	for _, t := range []string{a.PrimaryThumbprint, a.SecondaryThumbprint} {
		if _, err := hex.DecodeString(t); err != nil || len(t) != 0 && len(t) != 40 && len(t) != 64 {
			return fault.New(fault.ArgumentInvalid, "a thumbprint is 40 (SHA-1) or 64 (SHA-256) hexadecimal digits, without separators")
		}
	}
	if a.PrimaryThumbprint != "" && a.SecondaryThumbprint != "" && len(a.PrimaryThumbprint) != len(a.SecondaryThumbprint) {
		return fault.New(fault.ArgumentInvalid, "both thumbprints must be of the same kind, SHA-1 or SHA-256")
	}
	return nil
}

// clip shortens a caller's text for an error message.
func clip(s string) string {
	const most = 32
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
