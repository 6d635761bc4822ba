// Package fault names every failure a caller of the hub can meet.
//
// A failure has one six-digit code, as the service's error catalogue lists
// them: its first three digits are the HTTP status, and its name travels in
// the iothub-errorcode header. Code below the front ends returns a *fault.Error
// (or wraps one with %w); each front end translates it once, at its edge. An
// error that carries no code is a bug or a broken disk: callers see ServerError
// and the log sees the rest.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Code is a number of the service's error catalogue, such as 404001.
type Code int

// The codes the hub emits. Names and numbers follow the service-rest-api
// sheet, section 11. A new one also needs an entry in the catalogue, and then
// go test ./fault -update.
const (
	InvalidProtocolVersion          Code = 400001
	InvalidOperation                Code = 400003
	ArgumentInvalid                 Code = 400004
	ArgumentNull                    Code = 400005
	IotHubFormatError               Code = 400006
	BlobContainerValidationError    Code = 400008
	DeviceDefinedMultipleTimes      Code = 400011
	DeserializationError            Code = 400012
	BulkRegistryOperationFailure    Code = 400013
	StorageEndpointNotConfigured    Code = 400014
	InvalidFileUploadCorrelationID  Code = 400015
	ExpiredFileUploadCorrelationID  Code = 400016
	ConnectionClosedOnNewConnection Code = 400027
	InvalidDeviceScope              Code = 400028
	CannotRegisterModuleToModule    Code = 400301
	IotHubUnauthorizedAccess        Code = 401002
	IotHubUnauthorized              Code = 401003
	SystemModuleModifyUnauthorized  Code = 401100
	IotHubQuotaExceeded             Code = 403002
	JobQuotaExceeded                Code = 403003
	DeviceMaximumQueueDepthExceeded Code = 403004
	DeviceMaximumActiveFileUploads  Code = 403006
	InvalidMessageExpiryTime        Code = 403009
	DeviceDisabled                  Code = 403012
	MaximumInflightMethodExceeded   Code = 403800
	GenericNotFound                 Code = 404000
	DeviceNotFound                  Code = 404001
	JobNotFound                     Code = 404002
	CertificateNotFound             Code = 404008
	ModuleNotFound                  Code = 404010
	DeviceNotOnline                 Code = 404103
	DeviceConnectionClosedRemotely  Code = 404104
	GenericMethodNotAllowed         Code = 405000
	DeviceAlreadyExists             Code = 409001
	ModuleAlreadyExistsOnDevice     Code = 409301
	PreconditionFailed              Code = 412001
	DeviceMessageLockLost           Code = 412002
	MessageTooLarge                 Code = 413001
	TooManyDevices                  Code = 413002
	TooManyModulesOnDevice          Code = 413003
	GenericUnsupportedMediaType     Code = 415000
	ThrottlingException             Code = 429001
	ServerError                     Code = 500001
	GenericBadGateway               Code = 502000
	ServiceUnavailable              Code = 503001
	ServerBusy                      Code = 503005
	GatewayTimeout                  Code = 504101
)

// entry is what the catalogue says about a code. docs/reference/errors.md shows
// it all; its test rewrites it.
type entry struct {
	name string // as in the iothub-errorcode header
	when string // when callers meet it
}

