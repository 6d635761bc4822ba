package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/store"
)

// authorities are the certificate authorities of the hub. There are few of them,
// so they are in memory.
type authorities struct {
	trust atomic.Pointer[auth.Trust]

	mu     sync.Mutex // held while one changes
	byName map[string]authority
}

type authority struct {
	auth.Authority
	revision store.Revision
}

// list gives all of them by name.
func (a *authorities) list() []auth.Authority {
	list := make([]auth.Authority, 0, len(a.byName))
	for _, name := range slices.Sorted(maps.Keys(a.byName)) {
		list = append(list, a.byName[name].Authority)
	}
	return list
}

func (h *Hub) readAuthorities(v store.View) error {
	h.authorities.byName = map[string]authority{}
	for e, err := range v.Scan([]byte{tableAuthorities}, []byte{tableAuthorities + 1}) {
		if err != nil {
			return err
		}
		a := authority{revision: e.Revision}
		if err := json.Unmarshal(e.Value, &a.Authority); err != nil {
			return fmt.Errorf("read certificate %q: %w", e.Key[1:], err)
		}
		h.authorities.byName[a.Name] = a
	}
	trust, err := auth.NewTrust(h.authorities.list())
	if err != nil {
		return fmt.Errorf("read certificates: %w", err)
	}
	h.authorities.trust.Store(trust)
	return nil
}

// Trust is the set of authorities in force.
func (s secrets) Trust() *auth.Trust { return s.h.authorities.trust.Load() }

// Authorities lists the certificate authorities by name.
func (h *Hub) Authorities(who auth.Principal) ([]auth.Authority, error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return nil, err
	}
	h.authorities.mu.Lock()
	defer h.authorities.mu.Unlock()
	return h.authorities.list(), nil
}

// Authority reads one of them. The fault is CertificateNotFound.
func (h *Hub) Authority(who auth.Principal, name string) (auth.Authority, error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return auth.Authority{}, err
	}
	h.authorities.mu.Lock()
	defer h.authorities.mu.Unlock()
	a, ok := h.authorities.byName[name]
	if !ok {
		return auth.Authority{}, noAuthority(name)
	}
	return a.Authority, nil
}

func noAuthority(name string) error {
	return fault.New(fault.CertificateNotFound, "there is no certificate %q", name)
}

var authorityName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// AddAuthority registers the certificate in text, PEM or DER, under a new name. With
// trusted, the caller vouches for it, and it counts at once; otherwise it has a
// verification code, and counts from VerifyAuthority on. Faults are ArgumentInvalid,
// PreconditionFailed if the name is taken, and IotHubQuotaExceeded if there are
// [auth.MaxAuthorities].
func (h *Hub) AddAuthority(ctx context.Context, who auth.Principal, name string, text []byte, trusted bool) (auth.Authority, error) {
	if err := who.May(auth.RegistryWrite); err != nil {
		return auth.Authority{}, err
	}
	if !authorityName.MatchString(name) {
		return auth.Authority{}, fault.New(fault.ArgumentInvalid, "the name of a certificate has 1 to 64 of A-Z a-z 0-9 . _ -, unlike %.100q", name)
	}
	at := now()
	certificate, err := auth.ParseAuthority(text, at)
	if err != nil {
		return auth.Authority{}, err
	}
	return h.changeAuthority(ctx, name, func(old *auth.Authority) (*auth.Authority, error) {
		switch {
		case old != nil:
			return nil, fault.New(fault.PreconditionFailed, "certificate %q is there already: delete it first, or take another name", name)
		case len(h.authorities.byName) >= auth.MaxAuthorities:
			return nil, fault.New(fault.IotHubQuotaExceeded, "the hub has %d certificates, which is its limit", auth.MaxAuthorities)
		}
		for _, other := range h.authorities.byName {
			if bytes.Equal(other.Certificate, certificate.Raw) {
				return nil, fault.New(fault.ArgumentInvalid, "the certificate is registered already, as %q", other.Name)
			}
		}
		a := &auth.Authority{Name: name, Certificate: certificate.Raw, Verified: trusted, Enabled: true, Created: at, Updated: at}
		if !trusted {
			a.VerificationCode = auth.NewVerificationCode()
		}
		return a, nil
	})
}

