package hub

import (
	"context"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/twin"
)

// MaxListed is the largest number of devices that one list call returns.
const MaxListed = 1000

// IdentityDocument is an identity as back ends see it, keys included.
type IdentityDocument struct {
	Identity   device.Identity
	Connection device.Connection
}

// AppendJSON appends the document in the form of the REST API.
func (d IdentityDocument) AppendJSON(b []byte) []byte {
	return device.AppendJSON(b, d.Identity, d.Connection)
}

func (h *Hub) identityDocument(id device.ID, s *state) IdentityDocument {
	return IdentityDocument{Identity: *s.identity, Connection: h.connection(id, s)}
}

// Identity reads one identity. A device may read its modules.
func (h *Hub) Identity(ctx context.Context, who auth.Principal, id device.ID) (IdentityDocument, error) {
	if err := mayKeep(who, id, auth.RegistryRead); err != nil {
		return IdentityDocument{}, err
	}
	s, err := h.heads.read(id)
	if err != nil {
		return IdentityDocument{}, err
	}
	if !s.registered() {
		return IdentityDocument{}, h.neither(id)
	}
	return h.identityDocument(id, s), nil
}

// neither is the failure for an identity that is not there: a module's may be
// that there is no such device.
func (h *Hub) neither(id device.ID) error {
	dev, err := h.heads.read(id.Parent())
	if err == nil && !dev.registered() {
		id = id.Parent()
	}
	if err != nil {
		return err
	}
	return notRegistered(id)
}

// Identities lists up to top devices, in the order of their ids. A top out of
// 1…MaxListed counts as MaxListed.
func (h *Hub) Identities(ctx context.Context, who auth.Principal, top int) ([]IdentityDocument, error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return nil, err
	}
	if top < 1 || top > MaxListed {
		top = MaxListed
	}
	v, err := h.store.View()
	if err != nil {
		return nil, outcome(err)
	}
	defer v.Close()
	var list []IdentityDocument
	for row, err := range storedRows(v) {
		if err != nil {
			return nil, err
		}
		if row.id.IsModule() {
			continue
		}
		s, err := row.state()
		if err != nil {
			return nil, err
		}
		if !s.registered() {
			continue
		}
		if list = append(list, h.identityDocument(row.id, s)); len(list) == top {
			break
		}
	}
	return list, nil
}

// PutIdentity creates the identity want if c is "", and otherwise replaces the
// existing one that c allows (REST sheet, 0.4). It returns what was stored, with
// keys generated where none were given. A new identity gets a new twin. A device
// may write its modules.
func (h *Hub) PutIdentity(ctx context.Context, who auth.Principal, want device.Identity, c Condition) (IdentityDocument, error) {
	if err := mayKeep(who, want.ID, auth.RegistryWrite); err != nil {
		return IdentityDocument{}, err
	}
	mode := putExisting
	if c == "" {
		mode = putNew
	}
	return h.put(ctx, want, mode, c, nil)
}

// put writes an identity and, with content, the first content of its new twin.
func (h *Hub) put(ctx context.Context, want device.Identity, mode putMode, c Condition, content *twin.Replacement) (IdentityDocument, error) {
	id := want.ID
	parent, err := h.parentOf(want)
	if err != nil {
		return IdentityDocument{}, err
	}
	var next *state
	err = h.heads.updateFamily(ctx, id.Parent(), func(f *family) (events [][]byte, err error) {
		old, err := f.read(id)
		if err == nil {
			err = mayWrite(id, old, f.device())
		}
		if err == nil {
			err = mode.admits(id, old, c)
		}
		switch {
		case err != nil:
			return nil, err
		case old.registered():
			next, events, err = replaced(old, want, parent, content)
		default:
			next, events, err = created(want, parent, content)
		}
		if err != nil {
			return nil, err
		}
		f.write(id, next)
		more, err := f.consequences(id, old)
		return append(events, more...), err
	})
	if err != nil {
		return IdentityDocument{}, err
	}
	return h.identityDocument(id, next), nil
}

// putMode says which identities a put may meet.
type putMode int

const (
	putNew      putMode = iota // only an id that is not registered
	putExisting                // only one that is
	putAny
)

// admits tells whether a put may meet old.
func (m putMode) admits(id device.ID, old *state, c Condition) error {
	switch {
	case !old.registered() && m == putExisting:
		return notRegistered(id)
	case !old.registered():
		return nil
	case m == putNew && id.IsModule():
		return fault.New(fault.ModuleAlreadyExistsOnDevice, "A module with ID '%s' is already registered on device '%s'.", id.Module, id.Device)
	case m == putNew:
		return fault.New(fault.DeviceAlreadyExists, "A device with ID '%s' is already registered.", id)
	case !c.holds(old.identity.Etag):
		return etagMoved(id, c, old.identity.Etag)
	}
	return nil
}

