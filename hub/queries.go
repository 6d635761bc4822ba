package hub

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"iter"
	"slices"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/query"
	"github.com/hubtwin/hubtwin/store"
)

// QueryPage is one page of the answer to a query.
type QueryPage struct {
	ItemType string // "Twin", "Raw" or "DeviceJob"
	Rows     [][]byte
	// Continuation asks for the next page; "" on the last one.
	Continuation string
}

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
	q, err := query.Parse(text)
	if err != nil {
		return QueryPage{}, err
	}
	from, err := h.openCursor(text, continuation)
	if err != nil {
		return QueryPage{}, err
	}
	v, err := h.store.View()
	if err != nil {
		return QueryPage{}, outcome(err)
	}
	defer v.Close()
	page, err := q.Run(ctx, documents{h, v}, size, from)
	if err != nil {
		return QueryPage{}, err
	}
	next, err := h.sealCursor(text, page.Next)
	return QueryPage{ItemType: q.ItemType(), Rows: page.Rows, Continuation: next}, err
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

// documents is a view of the store as the source of rows.
type documents struct {
	h *Hub
	v store.View
}

// Documents walks the twins of devices or of modules. It reads each identity's
// records straight from the view, past the cache: a walk over the fleet must
// not push out what is in use.
func (d documents) Documents(ctx context.Context, q *query.Query, after string) iter.Seq2[query.Document, error] {
	return func(yield func(query.Document, error) bool) {
		if q.From == query.Jobs {
			return // there are no jobs yet
		}
		modules := q.From == query.Modules
		for row, err := range d.states(after) {
			if err == nil {
				err = ctx.Err() // here, because a walk may give nothing for long
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if row.id.IsModule() != modules || !row.state.registered() {
				continue
			}
			if !yield(d.h.document(row.id, row.state), nil) {
				return
			}
		}
	}
}

type stateRow struct {
	id    device.ID
	state *state
}

// states walks all identities behind the row key after.
func (d documents) states(after string) iter.Seq2[stateRow, error] {
	return func(yield func(stateRow, error) bool) {
		start := []byte{tableDevices}
		if after != "" {
			start = afterPrefix(slices.Concat(start, []byte(after), []byte{0}))
		}
		var row stateRow
		for e, err := range d.v.Scan(start, []byte{tableDevices + 1}) {
			if err != nil {
				yield(stateRow{}, err)
				return
			}
			id, part, ok := splitKey(e.Key)
			if !ok {
				continue
			}
			if row.state == nil || id != row.id {
				if row.state != nil && !yield(row, nil) {
					return
				}
				row = stateRow{id, new(state)}
			}
			if err := row.state.setPart(part, e.Record); err != nil {
				yield(stateRow{}, err)
				return
			}
		}
		if row.state != nil {
			yield(row, nil)
		}
	}
}
