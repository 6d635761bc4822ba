package mqtt

import (
	"io"
	"sync"
)

// The sizes of an input's buffer, in bytes. A connection at rest has the small
// one, which is part of it. One whose packets come in bursts borrows a middle
// one. A large packet gets a buffer that doubles as its bytes arrive, so that
// announcing a large packet costs the sender as much as it costs the hub.
const (
	smallInput  = 512
	middleInput = 4 << 10
)

var middleInputs = sync.Pool{New: func() any { return new([middleInput]byte) }}

// input holds what was read and not yet decoded. It belongs to the reading
// goroutine.
type input struct {
	small    [smallInput]byte
	middle   *[middleInput]byte // borrowed, or nil
	buf      []byte             // small, middle, or larger
	from, to int                // what waits is buf[from:to]
	last     int                // bytes of the last read
}

// waiting is what was read and not yet decoded, valid until the next read.
func (in *input) waiting() []byte { return in.buf[in.from:in.to] }

// skip drops the first n of the waiting bytes.
func (in *input) skip(n int) { in.from += n }

// read reads some bytes from r behind those that wait. The buffer grows with what
// waits, which is at most one packet: whoever reads works off whole packets first
// and gives up at the head of one that is too large.
func (in *input) read(r io.Reader) error {
	in.makeRoom()
	n, err := r.Read(in.buf[in.to:])
	in.to += n
	in.last = n
	if n > 0 {
		return nil // an error will come back
	}
	return err
}

// makeRoom moves what waits to the front of a buffer that fits.
func (in *input) makeRoom() {
	waits := in.to - in.from
	switch full := in.to == len(in.buf); {
	case waits == len(in.buf):
		in.move(max(2*len(in.buf), smallInput))
	case waits == 0 && in.last < smallInput/2:
		in.move(smallInput)
	case waits < middleInput && (full || len(in.buf) > middleInput):
		in.move(middleInput)
	default:
		in.move(len(in.buf))
	}
}

// move puts what waits to the front of a buffer of that size.
func (in *input) move(size int) {
	waiting, old := in.waiting(), in.middle
	switch {
	case size == len(in.buf):
	case size == smallInput:
		in.buf, in.middle = in.small[:], nil
	case size > smallInput && size <= middleInput:
		in.middle = middleInputs.Get().(*[middleInput]byte)
		in.buf = in.middle[:]
	default:
		in.buf, in.middle = make([]byte, size), nil
	}
	in.from, in.to = 0, copy(in.buf, waiting)
	if old != nil && old != in.middle {
		middleInputs.Put(old)
	}
}

// free gives back what was borrowed. The input is empty then.
func (in *input) free() {
	in.from = in.to
	in.move(smallInput)
}
