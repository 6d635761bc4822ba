package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/store"
)

func (h *Hub) readPolicies(v store.View) error {
	h.policies = map[string]auth.Policy{}
	for e, err := range v.Scan([]byte{tablePolicies}, []byte{tablePolicies + 1}) {
		if err != nil {
			return err
		}
		var p auth.Policy
		if err := json.Unmarshal(e.Value, &p); err != nil {
			return fmt.Errorf("read policy %q: %w", e.Key[1:], err)
		}
		h.policies[p.Name] = p
	}
	return nil
}

// makePolicies gives a new hub the five policies that every hub begins with.
func (h *Hub) makePolicies(b *store.Batch) {
	for _, p := range auth.DefaultPolicies() {
		value, err := json.Marshal(p)
		if err != nil {
			panic(err) // strings and a number always encode
		}
		h.policies[p.Name] = p
		b.Writes = append(b.Writes, store.Write{Key: keyPolicy(p.Name), Value: value, Revision: store.NewRevision()})
	}
}

// Policies lists the shared access policies with their keys, by name. It is
// for whoever runs the hub's process, not for a front end.
func (h *Hub) Policies() []auth.Policy {
	var all []auth.Policy
	for _, p := range h.policies {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b auth.Policy) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Secrets gives the verifier of tokens access to keys.
func (h *Hub) Secrets() auth.Keys { return secrets{h} }

// secrets is the hub as auth.Keys: reads that ask for no rights, because they
// decide about rights.
type secrets struct{ h *Hub }

func (s secrets) Policy(_ context.Context, name string) (auth.Policy, error) {
	p, ok := s.h.policies[name]
	if !ok {
		return p, fault.New(fault.GenericNotFound, "policy %q does not exist", name)
	}
	return p, nil
}

func (s secrets) Identity(_ context.Context, id device.ID) (device.Identity, error) {
	st, err := s.h.heads.read(id)
	if err != nil {
		return device.Identity{}, err
	}
	if !st.registered() {
		return device.Identity{}, notRegistered(id)
	}
	return *st.identity, nil
}

// notRegistered is the failure of a use case on an id that nobody has. The text
// is the bare id, as the service sends it (REST sheet 0.3).
func notRegistered(id device.ID) error {
	if id.IsModule() {
		return fault.New(fault.ModuleNotFound, "%s", id)
	}
	return fault.New(fault.DeviceNotFound, "%s", id)
}
