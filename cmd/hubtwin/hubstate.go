package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The file of "az iot hub state export" is one JSON object:
//
//	{"arm": …, "configurations": …,
//	 "devices": {"<device id>": {"identity": {…}, "twin": {"tags", "properties": {"desired"}},
//	             "parent": "<device id>",
//	             "modules": {"<module id>": {"identity": {…}, "twin": {…}}}}}}
//
// It has no reported properties, and a parent is named by its id.

type stateDevice struct {
	Identity map[string]json.RawMessage `json:"identity"`
	Twin     stateTwin                  `json:"twin"`
	Parent   string                     `json:"parent,omitempty"`
	Modules  map[string]stateDevice     `json:"modules,omitempty"`
}

type stateTwin struct {
	Tags       json.RawMessage `json:"tags,omitempty"`
	Properties struct {
		Desired json.RawMessage `json:"desired,omitempty"`
	} `json:"properties"`
}

// stateReader reads such a file as lines. It holds one device at a time.
type stateReader struct {
	*io.PipeReader
	ended   chan struct{}
	err     error  // of the file
	skipped string // what else the file has
}

func newStateReader(r io.Reader) *stateReader {
	pr, pw := io.Pipe()
	s := &stateReader{PipeReader: pr, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		w := bufio.NewWriter(pw)
		if s.err = s.convert(json.NewDecoder(bufio.NewReader(r)), w); s.err == nil {
			s.err = w.Flush()
		}
		pw.CloseWithError(s.err)
	}()
	return s
}

// Close ends the conversion.
func (s *stateReader) Close() error {
	s.PipeReader.Close()
	<-s.ended
	return nil
}

// problem is what is wrong with the file as a whole.
func (s *stateReader) problem() error {
	s.Close()
	if s.err == io.ErrClosedPipe {
		return nil
	}
	return s.err
}

func (s *stateReader) convert(in *json.Decoder, w io.Writer) error {
	var skipped []string
	seen := false
	err := members(in, func(name string) error {
		if name == "devices" {
			seen = true
			return members(in, func(id string) error { return convertDevice(in, w, id) })
		}
		var other json.RawMessage
		if err := in.Decode(&other); err != nil {
			return err
		}
		if hasContent(other) {
			skipped = append(skipped, name)
		}
		return nil
	})
	switch {
	case err == io.ErrClosedPipe:
		return err
	case err != nil:
		return fmt.Errorf("the file is not a hub state: %w", err)
	case !seen:
		return fmt.Errorf("the file is not a hub state: it has no member \"devices\"")
	}
	s.skipped = strings.Join(skipped, ", ")
	return nil
}

// hasContent tells whether there is anything but empty objects and lists in it.
func hasContent(raw json.RawMessage) bool {
	return len(bytes.Trim(raw, "{}[]:, \t\r\n")) > 0 && !emptyConfigurations(raw)
}

func emptyConfigurations(raw json.RawMessage) bool {
	var groups map[string]map[string]json.RawMessage
	if json.Unmarshal(raw, &groups) != nil {
		return string(raw) == "null"
	}
	for _, g := range groups {
		if len(g) > 0 {
			return false
		}
	}
	return true
}

// members calls f for each member of the object that follows. f reads the value.
func members(in *json.Decoder, f func(name string) error) error {
	t, err := in.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("%v at byte %d, where an object should begin", t, in.InputOffset())
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return err
		}
		if err := f(name.(string)); err != nil {
			return err
		}
	}
	_, err = in.Token()
	return err
}

func convertDevice(in *json.Decoder, w io.Writer, id string) error {
	var d stateDevice
	if err := in.Decode(&d); err != nil {
		return fmt.Errorf("device %q: %w", id, err)
	}
	if err := writeStateLine(w, id, "", d); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Modules)) {
		if err := writeStateLine(w, id, name, d.Modules[name]); err != nil {
			return err
		}
	}
	return nil
}

// scopeOf names a parent in an import, which looks at the device only.
func scopeOf(dev string) string { return "ms-azure-iot-edge://" + dev + "-0" }

