package simulate

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// walk is a value that changes a little with each look at it, between bounds.
type walk struct {
	value, least, most, step float64
}

// next moves the value, and reflects it at its bounds. One decimal is kept: the
// text of a value is the value.
func (w *walk) next(r *rand.Rand) float64 {
	v := w.value + (2*r.Float64()-1)*w.step
	switch {
	case v < w.least:
		v = 2*w.least - v
	case v > w.most:
		v = 2*w.most - v
	}
	w.value = math.Round(v*10) / 10
	return w.value
}

// sensors are what a device measures. Reports and telemetry have each their own,
// so that the values of the one do not depend on how many of the other came in
// between.
type sensors struct {
	rand                  *rand.Rand
	temperature, humidity walk
	sequence              int // of the last reading
}

func newSensors(seed uint64, number int, kind uint64) sensors {
	// Of a pair of numbers that are close, PCG's first draws are alike.
	r := rand.New(rand.NewPCG(seed, uint64(number)<<2|kind))
	for range 8 {
		r.Uint64()
	}
	return sensors{
		rand:        r,
		temperature: walk{math.Round(150+100*r.Float64()) / 10, -20, 60, 0.5},
		humidity:    walk{math.Round(300+400*r.Float64()) / 10, 0, 100, 1},
	}
}

// append appends the next reading as JSON.
func (s *sensors) append(dst []byte) []byte {
	s.sequence++
	dst = strconv.AppendInt(append(dst, `{"sequence":`...), int64(s.sequence), 10)
	dst = strconv.AppendFloat(append(dst, `,"temperature":`...), s.temperature.next(s.rand), 'f', 1, 64)
	dst = strconv.AppendFloat(append(dst, `,"humidity":`...), s.humidity.next(s.rand), 'f', 1, 64)
	return append(dst, '}')
}
