package hub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
)

// A loadingStore holds back the walk over all devices, from which the index is
// built, when it has given some records.
type loadingStore struct {
	store.Store
	after   int
	reached chan struct{} // closed when the walk is held back
	scan    chan struct{} // closed: let go on
	given   atomic.Int64  // records so far
	hold    func()
}

func newLoadingStore(s store.Store, after int) *loadingStore {
	l := &loadingStore{Store: s, after: after, reached: make(chan struct{}), scan: make(chan struct{})}
	l.hold = sync.OnceFunc(func() {
		close(l.reached)
		<-l.scan
	})
	return l
}

func (s *loadingStore) View() (store.View, error) {
	v, err := s.Store.View()
	return loadingView{v, s}, err
}

type loadingView struct {
	store.View
	store *loadingStore
}

func (v loadingView) Scan(start, end []byte) iter.Seq2[store.Entry, error] {
	if string(start) != "d" {
		return v.View.Scan(start, end)
	}
	s := v.store
	return func(yield func(store.Entry, error) bool) {
		if s.after == 0 {
			s.hold()
		}
		for e, err := range v.View.Scan(start, end) {
			if !yield(e, err) {
				return
			}
			if s.given.Add(1) == int64(s.after) {
				s.hold()
			}
		}
	}
}

// TestRestart: the index of a new run shows what the old one has left, of
// thousands, and pages go on where they were.
func TestRestart(t *testing.T) {
	m := memory.New()
	defer m.Close()
	const text = "SELECT deviceId, tags.list FROM devices WHERE connectionState = 'Disconnected'"
	var before hub.QueryPage
	aside(t, m, func(h *hub.Hub) {
		registerMany(t, h, 3000)
		d, err := h.Identity(t.Context(), owner, device.ID{Device: "s1234"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := h.Connect(t.Context(), principal(d.Identity), straggler{}, false, "")
		if err != nil {
			t.Fatal(err)
		}
		c.Touch(time.Now().Add(100 * time.Hour))
		if got := ask(t, h, "SELECT deviceId FROM devices WHERE lastActivityTime > '%s'", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)); got != `{"deviceId":"s1234"}` {
			t.Errorf("active in future: %q", got)
		}
		if before, err = h.Query(t.Context(), owner, text, 700, ""); err != nil {
			t.Fatal(err)
		}
	}) // which dies with the device connected
	h := open(t, m)
	rows := before.Rows
	for token := before.Continuation; token != ""; {
		page, err := h.Query(t.Context(), owner, text, 700, token)
		if err != nil {
			t.Fatal(err)
		}
		rows, token = append(rows, page.Rows...), page.Continuation
	}
	if len(rows) != 3000 {
		t.Errorf("%d rows", len(rows))
	}
	for k, row := range rows {
		if want := fmt.Sprintf(`{"deviceId":"s%04d","list":[%d,%d]}`, k, k%100, k); string(row) != want {
			t.Fatalf("row %d is %s, want %s", k, row, want)
		}
	}
	got, want := wholeFleet(t, h)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("index and store (-store +index):\n%s", diff)
	}
}

// aside runs f on the devices of a hub that ends before the test goes on.
func aside(t *testing.T, s store.Store, f func(h *hub.Hub)) {
	t.Helper()
	h := open(t, s)
	f(h)
	h.Close()
}