// VerifyAuthority takes proof, PEM or DER, that somebody holds the key of a
// certificate, which counts from then on; see [auth.Authority.Prove]. Faults are
// CertificateNotFound and ArgumentInvalid.
func (h *Hub) VerifyAuthority(ctx context.Context, who auth.Principal, name string, proof []byte) (auth.Authority, error) {
	return h.editAuthority(ctx, who, name, func(a *auth.Authority) error {
		if err := a.Prove(proof, now()); err != nil {
			return err
		}
		a.Verified, a.VerificationCode = true, ""
		return nil
	})
}

// EnableAuthority says whether a certificate counts, if it is verified. Connections
// of devices that it let in end when it does not. The fault is CertificateNotFound.
func (h *Hub) EnableAuthority(ctx context.Context, who auth.Principal, name string, enabled bool) (auth.Authority, error) {
	return h.editAuthority(ctx, who, name, func(a *auth.Authority) error {
		a.Enabled = enabled
		return nil
	})
}

// DeleteAuthority forgets a certificate. Connections of devices that it let in end.
// The fault is CertificateNotFound.
func (h *Hub) DeleteAuthority(ctx context.Context, who auth.Principal, name string) error {
	if err := who.May(auth.RegistryWrite); err != nil {
		return err
	}
	_, err := h.changeAuthority(ctx, name, func(old *auth.Authority) (*auth.Authority, error) {
		if old == nil {
			return nil, noAuthority(name)
		}
		return nil, nil
	})
	return err
}

func (h *Hub) editAuthority(ctx context.Context, who auth.Principal, name string, edit func(*auth.Authority) error) (auth.Authority, error) {
	if err := who.May(auth.RegistryWrite); err != nil {
		return auth.Authority{}, err
	}
	return h.changeAuthority(ctx, name, func(old *auth.Authority) (*auth.Authority, error) {
		if old == nil {
			return nil, noAuthority(name)
		}
		next := *old
		next.Updated = now()
		return &next, edit(&next)
	})
}

// changeAuthority puts what change makes of the authority name in its place; nil, on
// either side, is none. It returns what is there when that is durable and in force.
func (h *Hub) changeAuthority(ctx context.Context, name string, change func(old *auth.Authority) (*auth.Authority, error)) (auth.Authority, error) {
	set := &h.authorities
	set.mu.Lock()
	defer set.mu.Unlock()
	entry, ok := set.byName[name]
	var old *auth.Authority
	w := store.Write{Key: keyAuthority(name), Revision: store.NewRevision()}
	if ok {
		old, w.Revision = &entry.Authority, entry.revision+1
	}
	next, err := change(old)
	if err != nil {
		return auth.Authority{}, err
	}
	if next != nil {
		if w.Value, err = json.Marshal(next); err != nil {
			return auth.Authority{}, fmt.Errorf("write certificate %q: %w", name, err)
		}
	}
	// The caller may go; memory must know what the disk does.
	_, err = store.CommitBatch(context.WithoutCancel(ctx), h.store, store.Batch{
		Expect: []store.Expectation{{Key: w.Key, Revision: entry.revision}}, Writes: []store.Write{w},
	})
	if err != nil {
		return auth.Authority{}, outcome(err)
	}
	if next == nil {
		delete(set.byName, name)
		next = new(auth.Authority)
	} else {
		set.byName[name] = authority{*next, w.Revision}
	}
	trust, err := auth.NewTrust(set.list())
	if err != nil {
		return auth.Authority{}, err // not of a certificate that was parsed when it was added
	}
	set.trust.Store(trust)
	h.closeUntrusted()
	return *next, nil
}

// closeUntrusted ends the connections of devices whose authority does not count any
// more. The table has every connection that was let in by the set before, but for
// those that Connect looks at again.
func (h *Hub) closeUntrusted() {
	for _, link := range h.table.Links() {
		if err := h.checkAuthority(link.Authority); err != nil {
			link.Device.Close(err)
		}
	}
}

// checkAuthority answers nil if the authority with this thumbprint counts. "" is
// that of credentials without one.
func (h *Hub) checkAuthority(thumbprint string) error {
	if thumbprint == "" || h.authorities.trust.Load().Has(thumbprint) {
		return nil
	}
	return fault.New(fault.IotHubUnauthorized, "the authority of the device's certificate was deleted or disabled")
}
