package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// ExpiryGrace is how long a token is honoured after its end. Devices whose
// clock is off by more get refused (device-protocol sheet, 1.4); back ends have
// the same grace, because one rule is easier to remember than two.
const ExpiryGrace = 5 * time.Minute

// Keys is where a [Verifier] finds the keys. What is not there is a fault of
// status 404. Every other error means that the question could not be answered,
// and becomes the caller's answer: it must not look like a bad credential,
// after which devices stop trying for good (device-protocol sheet, R8).
type Keys interface {
	Policy(ctx context.Context, name string) (Policy, error)
	Identity(ctx context.Context, id device.ID) (device.Identity, error)
	// Trust is the set of certificate authorities in force.
	Trust() *Trust
}

// Credentials are what somebody brings who says that they are a device or module.
type Credentials struct {
	Token string // a shared access signature; "" for none
	Chain *Chain // of the TLS handshake; nil for none
}

// Verifier decides who the bearer of a token or certificate is. It may be used by
// many goroutines at once, and must not be changed once it is in use.
type Verifier struct {
	Keys Keys
	// Hosts are the names of the hub that a token may be made out to. Case and
	// port don't matter. Without a name no token is accepted.
	Hosts []string
}

// Serves tells whether host is a name of the hub. Case and port don't matter.
func (v *Verifier) Serves(host string) bool { return serves(v.Hosts, bareHost(host)) }

// Service verifies the Authorization header of a back end, which must carry a
// token that is signed with the key of a policy and covers the whole hub. What
// the principal may do is for its May to say.
//
// Every bad credential is IotHubUnauthorizedAccess (service-rest-api sheet,
// 10.1). If the policy can't be looked up, the failure is that of [Keys],
// ServerError if it has no code.
func (v *Verifier) Service(ctx context.Context, authorization string, now time.Time) (Principal, error) {
	const code = fault.IotHubUnauthorizedAccess
	token, err := parseCurrent(code, authorization, now)
	switch {
	case err != nil:
		return Principal{}, err
	case token.Policy == "":
		return Principal{}, fault.New(code, "Unauthorized: this call needs a token of a shared access policy, with its name in skn")
	case !coversHub(v.Hosts, token.Resource):
		return Principal{}, fault.New(code, "Unauthorized: the token's sr does not name this hub")
	}
	policy, err := v.signingPolicy(ctx, code, token)
	if err != nil {
		return Principal{}, err
	}
	return Principal{Policy: token.Policy, Permissions: policy.Permissions, Expires: token.Expires}, nil
}

// Device verifies the credentials of a device or module that says it is id. How id
// proves itself, its registration says:
//
//   - by SAS: the token must be signed with a key of id, or of a policy with
//     DeviceConnect, and its resource must cover id.
//   - by thumbprint: the client's own certificate must have one of the two.
//   - by certificate authority: the common name of the client's own certificate
//     must be id, as in "pump-7" or "pump-7/valve", and its chain must lead to a
//     trusted authority.
//
// Where there is a token, certificates do not count (device-protocol sheet, 1.5).
// Certificates are good only in their time. Neither id nor its device may be
// disabled. The principal may act as id and do nothing else, whatever else a
// policy allows.
//
// A bad credential is IotHubUnauthorized, a policy without the right
// IotHubUnauthorizedAccess, and a good credential of a disabled identity
// DeviceDisabled. The messages don't tell an unknown identity from a wrong key or
// certificate; the cause, which is for the log, does. If a key can't be looked up,
// the failure is that of [Keys], ServerError if it has no code.
func (v *Verifier) Device(ctx context.Context, id device.ID, c Credentials, now time.Time) (Principal, error) {
	switch {
	case c.Token != "":
		return v.token(ctx, id, c.Token, now)
	case c.Chain != nil:
		return v.certificate(ctx, id, c.Chain, now)
	}
	return Principal{}, fault.New(fault.IotHubUnauthorized, "Unauthorized: there is neither a token nor a client certificate")
}

