package index

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"

	"github.com/hubtwin/hubtwin/query"
)

// column holds the values of one path in one chunk, in one of three forms.
//
// With postings: values is a dictionary of the distinct JSON texts, and the
// code of a row's value stands across the planes, a bit in each. The rows that
// have a value are an AND of the planes, or of their complements: so a plane is
// a posting for half of all codes at once, and even many values take few bits
// for each row. The texts of arrays and objects are "[" and "{".
//
//	          row 0 1 2 3
//	plane 0       1 0 1 0     code 0  (nothing)     rows 1
//	plane 1       0 0 1 1     code 1  "Redmond43"   rows 0
//	                          code 2  21.5          rows 3
//	                          code 3  "21.5"        rows 2
//
// Plain: more than maxValues distinct values, in cells. hashes has those of
// strings: where they differ, strings differ.
//
// Times: cells of ticks, for paths whose values are times that the hub gives.
type column struct {
	epoch uint64 // see writer.frozen

	values []value  // nil in a plain column; values[0] is "nothing there"
	counts []uint16 // rows with each value
	planes []mask
	texts  int // bytes of the values' texts

	cells   []cell
	strings bool   // there are, or have been
	shared  string // what all of them begin with

	hashes []uint32 // of the values; in a plain column of the rows
}

// value is an entry of a dictionary.
type value struct {
	text   string
	hash   uint32 // of the characters of a string, else of the text
	number float64
	kind   query.Kind
}

// Bounds of a dictionary. Beyond them, cells take less room.
const (
	maxValues = 128
	maxTexts  = 8 << 10 // bytes of the texts
)

// dictionaryValues is the most values of a dictionary; tests make it smaller.
var dictionaryValues = maxValues

// newColumn is a column of n rows without values, with room for some.
func newColumn(epoch uint64, n, room int) *column {
	return &column{
		epoch: epoch, values: make([]value, 1, room), hashes: make([]uint32, 1, room),
		counts: append(make([]uint16, 0, room), uint16(n)),
	}
}

// newPlain is likewise, in the plain form.
func newPlain(epoch uint64, n int) *column {
	c := &column{epoch: epoch, cells: make([]cell, n, roundUp(n)), hashes: make([]uint32, n, roundUp(n))}
	for row := range c.cells {
		c.cells[row] = undefinedCell
	}
	return c
}

func newTimes(epoch uint64, n int) *column {
	return &column{epoch: epoch, cells: make([]cell, n, roundUp(n))}
}

func roundUp(n int) int { return min(n+n/8+8, maxRows) }

func (c *column) plain() bool { return c.values == nil }

// copy is c for a writer, and c is not written any more. Entries of dictionaries
// never change while somebody may read them (see add), so they are shared: what
// the writer appends lies behind those of c.
func (c *column) copy(epoch uint64) *column {
	d := *c
	d.epoch = epoch
	if c.plain() {
		d.hashes = slices.Clone(c.hashes)
	}
	d.counts = append([]uint16(nil), c.counts...)
	d.planes = append([]mask(nil), c.planes...)
	if c.cells != nil {
		d.cells = append(make([]cell, 0, roundUp(len(c.cells))), c.cells...)
	}
	return &d
}

// size is about the memory that c takes.
func (c *column) size() int {
	const own, perValue, perMask = 160, 40, 128
	return own + cap(c.values)*perValue + cap(c.counts)*2 + cap(c.planes)*perMask + c.texts +
		cap(c.cells)*8 + cap(c.hashes)*4 + len(c.shared)
}

// empty tells whether no row has a value.
func (c *column) empty(rows int) bool { return !c.plain() && int(c.counts[0]) == rows }

// code is the code of the value in row.
func (c *column) code(row int) (code int) {
	w, b := row/64, row%64
	for i := range c.planes {
		code |= int(c.planes[i][w]>>b&1) << i
	}
	return code
}

// set puts the value with the JSON text text ("" for none) into row. Of a text
// that is kept, keep gives a copy.
func (c *column) set(row int, text string, keep func(string) string) {
	switch {
	case text == "":
	case text[0] == '[':
		text = "["
	case text[0] == '{':
		text = "{"
	}
	if c.plain() {
		c.put(row, text)
		return
	}
	code, ok := c.find(text)
	if !ok {
		if code, ok = c.add(text, keep); !ok {
			c.spread()
			c.put(row, text)
			return
		}
	}
	old := c.code(row)
	if code == old {
		return
	}
	c.counts[old]--
	c.counts[code]++
	for i := range c.planes {
		if code>>i&1 != 0 {
			c.planes[i].add(row)
		} else {
			c.planes[i].drop(row)
		}
	}
}

