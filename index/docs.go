package index

import "slices"

// docs is the stored documents of a chunk's rows, a few in each part: a writer
// that changes one document while a snapshot is open copies one part.
type docs struct {
	n     int
	parts []*docPart
}

const docsInPart = 64

type docPart struct {
	epoch uint64 // see writer.frozen
	docs  [docsInPart]string
}

// at is the document of a row.
func (d *docs) at(row int) string { return d.parts[row/docsInPart].docs[row%docsInPart] }

// copy shares the parts.
func (d *docs) copy() docs { return docs{d.n, slices.Clone(d.parts)} }

// part gives a part for writing.
func (d *docs) part(w *writer, i int) *docPart {
	p := d.parts[i]
	if w.frozen(p.epoch) {
		p = &docPart{w.epoch, p.docs}
		d.parts[i] = p
	}
	return p
}

func (d *docs) set(w *writer, row int, doc string) {
	d.part(w, row/docsInPart).docs[row%docsInPart] = doc
}

func (d *docs) append(w *writer, doc string) {
	if d.n%docsInPart == 0 {
		d.parts = append(d.parts, &docPart{epoch: w.epoch})
	}
	d.n++
	d.set(w, d.n-1, doc)
}

// insert makes place for a row, which has no document yet.
func (d *docs) insert(w *writer, row int) {
	d.append(w, "")
	for i := len(d.parts) - 1; i >= row/docsInPart; i-- {
		at := 0
		if i == row/docsInPart {
			at = row % docsInPart
		}
		p := d.part(w, i)
		copy(p.docs[at+1:], p.docs[at:])
		p.docs[at] = ""
		if i > row/docsInPart {
			p.docs[0] = d.parts[i-1].docs[docsInPart-1]
		}
	}
}

// remove takes a row out.
func (d *docs) remove(w *writer, row int) {
	for i := row / docsInPart; i < len(d.parts); i++ {
		at := 0
		if i == row/docsInPart {
			at = row % docsInPart
		}
		p := d.part(w, i)
		copy(p.docs[at:], p.docs[at+1:])
		p.docs[docsInPart-1] = ""
		if i+1 < len(d.parts) {
			p.docs[docsInPart-1] = d.parts[i+1].docs[0]
		}
	}
	d.truncate(w, d.n-1)
}

// truncate forgets the rows from n on.
func (d *docs) truncate(w *writer, n int) {
	d.n = n
	parts := (n + docsInPart - 1) / docsInPart
	clear(d.parts[parts:])
	d.parts = d.parts[:parts]
	if rest := n % docsInPart; rest > 0 {
		clear(d.part(w, parts-1).docs[rest:])
	}
}
