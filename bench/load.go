package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubtwin/hubtwin/mqtt/mqttclient"
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
	dial func(n int) (*mqttclient.Conn, error)
	// request is the packet of connection n.
	request func(n int) []byte
	// answer is how the topic of a good answer begins; nil if a PUBACK is all.
	answer func(n int) string
}

type result struct {
	perSecond float64
	took      time.Duration // mean time of one request
	p50, p99  time.Duration // of single requests
}

// run drives the load for its length and waits for the answers under way.
func (l load) run(ctx context.Context) (result, error) {
	conns := make([]*mqttclient.Conn, l.connections)
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
func (l load) drive(c *mqttclient.Conn, n int, stopping *atomic.Bool) (answers []time.Duration, err error) {
	request := l.request(n)
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
	late := time.Now().Add(l.length + 30*time.Second)
	c.SetReadDeadline(late)
	c.SetWriteDeadline(late)
	if err := send(l.inFlight); err != nil {
		return nil, err
	}
	for len(sent) > 0 {
		got := 0
		for ; got == 0 || c.Ready(); got++ {
			h, body, err := c.Next()
			if err != nil {
				return answers, err
			}
			if err := l.check(n, h, body); err != nil {
				return answers, err
			}
		}
		now := time.Now()
		for _, at := range sent[:got] {
			answers = append(answers, now.Sub(at))
		}
		sent = slices.Delete(sent, 0, got)
		if !stopping.Load() {
			if err := send(got); err != nil {
				return answers, err
			}
		}
	}
	return answers, nil
}

// check tells whether a packet is the answer.
func (l load) check(n int, h packet.Header, body []byte) error {
	if l.answer == nil {
		if h.Type() != packet.TypePuback {
			return fmt.Errorf("%s in place of PUBACK", h.Type())
		}
		return nil
	}
	p, err := packet.DecodePublish(h, body)
	if err == nil && !bytes.HasPrefix(p.Topic, []byte(l.answer(n))) {
		err = fmt.Errorf("unexpected answer %s %s", p.Topic, p.Payload)
	}
	return err
}

// handshake connects and subscribes.
func handshake(address string, connect packet.Connect, filters ...string) (*mqttclient.Conn, error) {
	c, err := mqttclient.Dial(context.Background(), mqttclient.Options{Address: address, Connect: connect, Timeout: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	c.Reserve(64 << 10)
	if err := subscribe(c, filters); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func subscribe(c *mqttclient.Conn, filters []string) error {
	if _, err := c.Subscribe(filters...); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	h, _, err := c.Next()
	if err == nil && h.Type() != packet.TypeSuback {
		err = fmt.Errorf("%s in place of SUBACK", h.Type())
	}
	return err
}

func publish(topic, payload string) []byte { return publishQoS(0, 0, topic, payload) }

func publishQoS(qos byte, id uint16, topic, payload string) []byte {
	p, err := packet.AppendPublish(nil, packet.PublishHeader(qos, false, false), id, []byte(payload), topic)
	if err != nil {
		panic(err) // our own topics are short
	}
	return p
}