// token verifies a SAS token. See [Verifier.Device].
func (v *Verifier) token(ctx context.Context, id device.ID, text string, now time.Time) (Principal, error) {
	const code = fault.IotHubUnauthorized
	token, err := parseCurrent(code, text, now)
	if err != nil {
		return Principal{}, err
	}
	covers := coversIdentity
	if token.Policy != "" {
		covers = delegatesIdentity
	}
	if id.Device == "" || !covers(v.Hosts, token.Resource, id) {
		return Principal{}, fault.New(code, "Unauthorized: the token's sr does not cover this hub and %q", id)
	}
	if token.Policy != "" {
		policy, err := v.signingPolicy(ctx, code, token)
		if err != nil {
			return Principal{}, err
		}
		p := Principal{Policy: token.Policy, Permissions: policy.Permissions}
		if err := p.May(DeviceConnect); err != nil {
			return Principal{}, err
		}
	}
	identity, err := v.admit(ctx, id, token)
	if err != nil {
		return Principal{}, err
	}
	return Principal{
		Policy:       token.Policy,
		Permissions:  DeviceConnect,
		ID:           id,
		IdentityEtag: identity.Etag,
		Expires:      token.Expires,
	}, nil
}

// parseCurrent parses a token that has not expired.
func parseCurrent(code fault.Code, text string, now time.Time) (Token, error) {
	token, err := ParseToken(text)
	if err != nil {
		return Token{}, fault.New(code, "Unauthorized: %w", err)
	}
	if now.After(token.Expires.Add(ExpiryGrace)) {
		return Token{}, fault.New(code, "Unauthorized: the token expired at %s", token.Expires.Format(time.RFC3339))
	}
	return token, nil
}

// signingPolicy gives the policy that the token names, if its key has signed.
func (v *Verifier) signingPolicy(ctx context.Context, code fault.Code, token Token) (Policy, error) {
	policy, err := v.Keys.Policy(ctx, token.Policy)
	if err != nil && !isNotFound(err) {
		return Policy{}, fault.Of(err)
	}
	if !signedByEither(token, policy.PrimaryKey, policy.SecondaryKey) {
		return Policy{}, badSignature(code, err)
	}
	return policy, nil
}

// admit looks id up, checks its signature unless a policy has signed, and then
// whether it may connect.
func (v *Verifier) admit(ctx context.Context, id device.ID, token Token) (device.Identity, error) {
	identity, err := v.Keys.Identity(ctx, id)
	if err != nil && !isNotFound(err) {
		return identity, fault.Of(err)
	}
	a := identity.Authentication
	if token.Policy == "" && !signedByEither(token, a.PrimaryKey, a.SecondaryKey) || err != nil {
		return identity, badSignature(fault.IotHubUnauthorized, err)
	}
	if a.Type != device.SAS {
		return identity, fault.New(fault.IotHubUnauthorized, "Unauthorized: %q does not prove itself by token", id)
	}
	return identity, v.enabled(ctx, identity)
}

// enabled answers nil if neither the identity nor its device is disabled.
func (v *Verifier) enabled(ctx context.Context, identity device.Identity) error {
	parent := identity
	if id := identity.ID; id.IsModule() {
		var err error
		parent, err = v.Keys.Identity(ctx, id.Parent())
		switch {
		case err != nil && isNotFound(err):
			return badSignature(fault.IotHubUnauthorized, err)
		case err != nil:
			return fault.Of(err)
		}
	}
	if identity.Status != device.Enabled || parent.Status != device.Enabled {
		return fault.New(fault.DeviceDisabled, "%q is disabled", identity.ID)
	}
	return nil
}

var errWrongKey = errors.New("the signature is not that of either key")

// badSignature is one answer for a wrong key and for a name that is not there.
func badSignature(code fault.Code, lookup error) error {
	if lookup == nil {
		lookup = errWrongKey
	}
	return fault.New(code, "Unauthorized: the signature does not match").Because(lookup)
}

// noKey takes the place of a key that is not there, so that its check takes as
// long as any other. Nothing is accepted for being signed with it.
var noKey = make([]byte, 32)

// signedByEither tells whether one of the keys, in base64, has signed. It does
// the same work whichever has, and for keys that are missing or broken, which
// never match.
func signedByEither(token Token, primary, secondary string) bool {
	var signed bool
	for _, text := range [2]string{primary, secondary} {
		key, err := base64.StdEncoding.DecodeString(text)
		usable := err == nil && len(key) > 0
		if !usable {
			key = noKey
		}
		match := token.SignedBy(key)
		signed = signed || match && usable
	}
	return signed
}

func isNotFound(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Code.Status() == 404
}
