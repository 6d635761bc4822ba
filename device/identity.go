package device

import "time"

// Status says whether an identity may connect.
type Status string

const (
	Enabled  Status = "enabled"
	Disabled Status = "disabled"
)

// AuthenticationType says how an identity proves itself.
type AuthenticationType string

const (
	SAS                  AuthenticationType = "sas"
	SelfSigned           AuthenticationType = "selfSigned"
	CertificateAuthority AuthenticationType = "certificateAuthority"
	None                 AuthenticationType = "none"
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
	DeviceScope       string
	ParentScopes      []string
	ManagedBy         string // modules only
}