func writeStateLine(w io.Writer, dev, module string, d stateDevice) error {
	line := map[string]any{}
	for name, value := range d.Identity {
		switch name {
		case "status", "statusReason", "authentication", "capabilities", "managedBy":
			line[name] = value
		}
	}
	line["id"] = dev
	if module != "" {
		line["moduleId"] = module
	}
	if strings.HasPrefix(module, "$") {
		line["importMode"] = "updateTwin" // the hub makes system modules itself
	}
	if d.Parent != "" {
		// A leaf device reads the first, an edge device the second.
		line["deviceScope"], line["parentScopes"] = scopeOf(d.Parent), []string{scopeOf(d.Parent)}
	}
	if d.Twin.Tags != nil {
		line["tags"] = d.Twin.Tags
	}
	if d.Twin.Properties.Desired != nil {
		line["properties"] = d.Twin.Properties
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// stateWriter writes lines of an export as such a file. It holds one device at a
// time.
type stateWriter struct {
	w     io.Writer
	line  []byte // begun, and not ended yet
	id    string // of the device that is held; "" for none
	held  stateDevice
	count int
}

func newStateWriter(w io.Writer) *stateWriter { return &stateWriter{w: w} }

// Write takes lines in pieces of any size.
func (s *stateWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		piece, rest, ended := bytes.Cut(b, []byte{'\n'})
		s.line = append(s.line, piece...)
		if !ended {
			return n, nil
		}
		if err := s.take(s.line); err != nil {
			return 0, err
		}
		s.line, b = s.line[:0], rest
	}
}

func (s *stateWriter) take(line []byte) error {
	var members map[string]json.RawMessage
	var known struct {
		ID           string   `json:"id"`
		ModuleID     string   `json:"moduleId"`
		DeviceScope  string   `json:"deviceScope"`
		ParentScopes []string `json:"parentScopes"`
		Tags         json.RawMessage
		Properties   struct{ Desired map[string]json.RawMessage }
	}
	if err := json.Unmarshal(line, &known); err != nil {
		return fmt.Errorf("read the export: %w", err)
	}
	if err := json.Unmarshal(line, &members); err != nil {
		return fmt.Errorf("read the export: %w", err)
	}
	d := stateDevice{Identity: map[string]json.RawMessage{}}
	for _, name := range []string{"status", "statusReason", "authentication", "capabilities", "managedBy"} {
		if value, ok := members[name]; ok {
			d.Identity[name] = value
		}
	}
	delete(known.Properties.Desired, "$metadata")
	delete(known.Properties.Desired, "$version")
	desired, err := json.Marshal(known.Properties.Desired)
	if err != nil {
		return err
	}
	d.Twin.Tags, d.Twin.Properties.Desired = known.Tags, desired
	if known.ModuleID != "" {
		if s.held.Modules == nil {
			s.held.Modules = map[string]stateDevice{}
		}
		s.held.Modules[known.ModuleID] = d
		return nil
	}
	if len(known.ParentScopes) > 0 {
		name := strings.TrimPrefix(known.ParentScopes[0], "ms-azure-iot-edge://")
		d.Parent = name[:max(strings.LastIndexByte(name, '-'), 0)]
	}
	err = s.flush()
	s.id, s.held = known.ID, d
	return err
}

// flush writes the device that is held.
func (s *stateWriter) flush() error {
	if s.id == "" {
		return nil
	}
	open := ",\n"
	if s.count == 0 {
		open = `{"configurations": {"admConfigurations": {}, "edgeDeployments": {}}, "devices": {` + "\n"
	}
	s.count++
	id, err := json.Marshal(s.id)
	if err != nil {
		return err
	}
	device, err := json.Marshal(s.held)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.w, "%s%s: %s", open, id, device)
	return err
}

// Close writes the end.
func (s *stateWriter) Close() error {
	if s.id == "" {
		_, err := io.WriteString(s.w, `{"configurations": {"admConfigurations": {}, "edgeDeployments": {}}, "devices": {}}`+"\n")
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	_, err := io.WriteString(s.w, "\n}}\n")
	return err
}
