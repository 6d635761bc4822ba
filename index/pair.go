package index

import "github.com/hubtwin/hubtwin/query"

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
	p.used |= onColumns
	l, r := p.l[:len(k.keys)], p.r[:len(k.keys)]
	left.fillCells(l)
	right.fillCells(r)
	for row := range want.rows {
		a := compareCells(p.op, l[row], r[row])
		if a == ask && !left.plain() && !right.plain() {
			a = compareTexts(p.op, left.values[left.code(row)].characters(), right.values[right.code(row)].characters())
		}
		o.add(row, a)
	}
	if !o.ask.empty() {
		p.used |= onDocuments
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
		if l.isString() && l == r {
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
	switch op {
	case query.Less:
		return decide(x < y)
	case query.LessEqual:
		return decide(x <= y)
	case query.Greater:
		return decide(x > y)
	default:
		return decide(x >= y)
	}
}

func decide(b bool) answer {
	if b {
		return yes
	}
	return no
}

func compareTexts(op query.CompareOp, l, r string) answer {
	switch op {
	case query.Equal:
		return decide(l == r)
	case query.NotEqual:
		return decide(l != r)
	case query.Less:
		return decide(l < r)
	case query.LessEqual:
		return decide(l <= r)
	case query.Greater:
		return decide(l > r)
	default:
		return decide(l >= r)
	}
}