// created makes the first state of an identity: its twin is born with it.
func created(want device.Identity, parent *device.Identity, content *twin.Replacement) (*state, [][]byte, error) {
	at := now()
	identity, err := device.Create(want, parent, at)
	if err != nil {
		return nil, nil, err
	}
	t := twin.New(at)
	if content != nil {
		if t, _, err = twin.Restore(content, at); err != nil {
			return nil, nil, err
		}
	}
	next, event := born(identity, t, at)
	return next, [][]byte{event}, nil
}

// born is the first state of an identity, and the event that tells of it.
func born(identity device.Identity, t *twin.Twin, at time.Time) (*state, []byte) {
	e := Event{Kind: IdentityCreated, ID: identity.ID, Time: at, Record: t.AppendRecord(nil)}
	return &state{identity: &identity, twin: t}, e.encode()
}

// replaced makes the state after a PUT of an identity that exists. With content
// its twin is replaced in the same commit.
func replaced(old *state, want device.Identity, parent *device.Identity, content *twin.Replacement) (*state, [][]byte, error) {
	at := now()
	identity, err := device.Replace(*old.identity, want, parent, at)
	if err != nil {
		return nil, nil, err
	}
	next, events := old, [][]byte(nil)
	if content != nil {
		next, events, err = applyTwin(want.ID, old, at, func(t *twin.Twin, at time.Time) (*twin.Twin, *twin.Change, error) { return t.Replace(content, at) })
		if err != nil {
			return nil, nil, err
		}
	}
	withIdentity := *next
	withIdentity.identity = &identity
	revoked := identity.Status == device.Disabled || identity.Authentication != old.identity.Authentication
	events = append(events, Event{Kind: IdentityUpdated, ID: want.ID, Time: at, Revoked: revoked}.encode())
	return &withIdentity, events, nil
}

// parentOf finds the edge device that want names as its parent, or nil.
func (h *Hub) parentOf(want device.Identity) (*device.Identity, error) {
	id, ok := device.ScopeDevice(want.ParentScope())
	if !ok {
		return nil, nil
	}
	s, err := h.heads.read(id)
	if err != nil {
		return nil, err
	}
	return s.identity, nil
}

// DeleteIdentity removes the identity and everything that belongs to it, its
// modules included. c must not be "". A device may delete its modules.
func (h *Hub) DeleteIdentity(ctx context.Context, who auth.Principal, id device.ID, c Condition) error {
	if err := mayKeep(who, id, auth.RegistryWrite); err != nil {
		return err
	}
	if c == "" {
		return fault.New(fault.PreconditionFailed, "PreconditionFailed, Etag missing: send If-Match with the etag of %q, or with *", id)
	}
	return h.delete(ctx, id, c)
}

func (h *Hub) delete(ctx context.Context, id device.ID, c Condition) error {
	return h.heads.updateFamily(ctx, id.Parent(), func(f *family) ([][]byte, error) {
		old, err := f.read(id)
		if err == nil {
			err = mayWrite(id, old, f.device())
		}
		if err == nil {
			err = putExisting.admits(id, old, c)
		}
		if err != nil {
			return nil, err
		}
		event := f.remove(id, old, now())
		more, err := f.consequences(id, old)
		return append([][]byte{event}, more...), err
	})
}

func etagMoved(id device.ID, given Condition, have string) error {
	return fault.New(fault.PreconditionFailed, "PreconditionFailed, ETag may be invalid. %q: existingVersion %q, newVersion %q", id, have, string(given))
}

// Statistics counts devices.
type Statistics struct {
	Total, Enabled, Disabled int64
}

// DeviceStatistics counts the registered devices by their status.
func (h *Hub) DeviceStatistics(ctx context.Context, who auth.Principal) (Statistics, error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return Statistics{}, err
	}
	var st Statistics
	err := h.search(ctx, func(ctx context.Context, s *index.Snapshot) (err error) {
		if st.Total, err = s.Count(ctx, everyDevice); err == nil {
			st.Enabled, err = s.Count(ctx, enabledDevices)
		}
		return err
	})
	st.Disabled = st.Total - st.Enabled
	return st, err
}

var (
	everyDevice    = mustParse("SELECT * FROM devices")
	enabledDevices = mustParse("SELECT * FROM devices WHERE status = 'enabled'")
)

func mustParse(text string) *query.Query {
	q, err := query.Parse(text)
	if err != nil {
		panic(err)
	}
	return q
}

// ConnectedDevices counts the devices and modules that are connected now.
func (h *Hub) ConnectedDevices(ctx context.Context, who auth.Principal) (int64, error) {
	if who.May(auth.RegistryRead) != nil {
		if err := who.May(auth.ServiceConnect); err != nil {
			return 0, err
		}
	}
	return int64(h.table.Len()), nil
}
