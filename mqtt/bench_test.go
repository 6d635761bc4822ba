package mqtt_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/hubtwin/hubtwin/mqtt/packet"
	"github.com/hubtwin/hubtwin/store/pebble"
)

// benchDevices and inFlight are those of the promise: 500 devices with four
// patches of some 200 bytes under way each.
const (
	benchDevices = 500
	inFlight     = 4
)

// BenchmarkReported measures durable reported patches, client and hub in one
// process, over loopback TCP.
func BenchmarkReported(b *testing.B) {
	for name, l := range map[string]func(testing.TB) *loopback{"memory": newLoopback, "pebble": newPebbleLoopback} {
		b.Run(name, func(b *testing.B) {
			request, err := packet.AppendPublish(nil, packet.PublishHeader(0, false, false), 0,
				[]byte(`{"temperature":21.53,"humidity":48.2,"state":"running","firmware":{"version":"1.4.2","progress":100},"connectivity":{"type":"cellular","rssi":-71},"counters":{"starts":17,"errors":0}}`),
				"$iothub/twin/PATCH/properties/reported/?$rid=17")
			if err != nil {
				b.Fatal(err)
			}
			drive(b, l(b), request)
		})
	}
}

// BenchmarkTwinGet measures reads of a twin of about 1 KB.
func BenchmarkTwinGet(b *testing.B) {
	l := newLoopback(b)
	request, err := packet.AppendPublish(nil, packet.PublishHeader(0, false, false), 0, nil, "$iothub/twin/GET/?$rid=17")
	if err != nil {
		b.Fatal(err)
	}
	drive(b, l, request)
}

// drive lets all devices send the request, with so many in flight, b.N times.
func drive(b *testing.B, l *loopback, request []byte) {
	var all sync.WaitGroup
	start := make(chan struct{})
	var ready sync.WaitGroup
	for d := range benchDevices {
		name := fmt.Sprintf("dev-%d", d)
		l.create(b, name)
		l.patch(b, name, fmt.Sprintf(`{"properties":{"desired":{"text":"%0900d"}}}`, d))
		share := b.N/benchDevices + 1
		ready.Add(1)
		all.Go(func() {
			c, r := benchConnect(b, l.plain, name)
			defer c.Close()
			ready.Done()
			<-start
			batch := make([]byte, 0, inFlight*len(request))
			for range inFlight {
				batch = append(batch, request...)
			}
			for done := 0; done < share; done += inFlight {
				c.Write(batch)
				for range inFlight {
					skipPacket(b, r)
				}
			}
		})
	}
	ready.Wait()
	b.ResetTimer()
	close(start)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func benchConnect(tb testing.TB, address, name string) (net.Conn, *bufio.Reader) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		tb.Error(err)
		runtime.Goexit()
	}
	r := bufio.NewReaderSize(c, 8<<10)
	write(tb, c, "CONNECT "+name+" ; SUBSCRIBE 1 $iothub/twin/res/# 0 $iothub/twin/PATCH/properties/desired/# 0")
	skipPacket(tb, r)
	skipPacket(tb, r)
	return c, r
}

// skipPacket reads a packet of less than 16 KB.
func skipPacket(tb testing.TB, r *bufio.Reader) {
	head, err := r.Peek(2)
	if err != nil {
		tb.Error(err)
		return
	}
	n := 2 + int(head[1]&127)
	if head[1] >= 128 {
		if head, err = r.Peek(3); err != nil {
			tb.Error(err)
			return
		}
		n += 1 + int(head[2])<<7
	}
	if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
		tb.Error(err)
	}
}

// BenchmarkIdle reports the memory of a connection that has subscribed and says
// no more, the client's end not counted.
func BenchmarkIdle(b *testing.B) {
	const connections = 2000
	for b.Loop() {
		l := newLoopback(b)
		for d := range connections {
			l.create(b, fmt.Sprintf("dev-%d", d))
		}
		before := footprint()
		conns := make([]net.Conn, connections)
		for d := range conns {
			c, err := net.Dial("tcp", l.plain)
			if err != nil {
				b.Fatal(err)
			}
			write(b, c, fmt.Sprintf("CONNECT dev-%d ; SUBSCRIBE 1 $iothub/twin/res/# 0 $iothub/twin/PATCH/properties/desired/# 0", d))
			var answers [4 + 6]byte
			if _, err := io.ReadFull(c, answers[:]); err != nil {
				b.Fatal(err)
			}
			conns[d] = c
		}
		b.ReportMetric(float64(footprint()-before)/connections, "B/conn")
		for _, c := range conns {
			c.Close()
		}
	}
}

func footprint() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func newPebbleLoopback(tb testing.TB) *loopback {
	tb.Helper()
	st, err := pebble.Open(tb.TempDir(), pebble.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	return newLoopbackOn(tb, st)
}