// find looks for the code of a text.
func (c *column) find(text string) (code int, ok bool) {
	if text == "" {
		return 0, true
	}
	hash := hashText(text)
	for i, h := range c.hashes {
		if h == hash && c.values[i].text == text {
			return i, true
		}
	}
	return 0, false
}

// hashText is the hash of what a JSON text stands for, if that is a string:
// however it is escaped.
func hashText(text string) uint32 {
	if text[0] != '"' {
		return hashOf(text)
	}
	if strings.IndexByte(text, '\\') < 0 {
		return hashOf(text[1 : len(text)-1])
	}
	return hashOf(query.ValueOf(text).Text)
}

// add makes an entry for text: in the place of one that no row uses any more,
// or else a new one. !ok means that the dictionary is full.
func (c *column) add(text string, keep func(string) string) (code int, ok bool) {
	if c.texts+len(text) > maxTexts {
		return 0, false
	}
	code = len(c.values)
	if code >= dictionaryValues {
		if code = c.unused(); code == 0 {
			return 0, false
		}
		// Snapshots may share the entries.
		c.values, c.hashes = slices.Clone(c.values), slices.Clone(c.hashes)
		c.texts -= len(c.values[code].text)
	} else {
		c.values = append(c.values, value{})
		c.hashes = append(c.hashes, 0)
		c.counts = append(c.counts, 0)
		for len(c.planes) < bits.Len(uint(code)) {
			c.planes = append(c.planes, mask{})
		}
	}
	v := query.ValueOf(text)
	hash := hashText(text)
	c.values[code] = value{text: keep(text), hash: hash, number: v.Number, kind: v.Kind}
	c.hashes[code] = hash
	c.texts += len(text)
	return code, true
}

// keepTexts replaces texts that belong to documents by copies.
func (c *column) keepTexts(keep func(string) string) {
	for code := 1; code < len(c.values); code++ {
		c.values[code].text = keep(c.values[code].text)
	}
}

// texts holds one copy of each short text that dictionaries hold lately: the
// same few stand in most chunks.
type texts map[string]string

// Together they bound the copies by a few MiB, which nobody counts.
const (
	maxTextCopies = 1 << 16
	maxTextCopy   = 64 // bytes; longer ones are copied for each chunk
)

// keep gives the copy of a text.
func (t texts) keep(text string) string {
	if kept, ok := t[text]; ok {
		return kept
	}
	text = strings.Clone(text)
	if len(text) > maxTextCopy {
		return text
	}
	if len(t) >= maxTextCopies {
		clear(t)
	}
	t[text] = text
	return text
}

// asItIs keeps a text that is part of a document, for the moment.
func asItIs(text string) string { return text }

// unused is a code that no row has, or 0.
func (c *column) unused() int {
	for code := 1; code < len(c.values); code++ {
		if c.counts[code] == 0 {
			return code
		}
	}
	return 0
}

// spread gives c the plain form.
func (c *column) spread() {
	n := 0
	for _, count := range c.counts {
		n += int(count)
	}
	var codes [maxRows]uint8
	c.fillCodes(&codes)
	values := c.values
	*c = column{epoch: c.epoch, cells: make([]cell, n, roundUp(n)), hashes: make([]uint32, n, roundUp(n))}
	for row := range c.cells {
		c.put(row, values[codes[row]].text)
	}
}

// put is set in the plain form.
func (c *column) put(row int, text string) {
	v := query.ValueOf(text)
	if v.Kind != query.String {
		c.cells[row], c.hashes[row] = cellOf(v), 0
		return
	}
	c.share(v.Text)
	c.cells[row] = stringCell | someOf(v.Text[len(c.shared):])
	c.hashes[row] = hashOf(v.Text)
}

// maxShared bounds what is kept of what strings have in common.
const maxShared = 256

// share makes sure that s begins with what all strings begin with.
func (c *column) share(s string) {
	if !c.strings {
		c.strings, c.shared = true, strings.Clone(s[:min(len(s), maxShared)])
		return
	}
	n := 0
	for n < len(c.shared) && n < len(s) && c.shared[n] == s[n] {
		n++
	}
	if n == len(c.shared) {
		return
	}
	for row, cell := range c.cells {
		if cell.isString() {
			c.cells[row] = stringCell | cell.precededBy(c.shared[n:])
		}
	}
	c.shared = c.shared[:n]
}