// wholeFleet is what the hub says of all devices, with a walk over its store
// beside it.
func wholeFleet(t *testing.T, h *hub.Hub) (got, want []string) {
	t.Helper()
	const text = "SELECT * FROM devices"
	q, err := query.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	list := func(p query.Page) (rows []string) {
		for _, r := range p.Rows {
			rows = append(rows, string(r))
		}
		return rows
	}
	page, err := h.Query(t.Context(), owner, text, query.MaxPage, "")
	if err != nil {
		t.Fatal(err)
	}
	straight, err := q.Run(t.Context(), hub.Walk{Hub: h}, query.MaxPage, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list(query.Page{Rows: page.Rows}), list(straight)
}

// TestCommitsWhileTheIndexIsBuilt are neither lost nor overwritten by what the
// walk has read of the same devices, before or after.
func TestCommitsWhileTheIndexIsBuilt(t *testing.T) {
	for _, after := range []int{0, 1, 60, 119} { // of two records for each device
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := memory.New()
				defer m.Close()
				aside(t, m, func(h *hub.Hub) { registerMany(t, h, 60) })
				s := newLoadingStore(m, after)
				h := open(t, s)
				<-s.reached
				for k := 0; k < 60; k += 7 {
					name := fmt.Sprintf("s%04d", k)
					id := device.ID{Device: name}
					switch k % 4 {
					case 0:
						patch(t, h, name, `{"tags":{"list":null,"late":1}}`)
						patch(t, h, name, `{"tags":{"late":2}}`)
					case 1:
						remove(t, h, id)
					case 2:
						remove(t, h, id)
						register(t, h, name)
						patch(t, h, name, `{"tags":{"late":3}}`)
					default:
						d, err := h.Identity(t.Context(), owner, id)
						if err != nil {
							t.Fatal(err)
						}
						c := connect(t, h, d.Identity, newRecorder(), true)
						defer c.Close()
						if _, err := report(t, c, `{"late":4}`); err != nil {
							t.Fatal(err)
						}
					}
					register(t, h, name+"-new")
				}
				register(t, h, "a-new")
				register(t, h, "z-new")
				remove(t, h, device.ID{Device: "z-new"})

				answers := make(chan string, 1)
				go func() { answers <- ask(t, h, "SELECT COUNT() AS n FROM devices WHERE tags.late >= 2") }()
				synctest.Wait()
				if len(answers) > 0 || h.IndexStats().Ready {
					t.Error("a query was answered by half an index")
				}
				close(s.scan)
				// 0, 28, 56 were patched, 14, 42 came anew.
				if got := <-answers; got != `{"n":5}` {
					t.Errorf("the query that waited: %s", got)
				}
				got, want := wholeFleet(t, h)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("index and store (-store +index):\n%s", diff)
				}
				if n := h.IndexStats().Devices; n != len(want) || n < 60 {
					t.Errorf("the index counts %d devices of %d", n, len(want))
				}
			})
		})
	}
}

func remove(t *testing.T, h *hub.Hub, id device.ID) {
	t.Helper()
	if err := h.DeleteIdentity(t.Context(), owner, id, hub.Any); err != nil {
		t.Fatal(err)
	}
}

