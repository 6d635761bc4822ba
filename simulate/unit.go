package simulate

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/hubtwin/hubtwin/mqtt/mqttclient"
	"github.com/hubtwin/hubtwin/mqtt/packet"
)

const (
	keepAlive = 240 * time.Second
	// silence is after how long without a packet sent the device sends a PINGREQ.
	silence = keepAlive / 2
	// window is how many patches and messages may wait for their answers before
	// no more are sent.
	window = 16
	// maxPending bounds them together with the answers to desired properties,
	// which come as often as the hub likes.
	maxPending = 1024
	// patience is how long an answer may take before the connection counts as
	// broken.
	patience = 60 * time.Second
	// farewell is how long answers are waited for at the end.
	farewell = 5 * time.Second
	// The pause before another try to connect doubles from one to the other.
	firstPause, longestPause = time.Second, 30 * time.Second
)

// The second numbers of the generators of a device.
const (
	ofReports = iota
	ofTelemetry
	ofTimes
)

// unit is one device of the fleet. It is for one goroutine.
type unit struct {
	fleet  *fleet
	number int
	id     string

	times              *rand.Rand
	reports, telemetry sensors
	sent               int // patches and messages, of the scenario
	rid                uint32
	desired            int64 // newest version that was followed

	// Of the connection.
	conn                          *mqttclient.Conn
	patches, messages             pending
	nextReport, nextTelemetry     time.Time // zero is never
	nextPing, nextDrop, nextLeave time.Time
}

// pending are requests without an answer, in the order of their sending.
type pending []request

type request struct {
	id uint32
	at time.Time
}

// take takes a request out, and tells when it was sent.
func (p *pending) take(id uint32) (at time.Time, ok bool) {
	for i, r := range *p {
		if r.id == id {
			*p = append((*p)[:i], (*p)[i+1:]...)
			return r.at, true
		}
	}
	return time.Time{}, false
}

func newUnit(f *fleet, number int) *unit {
	r := rand.New(rand.NewPCG(f.Seed, uint64(number)<<2|ofTimes))
	return &unit{fleet: f, number: number, id: name(f.Prefix, number), times: r,
		reports:   newSensors(f.Seed, number, ofReports),
		telemetry: newSensors(f.Seed, number, ofTelemetry)}
}

// run is the life of the device.
func (u *unit) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil && !u.over() {
		if err := u.connect(ctx); err != nil {
			if ctx.Err() == nil {
				u.fleet.errors.add("connect: " + told(err))
				u.wait(ctx, pause)
				pause = min(2*pause, longestPause)
			}
			continue
		}
		pause = firstPause
		err := u.live(ctx)
		u.leave(ctx, err)
	}
}

// over tells whether the device has sent all it has to.
func (u *unit) over() bool { return u.fleet.Messages > 0 && u.sent >= u.fleet.Messages }

