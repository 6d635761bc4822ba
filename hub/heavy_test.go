package hub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

// registerMany registers n devices, with an array in the tags that says which.
func registerMany(t *testing.T, h *hub.Hub, n int) {
	t.Helper()
	for first := 0; first < n; first += device.MaxBulkItems {
		var items []device.BulkItem
		for k := first; k < min(first+device.MaxBulkItems, n); k++ {
			id := device.ID{Device: fmt.Sprintf("s%04d", k)}
			want, err := device.ParseIdentity([]byte(`{}`), id)
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, device.BulkItem{Mode: device.BulkCreate, Identity: want, Tags: fmt.Appendf(nil, `{"list":[%d,%d]}`, k%100, k)})
		}
		if failed, err := h.Bulk(context.Background(), owner, items, twin.Rules{}); err != nil || len(failed) > 0 {
			t.Fatal(err, failed)
		}
	}
}

// TestHeavyQueries: they take turns in few places. A query that ends soon needs
// none. Time stands still while anybody works.
func TestHeavyQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		registerMany(t, h, hub.LightDocuments+1000)
		const light = "SELECT COUNT() AS n FROM devices WHERE status = 'enabled'"
		const heavy = "SELECT COUNT() AS n FROM devices WHERE ARRAY_CONTAINS(tags.list, 7)"
		heavyRows := fmt.Sprintf(`{"n":%d}`, (hub.LightDocuments+1000)/100)
		if got := ask(t, h, heavy); got != heavyRows {
			t.Errorf("alone, the heavy query gives %s", got)
		}
		if got := ask(t, h, "SELECT deviceId FROM devices WHERE ARRAY_CONTAINS(tags.list, 5999)"); got != `{"deviceId":"s5999"}` {
			t.Errorf("at the end it finds %s", got)
		}

		free := h.TakeHeavyPlaces()
		type answer struct {
			page hub.QueryPage
			err  error
		}
		start := func(ctx context.Context) chan answer {
			answers := make(chan answer, 1)
			go func() {
				page, err := h.Query(ctx, owner, heavy, 0, "")
				answers <- answer{page, err}
			}()
			synctest.Wait()
			if len(answers) > 0 {
				t.Errorf("a heavy query did not wait for its place")
			}
			return answers
		}
		if got := ask(t, h, light); got != fmt.Sprintf(`{"n":%d}`, hub.LightDocuments+1000) {
			t.Errorf("a light query gives %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		leaves := start(ctx)
		cancel()
		if a := <-leaves; !errors.Is(a.err, context.Canceled) {
			t.Errorf("its client has gone: %v", a.err)
		}
		began := time.Now()
		late := start(t.Context())
		if a := <-late; !fault.Is(a.err, fault.ServiceUnavailable) || time.Since(began) != hub.QueryTime {
			t.Errorf("no place becomes free: %v after %v", a.err, time.Since(began))
		}
		waits := start(t.Context())
		free()
		if a := <-waits; a.err != nil || string(a.page.Rows[0]) != heavyRows {
			t.Errorf("in its turn, %s, %v", a.page.Rows, a.err)
		}
		h.TakeHeavyPlaces()() // nobody has kept one
	})
}

// TestBudgets tells what a query may use up, and what it is told after that:
// where a place for long queries is free as soon as it needs one, and where it
// had to wait for one.
func TestBudgets(t *testing.T) {
	for _, c := range []struct {
		name  string
		heavy func(ctx context.Context) error // what becomes of it in its place
		want  fault.Code
		after time.Duration
	}{
		{"documents", func(context.Context) error { return index.ErrBudget }, fault.ArgumentInvalid, 0},
		{"time", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, fault.ArgumentInvalid, hub.QueryTime},
		{"failure", func(ctx context.Context) error { return errors.New("bad record") }, fault.ServerError, 0},
		{"nothing", func(ctx context.Context) error { return nil }, 0, 0},
	} {
		for _, free := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, free %t", c.name, free), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := open(t, nil)
					began := time.Now()
					var seen []index.Budget
					err := h.Search(t.Context(), func(ctx context.Context, s *index.Snapshot) error {
						seen = append(seen, s.Budget)
						if len(seen) == 2 {
							return c.heavy(ctx)
						}
						if !free {
							defer h.TakeHeavyPlaces()()
						}
						more, ok := s.Budget.More()
						if ok != free {
							t.Errorf("given a place: %t", ok)
						}
						if !ok {
							return fmt.Errorf("read documents: %w", index.ErrBudget)
						}
						seen = append(seen, more)
						return c.heavy(ctx)
					})
					if c.want == 0 && err != nil || c.want != 0 && fault.Of(err).Code != c.want {
						t.Errorf("got %v", err)
					}
					if took := time.Since(began); took != c.after {
						t.Errorf("it took %v", took)
					}
					want := []index.Budget{
						{Until: began.Add(hub.LightTime), Documents: hub.LightDocuments},
						{Until: began.Add(hub.QueryTime), Documents: hub.QueryDocuments, Polite: true},
					}
					if diff := cmp.Diff(want, seen, cmpopts.IgnoreFields(index.Budget{}, "More")); diff != "" {
						t.Errorf("budgets (-want +got):\n%s", diff)
					}
					h.TakeHeavyPlaces()() // it has kept none
				})
			})
		}
	}
}

// TestDeadlinesOfCallers: a client in a hurry must not be told that its query is
// bad.
func TestDeadlinesOfCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := true
		err := h.Search(ctx, func(ctx context.Context, s *index.Snapshot) error {
			if first {
				first = false
				return index.ErrBudget
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if code := fault.Of(err).Code; code != fault.ServiceUnavailable {
			t.Errorf("code %d, %v", code, err)
		}
	})
}

// TestQueriesAreObserved, each once.
func TestQueriesAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type observation struct {
			outcome hub.QueryOutcome
			took    time.Duration
		}
		var seen []observation
		m := memory.New()
		defer m.Close()
		s := newLoadingStore(m, 0)
		h := open(t, s, func(c *hub.Config) {
			c.ObserveQuery = func(o hub.QueryOutcome, took time.Duration) { seen = append(seen, observation{o, took}) }
		})
		query := func(ctx context.Context, text string) { h.Query(ctx, owner, text, 0, "") }
		<-s.reached
		query(t.Context(), "SELECT * FROM devices")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		query(ctx, "SELECT * FROM devices")
		close(s.scan)
		query(t.Context(), "SELECT * FROM devices")
		query(t.Context(), "SELECT")
		h.Explain(t.Context(), owner, "SELECT * FROM devices")
		want := []observation{{hub.QueryFailed, hub.QueryTime}, {hub.QueryCanceled, 0}, {hub.QueryOK, 0}, {hub.QueryRefused, 0}}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", seen, want)
		}
	})
}
