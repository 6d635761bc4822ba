package client

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
)

// ConnectionString is a connection string taken apart.
type ConnectionString struct {
	HostName            string // with a port where it is not 443
	SharedAccessKeyName string
	SharedAccessKey     string // base64 text
}

// ParseConnectionString reads the connection string of a shared access policy:
//
//	HostName=hub.example.com;SharedAccessKeyName=service;SharedAccessKey=…
//
// The order of the fields and the case of their names don't matter. HostName
// may have a port. Errors name the field at fault and never quote the key.
func ParseConnectionString(text string) (ConnectionString, error) {
	var s ConnectionString
	fields := map[string]*string{
		"hostname":            &s.HostName,
		"sharedaccesskeyname": &s.SharedAccessKeyName,
		"sharedaccesskey":     &s.SharedAccessKey,
	}
	for field := range strings.SplitSeq(strings.TrimSpace(text), ";") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		name, value, ok := strings.Cut(field, "=")
		into := fields[strings.ToLower(name)]
		switch {
		case !ok:
			return ConnectionString{}, fmt.Errorf("connection string: every field is Name=value, with semicolons between")
		case strings.EqualFold(name, "DeviceId"):
			return ConnectionString{}, fmt.Errorf("connection string: it is that of a device; use that of a shared access policy, with SharedAccessKeyName")
		case into == nil:
			return ConnectionString{}, fmt.Errorf("connection string: field %q is not known; the fields are HostName, SharedAccessKeyName and SharedAccessKey", name)
		case *into != "":
			return ConnectionString{}, fmt.Errorf("connection string: %s is given twice", name)
		}
		*into = value
	}
	if err := s.validate(); err != nil {
		return ConnectionString{}, err
	}
	return s, nil
}

func (s ConnectionString) validate() error {
	switch {
	case s.HostName == "":
		return fmt.Errorf("connection string: HostName is missing, such as HostName=hub.example.com")
	case s.SharedAccessKeyName == "":
		return fmt.Errorf("connection string: SharedAccessKeyName is missing, such as SharedAccessKeyName=iothubowner")
	case s.SharedAccessKey == "":
		return fmt.Errorf("connection string: SharedAccessKey is missing")
	}
	if u, err := url.Parse("https://" + s.HostName); err != nil || u.Host != s.HostName || u.Hostname() == "" {
		return fmt.Errorf("connection string: HostName %q is not a host, such as hub.example.com or localhost:8443", s.HostName)
	}
	if _, err := base64.StdEncoding.DecodeString(s.SharedAccessKey); err != nil {
		return fmt.Errorf("connection string: SharedAccessKey is not base64")
	}
	return nil
}

// host is HostName without its port.
func (s ConnectionString) host() string {
	u := url.URL{Host: s.HostName}
	return u.Hostname()
}
