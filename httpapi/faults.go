package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/injection"
)

// MaxFaultBody is the limit of a fault to be injected, in bytes.
const MaxFaultBody = 4 << 10

// faultsPath is never subject to faults: they could not be cleared any more.
const faultsPath = "/$hubtwin/faults"

// disturb lets a call meet the faults that are to be injected.
func (a *api) disturb(r *http.Request, id device.ID) error {
	if strings.HasPrefix(r.URL.Path, faultsPath) {
		return nil
	}
	hit := a.Faults.Meet(injection.HTTPS, id, r.URL.Path)
	if hit.Effect != injection.Delay {
		return hit.Err()
	}
	select {
	case <-time.After(hit.Delay):
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// mayDisturb tells whether faults can be injected, and the caller may do so.
func (a *api) mayDisturb(c *call) error {
	if err := c.who.May(auth.ServiceConnect); err != nil {
		return err
	}
	if a.Faults == nil {
		return fault.New(fault.InvalidOperation, "this hub injects no faults; start it with: hubtwin dev --faults")
	}
	return nil
}

// listFaults serves GET /$hubtwin/faults.
func (a *api) listFaults(c *call) (*answer, error) {
	if err := a.mayDisturb(c); err != nil {
		return nil, err
	}
	return marshal(a.Faults.List())
}

// addFault serves POST /$hubtwin/faults, whose body is a rule.
func (a *api) addFault(c *call) (*answer, error) {
	if err := a.mayDisturb(c); err != nil {
		return nil, err
	}
	body, err := c.body(MaxFaultBody)
	if err != nil {
		return nil, err
	}
	r, err := injection.Parse(body)
	if err != nil {
		return nil, err
	}
	if r, err = a.Faults.Add(r, 0); err != nil {
		return nil, err
	}
	return marshal(r)
}

// clearFaults serves DELETE /$hubtwin/faults, and that with the id of one.
func (a *api) clearFaults(c *call) (*answer, error) {
	if err := a.mayDisturb(c); err != nil {
		return nil, err
	}
	n := a.Faults.Clear(c.id.Device)
	if n == 0 && c.id.Device != "" {
		return nil, fault.New(fault.GenericNotFound, "there is no fault %q; it may have ended", c.id.Device)
	}
	return marshal(map[string]int{"cleared": n})
}

// disconnect serves POST /$hubtwin/faults/disconnect/{id}.
func (a *api) disconnect(c *call) (*answer, error) {
	if err := a.mayDisturb(c); err != nil {
		return nil, err
	}
	was, err := a.Hub.Disconnect(c.who, c.id)
	if err != nil {
		return nil, err
	}
	return marshal(map[string]bool{"wasConnected": was})
}
