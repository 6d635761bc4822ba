package injection

import (
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
)

// Table holds rules. Its methods may be called from many goroutines at once.
type Table struct {
	log *slog.Logger

	any   atomic.Bool // there may be rules
	mu    sync.Mutex
	rules []*Rule // in the order of their adding; at most MaxRules
	last  int     // number of the newest
}

// New makes a table without rules. What it does is logged.
func New(log *slog.Logger) *Table { return &Table{log: log} }

// Add puts a rule in force after a time, which is 0 for now, and returns it as it
// is listed. The fault of a rule that can't be is ArgumentInvalid, that of one too
// many InvalidOperation.
func (t *Table) Add(r Rule, after time.Duration) (Rule, error) {
	r, err := r.complete()
	if err != nil {
		return Rule{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.forget(now)
	if len(t.rules) >= MaxRules {
		return Rule{}, fault.New(fault.InvalidOperation, "there are %d faults already, which is the limit; clear some", MaxRules)
	}
	t.last++
	r.ID = strconv.Itoa(t.last)
	r.from, r.last, r.allowed = now.Add(after), now, max(r.Rate, 1)
	r.Until = r.from.Add(time.Duration(r.Duration)).UTC()
	t.rules = append(t.rules, &r)
	t.any.Store(true)
	t.log.Warn("fault injection begins", t.attrs(&r)...)
	return r, nil
}

func (t *Table) attrs(r *Rule) []any {
	list := []any{slog.String("id", r.ID), slog.String("effect", string(r.Effect)), slog.String("operation", string(r.Operation))}
	if r.Device != "" {
		list = append(list, slog.String("device", r.Device))
	}
	if r.Code != 0 {
		list = append(list, slog.Int("code", int(r.Code)))
	}
	return list
}

// forget takes out what is over.
func (t *Table) forget(now time.Time) {
	t.rules = slices.DeleteFunc(t.rules, func(r *Rule) bool { return !now.Before(r.Until) })
	t.any.Store(len(t.rules) > 0)
}

// List gives the rules in force, and those that will be.
func (t *Table) List() []Rule {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(time.Now())
	list := make([]Rule, len(t.rules))
	for i, r := range t.rules {
		list[i] = *r
	}
	return list
}

// Clear takes out the rule of that id, or all for "", and tells how many.
func (t *Table) Clear(id string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(time.Now())
	before := len(t.rules)
	t.rules = slices.DeleteFunc(t.rules, func(r *Rule) bool { return id == "" || r.ID == id })
	t.any.Store(len(t.rules) > 0)
	if n := before - len(t.rules); n > 0 {
		t.log.Warn("fault injection cleared", slog.Int("rules", n))
		return n
	}
	return 0
}

// Hit is what a request meets. The zero Hit is nothing.
type Hit struct {
	Effect Effect
	Delay  time.Duration
	err    *fault.Error
}

// Err is the failure of Fail, and nil otherwise.
func (h Hit) Err() error {
	if h.err == nil {
		return nil // and not a nil *fault.Error, which would be an error
	}
	return h.err
}

// Meet gives what happens to a request: the effect of the first rule about it.
// path is that of an HTTPS call, "" otherwise. A nil table has nothing.
func (t *Table) Meet(o Operation, id device.ID, path string) Hit {
	if t == nil || !t.any.Load() {
		return Hit{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.forget(now)
	for i, r := range t.rules {
		if now.Before(r.from) || !r.matches(o, id.Device, path) || r.passes(now) {
			continue
		}
		r.Hits++
		if r.Count > 0 {
			if r.Count--; r.Count == 0 {
				t.rules = slices.Delete(t.rules, i, i+1)
				t.any.Store(len(t.rules) > 0)
			}
		}
		t.log.Info("fault injected", append(t.attrs(r), slog.String("request", string(o)), slog.String("of", id.String()))...)
		return r.hit()
	}
	return Hit{}
}

func (r *Rule) hit() Hit {
	h := Hit{Effect: r.Effect, Delay: time.Duration(r.Delay)}
	if r.Effect == Fail {
		h.err = fault.New(r.Code, "this fault was asked for (injected fault %s)", r.ID)
	}
	return h
}