// TestQueriesGiveUpOnAnIndexThatIsBuilt says what to do, and the log says how
// far it is.
func TestQueriesGiveUpOnAnIndexThatIsBuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		defer m.Close()
		aside(t, m, func(h *hub.Hub) { registerMany(t, h, 3) })
		s := newLoadingStore(m, 2)
		var log strings.Builder
		h := open(t, s, func(c *hub.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		calls := map[string]func(context.Context) error{
			"query": func(ctx context.Context) error {
				_, err := h.Query(ctx, owner, "SELECT * FROM devices", 0, "")
				return err
			},
			"explain":    func(ctx context.Context) error { _, err := h.Explain(ctx, owner, "SELECT * FROM devices"); return err },
			"statistics": func(ctx context.Context) error { _, err := h.DeviceStatistics(ctx, owner); return err },
		}
		for name, call := range calls {
			began := time.Now()
			err := call(t.Context())
			if !fault.Is(err, fault.ServiceUnavailable) || time.Since(began) != hub.QueryTime {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			for _, want := range []string{"try again in a few seconds", "the query index is still being built"} {
				if !strings.Contains(fault.Of(err).Message, want) {
					t.Errorf("%s is not told %q: %v", name, want, err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := call(ctx); !fault.Is(err, fault.ServiceUnavailable) {
				t.Errorf("%s in a hurry: %v", name, err)
			}
			cancel()
		}
		close(s.scan)
		for name, call := range calls {
			if err := call(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		h.Close()
		for _, want := range []string{`msg="building the query index" twins=`, `msg="the query index is ready" twins=3 paths=`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("there is no %s in the log:\n%s", want, &log)
			}
		}
	})
}

// TestCloseEndsTheBuilding: nothing of it is left, and it is not carried to its
// end.
func TestCloseEndsTheBuilding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		defer m.Close()
		aside(t, m, func(h *hub.Hub) { registerMany(t, h, 100) })
		s := newLoadingStore(m, 10)
		h := open(t, s)
		<-s.reached
		closed := make(chan struct{})
		go func() {
			h.Close()
			close(closed)
		}()
		synctest.Wait()
		close(s.scan)
		<-closed
		if n := s.given.Load(); n > 14 {
			t.Errorf("after Close the walk went on to record %d", n)
		}
	})
}

// lost is a record that no version of the hub has written.
func lost(id, part string) store.Batch {
	return store.Batch{Writes: []store.Write{{
		Key: []byte("d" + id + "\x00\x00" + part), Value: []byte("\xff not a record"), Revision: store.NewRevision(),
	}}}
}

// TestALostIndex: queries fail, everything else goes on.
func TestALostIndex(t *testing.T) {
	for _, part := range []string{"i", "t", "c"} {
		for _, when := range []string{"before", "while loading", "later"} {
			t.Run(part+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { loseIndex(t, part, when) })
			})
		}
	}
}

func loseIndex(t *testing.T, part, when string) {
	m := memory.New()
	defer m.Close()
	spoil := func() {
		if _, err := store.CommitBatch(t.Context(), m, lost("bad", part)); err != nil {
			t.Fatal(err)
		}
	}
	aside(t, m, func(h *hub.Hub) { registerMany(t, h, 3); register(t, h, "bad") })
	s := newLoadingStore(m, 2)
	if when == "before" {
		spoil()
	}
	var log bytes.Buffer
	h := open(t, s, func(c *hub.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	<-s.reached
	if when == "while loading" {
		spoil()
	}
	close(s.scan)
	if when == "later" {
		if got := ask(t, h, "SELECT COUNT() AS n FROM devices"); got != `{"n":4}` {
			t.Errorf("at first %s", got)
		}
		spoil()
	}
	i := register(t, h, "d") // behind it
	_, query := h.Query(t.Context(), owner, "SELECT COUNT() AS n FROM devices", 0, "")
	_, explain := h.Explain(t.Context(), owner, "SELECT COUNT() AS n FROM devices")
	_, statistics := h.DeviceStatistics(t.Context(), owner)
	for name, err := range map[string]error{"query": query, "explain": explain, "statistics": statistics} {
		if err == nil || fault.Of(err).Code != fault.ServerError {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.IndexStats().Ready {
		t.Error("the index is said to be ready")
	}
	r := newRecorder()
	c := connect(t, h, i, r, true)
	if _, err := report(t, c, `{"a":1}`); err != nil {
		t.Error(err)
	}
	patch(t, h, "d", `{"properties":{"desired":{"a":2}}}`)
	r.wait(func() bool { return len(r.desired) == 1 })
	if got := reported(t, h, "d"); got != "1" {
		t.Errorf("reported.a is %s", got)
	}
	c.Close()
	h.Close()
	if got := lossesIn(t, log.Bytes()); got != 1 {
		t.Errorf("the log tells %d times of the loss:\n%s", got, &log)
	}
}

// lossesIn counts the entries of a log that tell of a lost index, and of what.
func lossesIn(t *testing.T, log []byte) (n int) {
	for line := range bytes.Lines(log) {
		var entry struct{ Level, Msg, Error string }
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Level == "ERROR" && strings.HasPrefix(entry.Msg, "the query index is lost") && strings.Contains(entry.Error, "bad") {
			n++
		}
	}
	return n
}
