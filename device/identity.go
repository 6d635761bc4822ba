package device

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// Status says whether an identity may connect.
type Status string

// The two states of a device. A module has none of its own: it is Enabled, and
// may connect while its device may.
const (
	Enabled  Status = "enabled"
	Disabled Status = "disabled"
)

// AuthenticationType says how an identity proves itself.
type AuthenticationType string

// The ways to prove an identity (service-rest-api sheet, 1.3).
const (
	SAS                  AuthenticationType = "sas"                  // a token signed with a symmetric key
	SelfSigned           AuthenticationType = "selfSigned"           // a certificate with a registered thumbprint
	CertificateAuthority AuthenticationType = "certificateAuthority" // a certificate of a registered authority
	None                 AuthenticationType = "none"                 // system modules before the edge runtime adopts them
)

// Authentication is how an identity proves itself. Keys are base64 text, as
// on the wire; thumbprints are hexadecimal as registered. An empty string
// means "not given".
type Authentication struct {
	Type                AuthenticationType
	PrimaryKey          string
	SecondaryKey        string
	PrimaryThumbprint   string
	SecondaryThumbprint string
}

// Identity is a device or module as the registry keeps it.
type Identity struct {
	ID                ID
	GenerationID      string // new for each life of an id
	Etag              string // moves on every write of the identity
	Status            Status
	StatusReason      string
	StatusUpdatedTime time.Time // zero if the status was never changed
	Authentication    Authentication
	IoTEdge           bool
	DeviceScope       string   // of an edge device its own, of a leaf its parent's
	ParentScopes      []string // none or one
	ManagedBy         string   // modules only
}

// FillKeys gives an identity of type SAS two fresh keys if it has none.
func (i *Identity) FillKeys() {
	a := &i.Authentication
	if a.Type == SAS && a.PrimaryKey == "" && a.SecondaryKey == "" {
		a.PrimaryKey, a.SecondaryKey = NewKey(), NewKey()
	}
}

// NewKey is a fresh symmetric key: 32 random bytes in base64.
func NewKey() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}
