package device

import (
	"encoding/json"
	"time"
)

// Connection is what the registry's answers say beyond the identity. The
// caller gets it from presence and the C2D queue.
type Connection struct {
	State                     string    // Connected or Disconnected; "" is Disconnected
	StateUpdatedTime          time.Time // zero if the device never connected
	LastActivityTime          time.Time // zero likewise
	CloudToDeviceMessageCount int       // messages that wait in the queue
}

// The states of a Connection. Java's SDK needs this casing.
const (
	Connected    = "Connected"
	Disconnected = "Disconnected"
)

// deviceJSON and moduleJSON have the members of the service-rest-api sheet, 1.1
// and 2, in the order of the published API description.
type deviceJSON struct {
	DeviceID                   string             `json:"deviceId"`
	GenerationID               string             `json:"generationId"`
	Etag                       string             `json:"etag"`
	ConnectionState            string             `json:"connectionState"`
	Status                     Status             `json:"status"`
	StatusReason               *string            `json:"statusReason"`
	ConnectionStateUpdatedTime string             `json:"connectionStateUpdatedTime"`
	StatusUpdatedTime          string             `json:"statusUpdatedTime"`
	LastActivityTime           string             `json:"lastActivityTime"`
	CloudToDeviceMessageCount  int                `json:"cloudToDeviceMessageCount"`
	Authentication             authenticationJSON `json:"authentication"`
	Capabilities               capabilitiesJSON   `json:"capabilities"`
	DeviceScope                string             `json:"deviceScope,omitempty"`
	ParentScopes               []string           `json:"parentScopes,omitempty"`
}

type moduleJSON struct {
	ModuleID                   string             `json:"moduleId"`
	ManagedBy                  *string            `json:"managedBy"`
	DeviceID                   string             `json:"deviceId"`
	GenerationID               string             `json:"generationId"`
	Etag                       string             `json:"etag"`
	ConnectionState            string             `json:"connectionState"`
	ConnectionStateUpdatedTime string             `json:"connectionStateUpdatedTime"`
	LastActivityTime           string             `json:"lastActivityTime"`
	CloudToDeviceMessageCount  int                `json:"cloudToDeviceMessageCount"`
	Authentication             authenticationJSON `json:"authentication"`
}

// authenticationJSON is written with both inner objects, whatever the type:
// Java's SDK reads through them, and C#'s checks the keys it finds, so those
// that don't apply are null.
type authenticationJSON struct {
	Type         AuthenticationType `json:"type"`
	SymmetricKey struct {
		PrimaryKey   *string `json:"primaryKey"`
		SecondaryKey *string `json:"secondaryKey"`
	} `json:"symmetricKey"`
	X509Thumbprint struct {
		PrimaryThumbprint   *string `json:"primaryThumbprint"`
		SecondaryThumbprint *string `json:"secondaryThumbprint"`
	} `json:"x509Thumbprint"`
}

type capabilitiesJSON struct {
	IoTEdge bool `json:"iotEdge"`
}

// AppendJSON appends the registry's answer about an identity to dst: the device
// form for a device, the module form for a module.
func AppendJSON(dst []byte, i Identity, c Connection) []byte {
	var form any
	if i.ID.IsModule() {
		form = moduleForm(i, c)
	} else {
		form = deviceForm(i, c)
	}
	b, err := json.Marshal(form)
	if err != nil {
		panic(err) // The forms hold nothing that can't be written.
	}
	return append(dst, b...)
}

func deviceForm(i Identity, c Connection) deviceJSON {
	return deviceJSON{
		DeviceID:                   i.ID.Device,
		GenerationID:               i.GenerationID,
		Etag:                       i.Etag,
		ConnectionState:            c.state(),
		Status:                     i.Status,
		StatusReason:               orNull(i.StatusReason),
		ConnectionStateUpdatedTime: FormatTime(c.StateUpdatedTime),
		StatusUpdatedTime:          FormatTime(i.StatusUpdatedTime),
		LastActivityTime:           FormatTime(c.LastActivityTime),
		CloudToDeviceMessageCount:  c.CloudToDeviceMessageCount,
		Authentication:             i.Authentication.form(),
		Capabilities:               capabilitiesJSON{i.IoTEdge},
		DeviceScope:                i.DeviceScope,
		ParentScopes:               i.ParentScopes,
	}
}

func moduleForm(i Identity, c Connection) moduleJSON {
	return moduleJSON{
		ModuleID:                   i.ID.Module,
		ManagedBy:                  orNull(i.ManagedBy),
		DeviceID:                   i.ID.Device,
		GenerationID:               i.GenerationID,
		Etag:                       i.Etag,
		ConnectionState:            c.state(),
		ConnectionStateUpdatedTime: FormatTime(c.StateUpdatedTime),
		LastActivityTime:           FormatTime(c.LastActivityTime),
		CloudToDeviceMessageCount:  c.CloudToDeviceMessageCount,
		Authentication:             i.Authentication.form(),
	}
}

func (a Authentication) form() authenticationJSON {
	f := authenticationJSON{Type: a.Type}
	f.SymmetricKey.PrimaryKey = orNull(a.PrimaryKey)
	f.SymmetricKey.SecondaryKey = orNull(a.SecondaryKey)
	f.X509Thumbprint.PrimaryThumbprint = orNull(a.PrimaryThumbprint)
	f.X509Thumbprint.SecondaryThumbprint = orNull(a.SecondaryThumbprint)
	return f
}

func (c Connection) state() string {
	if c.State == "" {
		return Disconnected
	}
	return c.State
}

// FormatTime writes a time as the registry does: UTC with seven fraction digits
// and Z, or 0001-01-01T00:00:00 without a zone while t is zero. SDKs parse just
// these two (service-rest-api sheet, 1.1).
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return "0001-01-01T00:00:00"
	}
	return t.UTC().Format("2006-01-02T15:04:05.0000000Z")
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
