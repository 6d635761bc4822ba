package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/mqtt/packet"
)

// A load is a number of connections, each of which keeps a number of requests in
// flight. The same client drives every server: it writes prepared packets, and
// a request counts when its answer is there.
type load struct {
	name        string
	connections int
	inFlight    int
	length      time.Duration
	// dial opens, connects and subscribes connection n.
	dial func(n int) (net.Conn, error)
	// request is the packet of connection n.
	request func(n int) []byte
	// answer is how the topic of a good answer begins.
	answer func(n int) string
}

type result struct {
	perSecond float64
	took      time.Duration // mean time of one request
	p50, p99  time.Duration // of single requests
}

// run drives the load for its length and waits for the answers under way.
func (l load) run(ctx context.Context) (result, error) {
	conns := make([]net.Conn, l.connections)
	for n := range conns {
		c, err := l.dial(n)
		if err != nil {
			return result{}, fmt.Errorf("%s: connection %d: %w", l.name, n, err)
		}
		defer c.Close()
		conns[n] = c
	}
	answers := make([][]time.Duration, len(conns))
	var stopping atomic.Bool
	var workers sync.WaitGroup
	failures := make(chan error, l.connections)
	began := time.Now()
	for n, c := range conns {
		workers.Go(func() {
			var err error
			if answers[n], err = l.drive(c, n, &stopping); err != nil {
				failures <- fmt.Errorf("%s: connection %d: %w", l.name, n, err)
			}
		})
	}
	select {
	case <-time.After(l.length):
	case <-ctx.Done():
	}
	stopping.Store(true)
	workers.Wait()
	took := time.Since(began)
	select {
	case err := <-failures:
		return result{}, err
	default:
	}
	all := slices.Concat(answers...)
	slices.Sort(all)
	total := float64(len(all))
	return result{
		perSecond: total / took.Seconds(),
		took:      time.Duration(float64(took) * float64(l.connections*l.inFlight) / total),
		p50:       quantile(all, 0.50),
		p99:       quantile(all, 0.99),
	}, ctx.Err()
}

// quantile is the value that the share q of a sorted list is below; 0 of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// drive sends a request for every answer. It reads what is there, and answers
// all of it with one write, as a busy client would. It returns how long each
// answer took; they come in the order of the requests.
func (l load) drive(c net.Conn, n int, stopping *atomic.Bool) (answers []time.Duration, err error) {
	request, prefix := l.request(n), []byte(l.answer(n))
	burst := bytes.Repeat(request, l.inFlight)
	sent := make([]time.Time, 0, l.inFlight) // when, of those without an answer
	send := func(k int) error {
		now := time.Now()
		for range k {
			sent = append(sent, now)
		}
		_, err := c.Write(burst[:k*len(request)])
		return err
	}
	c.SetDeadline(time.Now().Add(l.length + 30*time.Second))
	if err := send(l.inFlight); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	have := 0
	for len(sent) > 0 {
		k, err := c.Read(buf[have:])
		if err != nil {
			return answers, err
		}
		have += k
		got, used := 0, 0
		for {
			h, body, size, err := packet.Next(buf[used:have], len(buf))
			if errors.Is(err, packet.ErrIncomplete) {
				break
			}
			if err != nil {
				return answers, err
			}
			p, err := packet.DecodePublish(h, body)
			if err != nil {
				return answers, err
			}
			if !bytes.HasPrefix(p.Topic, prefix) {
				return answers, fmt.Errorf("unexpected answer %s %s", p.Topic, p.Payload)
			}
			used += size
			got++
		}
		have = copy(buf, buf[used:have])
		now := time.Now()
		for _, at := range sent[:got] {
			answers = append(answers, now.Sub(at))
		}
		sent = slices.Delete(sent, 0, got)
		if !stopping.Load() && got > 0 {
			if err := send(got); err != nil {
				return answers, err
			}
		}
	}
	return answers, nil
}

// handshake connects and subscribes.
func handshake(address string, connect packet.Connect, filters ...string) (net.Conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	out, err := packet.AppendConnect(nil, &connect)
	if err != nil {
		return nil, err
	}
	subs := make([]packet.Subscription, len(filters))
	for i, f := range filters {
		subs[i].Filter = []byte(f)
	}
	if out, err = packet.AppendSubscribe(out, 1, subs...); err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Write(out); err != nil {
		return nil, err
	}
	// CONNACK is four bytes, SUBACK four and a code for each filter.
	in := make([]byte, 0, 64)
	for len(in) < 8+len(filters) {
		k, err := c.Read(in[len(in):cap(in)])
		if err != nil {
			return nil, fmt.Errorf("%w after % x", err, in)
		}
		in = in[:len(in)+k]
	}
	if in[0] != 0x20 || in[3] != 0 {
		return nil, fmt.Errorf("refused: % x", in)
	}
	return c, nil
}

func publish(topic, payload string) []byte {
	p, err := packet.AppendPublish(nil, packet.PublishHeader(0, false, false), 0, []byte(payload), topic)
	if err != nil {
		panic(err) // our own topics are short
	}
	return p
}
