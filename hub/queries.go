package hub

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/index"
	"github.com/hubtwin/hubtwin/query"
)

// QueryPage is one page of the answer to a query.
type QueryPage struct {
	ItemType string // "Twin", "Raw" or "DeviceJob"
	Rows     [][]byte
	// Continuation asks for the next page; "" on the last one.
	Continuation string

	page query.Page
}

// Free gives the memory of the rows back for other pages, as query.Page.Free
// does.
func (p *QueryPage) Free() { p.page.Free() }

// Query runs text and returns a page of at most size rows, which is the first
// page if continuation is "". The page shows one moment: at least everything
// acknowledged before the call.
//
// ServiceConnect is the only right asked for: the sheets disagree on whether
// RegistryRead is needed as well, and the policy "service" of the cloud hub can
// query.
func (h *Hub) Query(ctx context.Context, who auth.Principal, text string, size int, continuation string) (QueryPage, error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return QueryPage{}, err
	}
	began := time.Now()
	page, err := h.query(ctx, text, size, continuation)
	h.observeQuery(outcomeOfQuery(err), time.Since(began))
	return page, err
}

func (h *Hub) query(ctx context.Context, text string, size int, continuation string) (QueryPage, error) {
	q, err := query.Parse(text)
	if err != nil {
		return QueryPage{}, err
	}
	from, err := h.openCursor(text, continuation)
	if err != nil {
		return QueryPage{}, err
	}
	var page query.Page
	err = h.search(ctx, func(ctx context.Context, s *index.Snapshot) (err error) {
		page, err = q.Run(ctx, s, size, from)
		return err
	})
	if err != nil {
		return QueryPage{}, err
	}
	next, err := h.sealCursor(text, page.Next)
	return QueryPage{ItemType: q.ItemType(), Rows: page.Rows, Continuation: next, page: page}, err
}

// QueryOutcome is how a query ended, in a word for metrics.
type QueryOutcome string

// The outcomes of queries.
const (
	QueryOK       QueryOutcome = "ok"       // it gave a page
	QueryRefused  QueryOutcome = "refused"  // the caller has to ask otherwise
	QueryCanceled QueryOutcome = "canceled" // the caller did not wait for the answer
	QueryFailed   QueryOutcome = "failed"   // the hub could not answer, or not in time
)

// QueryOutcomes lists all of them.
var QueryOutcomes = []QueryOutcome{QueryOK, QueryRefused, QueryCanceled, QueryFailed}

func outcomeOfQuery(err error) QueryOutcome {
	switch {
	case err == nil:
		return QueryOK
	case errors.Is(err, context.Canceled):
		return QueryCanceled
	case fault.Of(err).Code.Status() < 500:
		return QueryRefused
	}
	return QueryFailed
}

// Explain says how the hub finds the documents that satisfy the condition of
// the query text. It asks for the right that Query does.
func (h *Hub) Explain(ctx context.Context, who auth.Principal, text string) (index.Plan, error) {
	if err := who.May(auth.ServiceConnect); err != nil {
		return index.Plan{}, err
	}
	q, err := query.Parse(text)
	if err != nil {
		return index.Plan{}, err
	}
	var plan index.Plan
	err = h.search(ctx, func(ctx context.Context, s *index.Snapshot) (err error) {
		plan, err = s.Explain(ctx, q)
		return err
	})
	return plan, err
}

// A query first runs for a moment, as most of them end within it. What goes on
// longer needs one of few places, and lets others go first: so heavy queries get
// slower when there are many of them, and nobody else does. If it has to wait for
// a place it holds no snapshot meanwhile, and begins anew.
const (
	lightTime      = 5 * time.Millisecond
	lightDocuments = 5_000

	// QueryTime is how long a query may take, the wait for its place included.
	QueryTime = 30 * time.Second
	// QueryDocuments is how many documents one may look at, beyond what columns
	// decide.
	QueryDocuments = 20_000_000
)

// search runs f on a snapshot with everything that was acknowledged before.
func (h *Hub) search(ctx context.Context, f func(context.Context, *index.Snapshot) error) error {
	at := h.heads.acknowledged()
	until := time.Now().Add(QueryTime)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if err := h.index.Wait(ctx, at); err != nil {
		if errors.Is(err, index.ErrLoading) {
			return fault.New(fault.ServiceUnavailable, "try again in a few seconds: %w", err)
		}
		return err
	}
	long := index.Budget{Until: until, Documents: QueryDocuments, Polite: true}
	p := place{of: h.heavy}
	defer p.leave()
	err := h.searchOnce(ctx, index.Budget{
		Until: time.Now().Add(lightTime), Documents: lightDocuments,
		More: func() (index.Budget, bool) { return long, p.take() },
	}, f)
	if errors.Is(err, index.ErrBudget) && !p.taken {
		if !p.wait(ctx) {
			return fault.New(fault.ServiceUnavailable, "the hub is busy with other queries: %w", ctx.Err())
		}
		err = h.searchOnce(ctx, long, f)
	}
	// The caller may have a deadline of its own, which is no reason to narrow the query.
	if errors.Is(err, index.ErrBudget) || errors.Is(err, context.DeadlineExceeded) && !time.Now().Before(until) {
		return fault.New(fault.ArgumentInvalid, "BadRequest the query takes longer than %v, or looks at more than %d documents; narrow it by a condition that columns can decide (hubtwin query --explain)", QueryTime, QueryDocuments)
	}
	return err
}

// place is one of the places of heavy queries.
type place struct {
	of    chan struct{}
	taken bool
}

// take takes a place if one is free.
func (p *place) take() bool {
	select {
	case p.of <- struct{}{}:
		p.taken = true
	default:
	}
	return p.taken
}

// wait takes a place as soon as one is free, unless ctx ends first.
func (p *place) wait(ctx context.Context) bool {
	select {
	case p.of <- struct{}{}:
		p.taken = true
	case <-ctx.Done():
	}
	return p.taken
}

func (p *place) leave() {
	if p.taken {
		<-p.of
	}
}

func (h *Hub) searchOnce(ctx context.Context, b index.Budget, f func(context.Context, *index.Snapshot) error) error {
	s := h.index.Snapshot()
	defer s.Close()
	s.Budget = b
	return f(ctx, s)
}

// sealCursor makes a continuation token: the cursor with a signature over it
// and the query text, so that a token cannot be altered or used for another
// query. It holds all there is: the hub keeps nothing for it.
func (h *Hub) sealCursor(text string, c *query.Cursor) (string, error) {
	if c == nil {
		return "", nil
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(h.signCursor(text, plain), plain...)), nil
}

func (h *Hub) openCursor(text, token string) (*query.Cursor, error) {
	if token == "" {
		return nil, nil
	}
	foreign := fault.New(fault.ArgumentInvalid, "BadRequest the continuation token does not belong to this query")
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(sealed) < 16 {
		return nil, foreign
	}
	signature, plain := sealed[:16], sealed[16:]
	if !hmac.Equal(signature, h.signCursor(text, plain)) {
		return nil, foreign
	}
	c := new(query.Cursor)
	if err := json.Unmarshal(plain, c); err != nil {
		return nil, foreign
	}
	return c, nil
}

func (h *Hub) signCursor(text string, plain []byte) []byte {
	query := sha256.Sum256([]byte(text))
	m := hmac.New(sha256.New, h.secret[:])
	m.Write(query[:])
	m.Write(plain)
	return m.Sum(nil)[:16]
}