// wait waits for a time that is drawn from half of d to all of it.
func (u *unit) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d/2 + time.Duration(u.times.Int64N(int64(d/2)+1)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (u *unit) connect(ctx context.Context) error {
	if err := u.fleet.enter(ctx); err != nil {
		return err
	}
	defer u.fleet.exit()
	began := time.Now()
	token, err := u.fleet.tokens.current(began)
	if err != nil {
		return err
	}
	u.conn, err = mqttclient.Dial(ctx, mqttclient.Options{
		Address: u.fleet.Address, TLS: u.fleet.TLS, Dial: u.fleet.Dial, Timeout: patience,
		Connect: packet.Connect{
			ClientID: []byte(u.id), CleanSession: true, KeepAlive: uint16(keepAlive / time.Second),
			Username: []byte(u.fleet.HostName + "/" + u.id + "/?api-version=2021-04-12&DeviceClientType=hubtwin-simulate"),
			Password: []byte(token),
		}})
	if err != nil {
		return err
	}
	u.fleet.connect.add(time.Since(began))
	u.fleet.connects.Add(1)
	u.fleet.online(u.number, true)
	return nil
}

// The ends of a connection that the device itself brings about.
var (
	errOver    = errors.New("all is sent")
	errDropped = errors.New("cut off by the scenario")
	errLate    = errors.New("the hub did not answer for " + patience.String())
	errFlood   = errors.New("the hub sends more than it answers")
)

// live lives through a connection; the error says why it has ended.
func (u *unit) live(ctx context.Context) error {
	conn := u.conn // AfterFunc may come late.
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	if err := u.begin(); err != nil {
		return err
	}
	for {
		now := time.Now()
		if u.nextLeave.IsZero() && (ctx.Err() != nil || u.over()) {
			u.nextLeave = now.Add(farewell)
		}
		if err := u.due(now); err != nil {
			return err
		}
		u.conn.SetWriteDeadline(now.Add(patience))
		if err := u.conn.Flush(); err != nil {
			return err
		}
		u.conn.SetReadDeadline(u.deadline())
		if ctx.Err() != nil && u.nextLeave.IsZero() {
			continue // The deadline above may have undone the one that says so.
		}
		if err := u.receive(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// begin subscribes, reads the twin, and draws when what is due.
func (u *unit) begin() error {
	now := time.Now()
	u.patches, u.messages = u.patches[:0], u.messages[:0]
	u.nextLeave, u.nextDrop = time.Time{}, time.Time{}
	u.nextPing = now.Add(silence)
	u.nextReport, u.nextTelemetry = u.somewhere(now, u.fleet.Report), u.somewhere(now, u.fleet.Telemetry)
	if mean := u.fleet.Drop; mean > 0 {
		u.nextDrop = now.Add(time.Duration(u.times.ExpFloat64() * float64(mean)))
	}
	if _, err := u.conn.Subscribe(twinResponses+"#", desiredChanges+"#", methodCalls+"#", "devices/"+u.id+"/messages/devicebound/#"); err != nil {
		return err
	}
	_, err := u.conn.Publish(0, nil, "$iothub/twin/GET/?$rid=get")
	return err
}

// somewhere is a moment within an interval from now on, so that devices do not
// send all at once.
func (u *unit) somewhere(now time.Time, interval Duration) time.Time {
	if interval == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(u.times.Int64N(int64(interval))))
}

// due sends what is due.
func (u *unit) due(now time.Time) error {
	switch {
	case !u.nextLeave.IsZero():
		if len(u.patches)+len(u.messages) == 0 || !now.Before(u.nextLeave) {
			return errOver
		}
		return nil
	case passed(now, u.nextDrop):
		return errDropped
	case u.late(now):
		return errLate
	case len(u.patches)+len(u.messages) > maxPending:
		return errFlood
	}
	for passed(now, u.nextReport) && len(u.patches) < window && !u.over() {
		if err := u.report(now, u.reports.append(nil)); err != nil {
			return err
		}
		u.sent++
		u.nextReport = following(u.nextReport, now, u.fleet.Report)
	}
	for passed(now, u.nextTelemetry) && len(u.messages) < window && !u.over() {
		if err := u.send(now, u.telemetry.append(nil)); err != nil {
			return err
		}
		u.sent++
		u.nextTelemetry = following(u.nextTelemetry, now, u.fleet.Telemetry)
	}
	if passed(now, u.nextPing) {
		u.conn.Ping()
		u.nextPing = now.Add(silence)
	}
	return nil
}

func passed(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }

// following is the next moment of a rhythm. What a device has missed by much it
// does not make up for.
func following(at, now time.Time, interval Duration) time.Time {
	next := at.Add(time.Duration(interval))
	if now.Sub(next) > window*time.Duration(interval) {
		return now
	}
	return next
}

// late tells whether the hub owes an answer for too long.
func (u *unit) late(now time.Time) bool {
	for _, p := range []pending{u.patches, u.messages} {
		if len(p) > 0 && now.Sub(p[0].at) > patience {
			return true
		}
	}
	return false
}

// deadline is when something is due next.
func (u *unit) deadline() time.Time {
	next := u.nextPing
	sooner := func(at time.Time) {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	if !u.nextLeave.IsZero() {
		sooner(u.nextLeave)
		return next
	}
	if len(u.patches) < window {
		sooner(u.nextReport)
	}
	if len(u.messages) < window {
		sooner(u.nextTelemetry)
	}
	sooner(u.nextDrop)
	for _, p := range []pending{u.patches, u.messages} {
		if len(p) > 0 {
			sooner(p[0].at.Add(patience + 1))
		}
	}
	return next
}

// leave closes the connection, which has ended for reason.
func (u *unit) leave(ctx context.Context, reason error) {
	f := u.fleet
	f.unanswered.Add(int64(len(u.patches) + len(u.messages)))
	switch {
	case errors.Is(reason, errOver):
		u.conn.Disconnect()
	case errors.Is(reason, errDropped):
		u.conn.Close()
		f.drops.Add(1)
	default:
		u.conn.Close()
		f.lost.Add(1)
		f.errors.add("lost: " + told(reason))
	}
	f.online(u.number, false)
	u.conn = nil
	if !errors.Is(reason, errOver) {
		u.wait(ctx, firstPause)
	}
}