// fillCells writes the values of the rows as cells. The bytes of strings are not
// for use.
func (c *column) fillCells(cells []cell) {
	if c.plain() {
		copy(cells, c.cells)
		return
	}
	var byCode [maxValues]cell
	for code := range c.values {
		byCode[code] = c.values[code].cell()
	}
	var codes [maxRows]uint8
	c.fillCodes(&codes)
	for row := range cells {
		cells[row] = byCode[codes[row]]
	}
}

// hash is that of the string in a row.
func (c *column) hash(row int) uint32 {
	if c.plain() {
		return c.hashes[row]
	}
	return c.hashes[c.code(row)]
}

// fillCodes writes the codes of all rows, eight at a time.
func (c *column) fillCodes(out *[maxRows]uint8) {
	for w := range words {
		for b := range 8 {
			var eight uint64
			for i := range c.planes {
				eight |= spread[uint8(c.planes[i][w]>>(8*b))] << i
			}
			binary.LittleEndian.PutUint64(out[w*64+b*8:], eight)
		}
	}
}

// spread has the bits of a byte as bytes.
var spread = func() (table [256]uint64) {
	for i := range table {
		for bit := range 8 {
			table[i] |= uint64(i>>bit&1) << (8 * bit)
		}
	}
	return table
}()

func (v *value) cell() cell {
	if v.kind == query.String {
		return stringCell
	}
	return cellOf(query.ValueOf(v.text))
}

// characters are those of a string.
func (v *value) characters() string {
	if strings.IndexByte(v.text, '\\') < 0 {
		return v.text[1 : len(v.text)-1]
	}
	return query.ValueOf(v.text).Text
}

// open makes place for a row without a value.
func (c *column) open(row int) {
	if c.plain() {
		c.cells = slices.Insert(c.cells, row, undefinedCell)
		if c.hashes != nil {
			c.hashes = slices.Insert(c.hashes, row, 0)
		}
		return
	}
	c.counts[0]++
	for i := range c.planes {
		c.planes[i].open(row)
	}
}

// close takes a row out.
func (c *column) close(row int) {
	if c.plain() {
		c.cells = slices.Delete(c.cells, row, row+1)
		if c.hashes != nil {
			c.hashes = slices.Delete(c.hashes, row, row+1)
		}
		return
	}
	c.counts[c.code(row)]--
	for i := range c.planes {
		c.planes[i].close(row)
	}
}

// truncate forgets the rows from n on.
func (c *column) truncate(n int) {
	if c.plain() {
		c.cells = c.cells[:n]
		if c.hashes != nil {
			c.hashes = c.hashes[:n]
		}
		return
	}
	keep := firstRows(n)
	for i := range c.planes {
		c.planes[i].and(&keep)
	}
	for code := range c.counts {
		rows := c.rowsWith(code)
		rows.and(&keep)
		c.counts[code] = uint16(rows.count())
	}
}

// codes is a set of codes of a column with postings.
type codes [maxValues / 64]uint64

func (s *codes) add(code int)      { s[code/64] |= 1 << (code % 64) }
func (s *codes) has(code int) bool { return s[code/64]>>(code%64)&1 != 0 }
func (s *codes) empty() bool       { return s[0]|s[1] == 0 }

// rowsOf gives the rows whose codes are in s. Bits beyond the last row may be
// anything.
func (c *column) rowsOf(s codes, out *mask) {
	*out = mask{}
	if s.empty() {
		return
	}
	if n := bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]); n > len(c.values)/2 {
		c.rowsOf(c.others(s), out)
		for w := range out {
			out[w] = ^out[w]
		}
		return
	}
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			code := i*64 + bits.TrailingZeros64(word)
			if c.counts[code] == 0 {
				continue
			}
			one := c.rowsWith(code)
			out.or(&one)
		}
	}
}

// rowsWhere gives the rows whose values are such. Bits beyond the last row may be
// anything.
func (c *column) rowsWhere(such func(*value) bool) (m mask) {
	var set codes
	for code := range c.values {
		if such(&c.values[code]) {
			set.add(code)
		}
	}
	c.rowsOf(set, &m)
	return m
}

// others is the complement of s.
func (c *column) others(s codes) (rest codes) {
	for code := range c.values {
		if !s.has(code) {
			rest.add(code)
		}
	}
	return rest
}

// rowsWith gives the rows with one code. Bits beyond the last row may be
// anything.
func (c *column) rowsWith(code int) (m mask) {
	for w := range m {
		m[w] = ^uint64(0)
	}
	for i := range c.planes {
		p := &c.planes[i]
		if code>>i&1 != 0 {
			for w := range m {
				m[w] &= p[w]
			}
		} else {
			for w := range m {
				m[w] &^= p[w]
			}
		}
	}
	return m
}
