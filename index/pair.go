package index

import (
	"cmp"

	"github.com/hubtwin/hubtwin/query"
)

// pair compares two paths that have columns.
type pair struct {
	op          query.CompareOp
	left, right int
	used        deciders

	l, r [maxRows]cell
}

func (p *pair) cost() int    { return costColumns }
func (p *pair) on() deciders { return p.used }

func (p *pair) decide(k *chunk, want *mask, _ bool, o *outcome) {
	o.reset()
	left, right := k.column(p.left), k.column(p.right)
	if want.empty() || left == nil || right == nil {
		return // unknown, where a side is missing
	}
	if (p.op == query.Equal || p.op == query.NotEqual) && !left.plain() && !right.plain() {
		p.used |= onPostings
		p.equal(left, right, want, o)
		return
	}
	p.used |= onColumns
	l, r := p.l[:len(k.keys)], p.r[:len(k.keys)]
	left.fillCells(l)
	right.fillCells(r)
	for row := range want.rows {
		a := compareCells(p.op, l[row], r[row])
		switch {
		case a != ask:
		case (p.op == query.Equal || p.op == query.NotEqual) && left.hash(row) != right.hash(row):
			a = decide(p.op == query.NotEqual)
		case !left.plain() && !right.plain():
			a = ordered(p.op, cmp.Compare(left.values[left.code(row)].characters(), right.values[right.code(row)].characters()))
		}
		o.add(row, a)
	}
	if !o.ask.empty() {
		p.used |= onDocuments
	}
}

// equal gathers the rows in which both sides have the same value, by postings.
func (p *pair) equal(left, right *column, want *mask, o *outcome) {
	l, r := left.primitives(), right.primitives()
	both := *want
	both.and(&l)
	both.and(&r)
	var same mask
	for i := range left.values {
		if left.counts[i] == 0 {
			continue
		}
		for j := range right.values {
			if right.counts[j] == 0 || !left.values[i].equals(&right.values[j]) {
				continue
			}
			rows, others := left.rowsWith(i), right.rowsWith(j)
			rows.and(&others)
			same.or(&rows)
		}
	}
	same.and(&both)
	both.without(&same)
	if p.op == query.Equal {
		o.yes, o.no = same, both
	} else {
		o.yes, o.no = both, same
	}
}

// primitives is the rows with a value that = and != are defined for.
func (c *column) primitives() mask {
	return c.rowsWhere(func(v *value) bool { return v.cell().primitive() })
}

// equals tells whether two primitive values are the same.
func (v *value) equals(o *value) bool {
	switch {
	case v.kind != o.kind:
		return false
	case v.kind == query.Number:
		return v.number == o.number
	case v.kind == query.String:
		return v.hash == o.hash && (v.text == o.text || v.characters() == o.characters())
	default:
		return v.text == o.text
	}
}

// compareCells is ask for strings that have to be looked at.
func compareCells(op query.CompareOp, l, r cell) answer {
	x, lNumber := l.number()
	y, rNumber := r.number()
	switch op {
	case query.Equal, query.NotEqual:
		if !l.primitive() || !r.primitive() {
			return decided(query.Unknown)
		}
		if l.isString() && r.isString() {
			return ask
		}
		return decide((l == r || lNumber && rNumber && x == y) == (op == query.Equal))
	}
	switch {
	case l.isString() && r.isString():
		return ask
	case !lNumber || !rNumber:
		return decided(query.Unknown)
	}
	return ordered(op, cmp.Compare(x, y))
}

func decide(b bool) answer {
	if b {
		return yes
	}
	return no
}

// ordered is the answer of a comparison whose sides stand in an order, as
// cmp.Compare says it.
func ordered(op query.CompareOp, order int) answer {
	switch op {
	case query.Equal:
		return decide(order == 0)
	case query.NotEqual:
		return decide(order != 0)
	case query.Less:
		return decide(order < 0)
	case query.LessEqual:
		return decide(order <= 0)
	case query.Greater:
		return decide(order > 0)
	default:
		return decide(order >= 0)
	}
}
