package message

import "strings"

// Key is a system property.
type Key uint8

// The system properties (messaging-and-auth sheet, 1.1).
const (
	MessageID Key = iota
	CorrelationID
	UserID
	To
	Expiry // ISO 8601
	ContentType
	ContentEncoding
	CreationTime // ISO 8601
	Ack
	OutputName  // of a module
	Component   // of a plug-and-play device: dt-subject
	InterfaceID // of security messages
	Schema      // of the message
	DiagnosticID
	DiagnosticContext
	keys
)

// spelling is how each transport and reader names a system property; "" where it
// has no name there.
type spelling struct {
	mqtt    string // in the property bag of a topic
	header  string // of HTTPS, as it goes over the wire
	json    string // in SystemProperties, for people and programs
	routing string // in conditions, after the $
}

var spellings = [keys]spelling{
	MessageID:         {"$.mid", "iothub-messageid", "messageId", "messageId"},
	CorrelationID:     {"$.cid", "iothub-correlationid", "correlationId", "correlationId"},
	UserID:            {"$.uid", "iothub-userid", "userId", "userId"},
	To:                {"$.to", "iothub-to", "", ""},
	Expiry:            {"$.exp", "iothub-expiry", "", ""},
	ContentType:       {"$.ct", "iothub-contenttype", "contentType", "contentType"},
	ContentEncoding:   {"$.ce", "iothub-contentencoding", "contentEncoding", "contentEncoding"},
	CreationTime:      {"$.ctime", "iothub-creationtimeutc", "iothub-creation-time-utc", "iothub-creation-time-utc"},
	Ack:               {"iothub-ack", "iothub-ack", "", ""},
	OutputName:        {"$.on", "iothub-outputname", "outputName", "outputName"},
	Component:         {"$.sub", "dt-subject", "dt-subject", "dt-subject"},
	InterfaceID:       {"$.ifid", "iothub-interface-id", "iothub-interface-id", "iothub-interface-id"},
	Schema:            {"$.schema", "iothub-messageschema", "iothub-message-schema", "iothub-message-schema"},
	DiagnosticID:      {"$.diagid", "", "diagnosticId", "diagnosticId"},
	DiagnosticContext: {"$.diagctx", "", "correlationContext", "correlationContext"},
}

// ignoredMQTT tells whether what a bag has under name means nothing: who is
// connected is the hub's to say, and the other is one SDK's own
// (device-protocol sheet, 2.2).
func ignoredMQTT(name string) bool {
	return name == "$.cdid" || name == "$.cmid" || name == "iothub-operation"
}

// mqttKey finds the system property that a bag names, with its dollar sign
// escaped or not.
func mqttKey(name string) (Key, bool) {
	rest, escaped := strings.CutPrefix(name, "%24")
	for k := range spellings {
		of := spellings[k].mqtt
		if name == of || escaped && of[0] == '$' && rest == of[1:] {
			return Key(k), true
		}
	}
	return 0, false
}

// stamped tells whether name is an application property that only the hub may
// set (messaging-and-auth sheet, 1.2): a device's own value for it is dropped.
func stamped(name string) bool {
	const prefix = "iothub-"
	if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
		return false
	}
	switch strings.ToLower(name[len(prefix):]) {
	case "connection-device-id", "connection-module-id", "connection-auth-generation-id",
		"connection-auth-method", "enqueuedtime", "message-source":
		return true
	}
	return false
}

// ParseKey finds the system property that JSON calls name, such as "contentType".
func ParseKey(name string) (Key, bool) {
	for k := range spellings {
		if spellings[k].json != "" && strings.EqualFold(spellings[k].json, name) {
			return Key(k), true
		}
	}
	return 0, false
}