var catalogue = map[Code]entry{
	InvalidProtocolVersion:          {"InvalidProtocolVersion", "the api-version is missing or malformed"},
	InvalidOperation:                {"InvalidOperation", "the operation is not possible on this object"},
	ArgumentInvalid:                 {"ArgumentInvalid", "a value breaks a rule: an id, a key, a limit, a query"},
	ArgumentNull:                    {"ArgumentNull", "something required is missing"},
	IotHubFormatError:               {"IotHubFormatError", "a message or its encoding can not be understood"},
	BlobContainerValidationError:    {"BlobContainerValidationError", "a job's container is missing, or can not be read or written"},
	DeviceDefinedMultipleTimes:      {"DeviceDefinedMultipleTimes", "two items of a bulk request name the same device or module"},
	DeserializationError:            {"DeserializationError", "the body is not JSON of the expected shape"},
	BulkRegistryOperationFailure:    {"BulkRegistryOperationFailure", "items of a bulk request failed; the body lists them"},
	StorageEndpointNotConfigured:    {"DefaultStorageEndpointNotConfigured", "the hub was started without a blob store"},
	InvalidFileUploadCorrelationID:  {"InvalidFileUploadCorrelationId", "no upload of the device has this correlation id"},
	ExpiredFileUploadCorrelationID:  {"ExpiredFileUploadCorrelationId", "the time for the upload is over"},
	ConnectionClosedOnNewConnection: {"ConnectionForcefullyClosedOnNewConnection", "the device connected a second time, which closes its first connection"},
	InvalidDeviceScope:              {"InvalidDeviceScope", "a device scope is unknown, or is not the device's to change"},
	CannotRegisterModuleToModule:    {"CannotRegisterModuleToModule", "a module can only belong to a device"},
	IotHubUnauthorizedAccess:        {"IotHubUnauthorizedAccess", "a back end's token is bad, or lacks the right"},
	IotHubUnauthorized:              {"IotHubUnauthorized", "a device's credentials are bad"},
	SystemModuleModifyUnauthorized:  {"SystemModuleModifyUnauthorizedAccess", "a module whose id begins with $ belongs to the hub"},
	IotHubQuotaExceeded:             {"IotHubQuotaExceeded", "the hub has as many devices as it may"},
	JobQuotaExceeded:                {"JobQuotaExceeded", "another import or export job is active"},
	DeviceMaximumQueueDepthExceeded: {"DeviceMaximumQueueDepthExceeded", "as many messages as may already wait for the device"},
	DeviceMaximumActiveFileUploads:  {"DeviceMaximumActiveFileUploadLimitExceeded", "the device has as many uploads in progress as it may"},
	InvalidMessageExpiryTime:        {"InvalidMessageExpiryTime", "a message to a device would expire in the past, or too late"},
	DeviceDisabled:                  {"DeviceDisabled", "the credentials are good, but the device is disabled"},
	MaximumInflightMethodExceeded:   {"DeviceMaximumInflightMethodExceeded", "as many direct methods of the device are under way, or wait for it, as may"},
	GenericNotFound:                 {"GenericNotFound", "there is nothing at this path"},
	DeviceNotFound:                  {"DeviceNotFound", "the device is not registered"},
	JobNotFound:                     {"JobNotFound", "there is no such job"},
	CertificateNotFound:             {"CertificateNotFound", "there is no certificate authority of this name"},
	ModuleNotFound:                  {"ModuleNotFound", "the module is not registered"},
	DeviceNotOnline:                 {"DeviceNotOnline", "the device is not connected, and did not connect in time"},
	DeviceConnectionClosedRemotely:  {"DeviceConnectionClosedRemotely", "the device's connection ended before it answered"},
	GenericMethodNotAllowed:         {"GenericMethodNotAllowed", "the path exists, but not with this HTTP method"},
	DeviceAlreadyExists:             {"DeviceAlreadyExists", "the device is registered already"},
	ModuleAlreadyExistsOnDevice:     {"ModuleAlreadyExistsOnDevice", "the module is registered already"},
	PreconditionFailed:              {"PreconditionFailed", "the etag given is missing or stale"},
	DeviceMessageLockLost:           {"DeviceMessageLockLost", "the lock token is unknown, or its time is over"},
	MessageTooLarge:                 {"MessageTooLarge", "a message or body exceeds its limit"},
	TooManyDevices:                  {"TooManyDevices", "a bulk request has more than 100 items"},
	TooManyModulesOnDevice:          {"TooManyModulesOnDevice", "the device has as many modules as it may"},
	GenericUnsupportedMediaType:     {"GenericUnsupportedMediaType", "the body has a Content-Encoding, or a Content-Type, that is not understood"},
	ThrottlingException:             {"ThrottlingException", "the caller is faster than its limit; try again later"},
	ServerError:                     {"ServerError", "the hub failed; its log says why"},
	GenericBadGateway:               {"GenericBadGateway", "what the device answered to a direct method is no JSON, or too large"},
	ServiceUnavailable:              {"ServiceUnavailable", "the hub can not answer now; try again"},
	ServerBusy:                      {"ServerBusy", "the hub has too much to do; try again"},
	GatewayTimeout:                  {"GatewayTimeout", "the device did not answer in time"},
}

// Name is the symbolic name of the iothub-errorcode header.
func (c Code) Name() string {
	if e, ok := catalogue[c]; ok {
		return e.name
	}
	return catalogue[ServerError].name
}

// ByName finds the code with a symbolic name, for clients of the hub, which get
// the name only.
func ByName(name string) (c Code, ok bool) {
	for c, e := range catalogue {
		if e.name == name {
			return c, true
		}
	}
	return 0, false
}

// Status is the HTTP status of the code: its first three digits.
func (c Code) Status() int { return int(c) / 1000 }

// Error is a failure with its catalogue code and a message that is fit for the
// caller's eyes.
type Error struct {
	Code    Code
	Message string
	cause   error
}

// New makes a failure. A %w verb in format keeps its cause for the log; the
// cause's text becomes part of the message.
func New(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Code: code, Message: err.Error()}
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		e.cause = err
	}
	return e
}

// Because gives e a cause that only the log may see: unlike the %w of [New] it
// leaves the message alone. It returns e.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// Of finds the failure in err's chain. An error without one is ServerError,
// with a message that tells the caller nothing of the inside; an ended context
// is ServiceUnavailable.
func Of(err error) *Error {
	var f *Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: ServiceUnavailable, Message: "the request ended before it was answered", cause: err}
	default:
		return &Error{Code: ServerError, Message: "the hub failed to carry out the request; its log says why", cause: err}
	}
}

// Is tells whether err carries code.
func Is(err error, code Code) bool {
	var f *Error
	return errors.As(err, &f) && f.Code == code
}
