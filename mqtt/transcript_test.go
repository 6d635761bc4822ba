package mqtt_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/injection"
	"github.com/hubtwin/hubtwin/internal/memnet"
	"github.com/hubtwin/hubtwin/message"
	"github.com/hubtwin/hubtwin/mqtt"
	"github.com/hubtwin/hubtwin/mqtt/packet"
	"github.com/hubtwin/hubtwin/route"
	"github.com/hubtwin/hubtwin/store"
	"github.com/hubtwin/hubtwin/store/memory"
	"github.com/hubtwin/hubtwin/twin"
)

const (
	hostName  = "hub.example.com"
	deviceKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// owner may do everything a back end may.
var owner = auth.Principal{Policy: "iothubowner", Permissions: auth.RegistryRead | auth.RegistryWrite | auth.ServiceConnect}

// TestTranscripts plays the files of testdata/transcripts. Each begins with an
// empty hub, in a bubble whose time passes at once. testdata/README.md explains
// the lines.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { play(t, string(text)) })
		})
	}
}

func play(t *testing.T, text string) {
	s := newStage(t)
	defer s.close()
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.do(line); err != nil {
			t.Errorf("line %d: %s\n%v", n+1, line, err)
			return
		}
	}
}

// stage is a hub with a server, and the clients of a test.
type stage struct {
	t       *testing.T
	store   *brittleStore
	hub     *hub.Hub
	config  mqtt.Config
	server  *mqtt.Server
	net     *memnet.Listener
	stop    func()
	clients map[string]*client
	calls   map[string]chan string
	hangUps map[string]func()
	rids    rids
	log     logBuffer
	heard   *hub.EventReader // telemetry, for the back end
	unheard []hub.Telemetry
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, store: &brittleStore{Store: memory.New()}, clients: map[string]*client{}, calls: map[string]chan string{}, hangUps: map[string]func(){}}
	s.start()
	return s
}

func (s *stage) start() {
	h, err := hub.Open(s.t.Context(), hub.Config{Store: s.store, Log: s.log.logger()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.hub = h
	if s.heard, err = h.ReadEvents(owner, "events", hub.From{}); err != nil {
		s.t.Fatal(err)
	}
	s.config.Hub, s.config.Log = h, s.log.logger()
	s.config.Verifier = &auth.Verifier{Keys: h.Secrets(), Hosts: []string{hostName, "gateway"}}
	s.serve()
}

func (s *stage) serve() {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.net = memnet.Listen()
	s.server = mqtt.New(s.config)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.server.Serve(ctx, s.net); err != nil {
			s.t.Error("Serve:", err)
		}
	})
	s.stop = func() {
		cancel()
		serving.Wait()
	}
}

func (s *stage) halt() {
	s.stop()
	s.hub.Close()
}

func (s *stage) close() {
	for _, hangUp := range s.hangUps {
		hangUp()
	}
	s.halt()
	s.store.Close()
	for _, c := range s.clients {
		c.net.Close()
	}
}

// do carries out one line.
func (s *stage) do(line string) error {
	subject, rest, _ := strings.Cut(line, " ")
	switch subject {
	case "service":
		return s.service(rest)
	case "wait":
		d, err := time.ParseDuration(rest)
		time.Sleep(d) // the bubble's time
		synctest.Wait()
		return err
	case "restart":
		s.halt()
		s.start()
		return nil
	case "log":
		synctest.Wait()
		if text := s.log.take(); !strings.Contains(text, rest) {
			return fmt.Errorf("the log is:\n%s", text)
		}
		return nil
	case "silence":
		synctest.Wait()
		if text := s.log.take(); text != "" {
			return fmt.Errorf("the log is:\n%s", text)
		}
		return nil
	case "faults":
		s.stop()
		s.config.Faults = injection.New(s.log.logger())
		s.serve()
		return nil
	case "disk":
		s.store.broken.set(rest == "fails")
		return nil
	}
	name, direction := subject[:len(subject)-1], subject[len(subject)-1]
	switch direction {
	case '=':
		return s.outcome(name, rest)
	case '>':
		return s.client(name).send(s.rids.fill(rest))
	case '<':
		return s.client(name).expect(rest)
	}
	return errors.New("no such line")
}

// named is the identity that a name stands for: device, or device/module.
func named(name string) device.ID {
	dev, module, _ := strings.Cut(name, "/")
	return device.ID{Device: dev, Module: module}
}

// service is a back end.
func (s *stage) service(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	name, body, _ := strings.Cut(rest, " ")
	id, ctx := named(name), s.t.Context()
	identity := device.Identity{ID: id, Status: device.Enabled, Authentication: device.Authentication{Type: device.SAS, PrimaryKey: deviceKey, SecondaryKey: deviceKey}}
	switch verb {
	case "injects":
		r, err := injection.Parse([]byte(rest))
		if err == nil {
			_, err = s.config.Faults.Add(r, 0)
		}
		return err
	case "clears":
		s.config.Faults.Clear("")
		return nil
	case "cuts":
		if was, err := s.hub.Disconnect(owner, id); err != nil || was != (body == "") {
			return fmt.Errorf("it was connected: %v, %v", was, err)
		}
		return nil
	case "creates":
		_, err := s.hub.PutIdentity(ctx, owner, identity, "")
		return err
	case "enables":
		_, err := s.hub.PutIdentity(ctx, owner, identity, hub.Any)
		return err
	case "disables":
		identity.Status = device.Disabled
		_, err := s.hub.PutIdentity(ctx, owner, identity, hub.Any)
		return err
	case "rekeys":
		identity.Authentication.PrimaryKey, identity.Authentication.SecondaryKey = device.NewKey(), device.NewKey()
		_, err := s.hub.PutIdentity(ctx, owner, identity, hub.Any)
		return err
	case "deletes":
		return s.hub.DeleteIdentity(ctx, owner, id, hub.Any)
	case "invokes":
		return s.invoke(name, body)
	case "patches":
		p, err := twin.ParsePatch([]byte(body), twin.Rules{})
		if err != nil {
			return err
		}
		_, err = s.hub.UpdateTwin(ctx, owner, id, p, "")
		return err
	case "puts":
		p, err := twin.ParseReplacement([]byte(body), twin.Rules{})
		if err != nil {
			return err
		}
		_, err = s.hub.ReplaceTwin(ctx, owner, id, p, "")
		return err
	case "routes":
		c, err := route.Parse([]byte(rest))
		if err != nil {
			return err
		}
		_, _, err = s.hub.SetRouting(ctx, owner, c, "")
		return err
	case "hears":
		return s.hears(rest)
	case "sends":
		return s.hub.SendMessage(ctx, owner, id, toDevice(body))
	case "fills":
		n, _ := strconv.Atoi(body)
		for range n {
			if err := s.hub.SendMessage(ctx, owner, id, toDevice("x mid=x ack=full")); err != nil {
				return err
			}
		}
		return nil
	case "can't":
		order, rest, _ := strings.Cut(rest, ": ")
		if err := s.service(order); err == nil || !strings.Contains(err.Error(), rest) {
			return fmt.Errorf("the outcome is: %v", err)
		}
		return nil
	case "purges":
		n, err := s.hub.PurgeMessages(ctx, owner, id)
		if err == nil && strconv.Itoa(n) != body {
			return fmt.Errorf("%d were purged", n)
		}
		return err
	case "receives":
		return s.receive(id, body)
	case "learns":
		return s.learn(rest)
	case "sees":
		d, err := s.hub.Twin(ctx, owner, id)
		if err == nil && !strings.Contains(string(d.AppendJSON(nil)), body) {
			return fmt.Errorf("the twin is %s", d.AppendJSON(nil))
		}
		return err
	}
	return errors.New("a back end can't do that")
}

// hears compares the next message that devices have sent: device, property bag
// and body; the device and the opType of an event of the hub; or "nothing".
func (s *stage) hears(want string) error {
	if len(s.unheard) == 0 {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		list, _, err := s.heard.Next(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded) && want == "nothing":
			return nil
		case err != nil:
			return err
		}
		s.unheard = list
	}
	e := s.unheard[0]
	s.unheard = s.unheard[1:]
	got := device.ID{Device: e.DeviceID, Module: e.ModuleID}.String() + " " + string(e.AppendBag(nil)) + " " + string(e.Body)
	if op, ok := e.Property("opType"); ok {
		got = e.DeviceID + " " + op.Value
	}
	if strings.TrimSpace(got) != want {
		return fmt.Errorf("a back end hears: %s", got)
	}
	return nil
}

// invoke begins to call a method: DEVICE METHOD [response=TIME] [connect=TIME] PAYLOAD.
func (s *stage) invoke(call, line string) error {
	f := strings.SplitN(line, " ", 3)
	r := hub.MethodRequest{Name: f[1], ResponseTimeout: hub.DefaultResponseTimeout}
	rest := append(f, "")[2]
	for {
		word, more, _ := strings.Cut(rest, " ")
		option, value, _ := strings.Cut(word, "=")
		target := map[string]*time.Duration{"response": &r.ResponseTimeout, "connect": &r.ConnectTimeout}[option]
		if target == nil {
			break
		}
		d, err := time.ParseDuration(value)
		if err != nil {
			return err
		}
		*target, rest = d, more
	}
	r.Payload = []byte(expand(rest))
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan string, 1)
	s.calls[call], s.hangUps[call] = done, cancel
	go func() {
		a, err := s.hub.InvokeMethod(ctx, owner, named(f[0]), r)
		var f *fault.Error
		switch {
		case errors.As(err, &f):
			done <- fmt.Sprint(int(f.Code))
		case err != nil:
			done <- err.Error()
		default:
			done <- fmt.Sprintf("%d %s", a.Status, a.Payload)
		}
	}()
	synctest.Wait()
	return nil
}

// outcome looks at how a call has ended, or that it has not; or ends it.
func (s *stage) outcome(call, want string) error {
	synctest.Wait()
	if want == "hangs up" {
		s.hangUps[call]()
		return nil
	}
	got := "waits"
	select {
	case got = <-s.calls[call]:
	default:
	}
	if got != want {
		return fmt.Errorf("there is %s", got)
	}
	return nil
}

// toDevice makes a message of a text, and properties as name=value: mid, ack, exp
// (as a duration), to, and those of the application.
func toDevice(line string) *message.Message {
	m := new(message.Message)
	for i, f := range strings.Fields(line) {
		name, value, _ := strings.Cut(f, "=")
		value = expand(value)
		switch {
		case i == 0:
			m.Body = []byte(expand(f))
		case name == "mid":
			m.System[message.MessageID] = value
		case name == "ack":
			m.System[message.Ack] = value
		case name == "to":
			m.System[message.To] = value
		case name == "exp":
			d, err := time.ParseDuration(value)
			if err != nil {
				panic(err)
			}
			m.System[message.Expiry] = time.Now().Add(d).UTC().Format(time.RFC3339)
		case name == "blanks":
			n, _ := strconv.Atoi(value)
			m.Set(name, strings.Repeat(" ", n))
		default:
			m.Set(name, strings.ReplaceAll(value, "_", " "))
		}
	}
	return m
}

// deviceToken is a good token of a device.
func deviceToken(name string) string {
	token, err := auth.Sign(hostName+"/devices/"+name, deviceKey, "", time.Now().Add(time.Hour))
	if err != nil {
		panic(err)
	}
	return token
}

// receive is the same device over HTTPS: what it does with the next message.
func (s *stage) receive(id device.ID, line string) error {
	who, err := s.config.Verifier.Device(s.t.Context(), id, auth.Credentials{Token: deviceToken(id.Device)}, time.Now())
	if err != nil {
		return err
	}
	d, err := s.hub.ReceiveMessage(s.t.Context(), who, id)
	if err != nil {
		return err
	}
	want, then, _ := strings.Cut(line, " ")
	if d == nil {
		if want == "nothing" {
			return nil
		}
		return errors.New("there is no message")
	}
	if got := string(d.Message.Body); got != want {
		return fmt.Errorf("the message is %s", got)
	}
	if then == "abandons" {
		return s.hub.AbandonMessage(s.t.Context(), who, id, d.Token)
	}
	return nil
}

// learn fetches feedback, and compares ids and statuses.
func (s *stage) learn(want string) error {
	var got []string
	f, err := s.hub.ReceiveFeedback(s.t.Context(), owner)
	if err != nil {
		return err
	}
	if f != nil {
		for _, r := range f.Records {
			got = append(got, r.OriginalMessageID+":"+string(r.StatusCode))
		}
		if err := s.hub.CompleteFeedback(s.t.Context(), owner, f.Token); err != nil {
			return err
		}
	}
	if text := strings.Join(got, " "); text != want {
		return fmt.Errorf("the feedback is %q", text)
	}
	return nil
}

// rids gives the hub's request ids names that do not differ from run to run: <1>
// is the first that the hub has sent.
type rids struct {
	mu  sync.Mutex
	all []string
}

var methodTopic = regexp.MustCompile(`(\$iothub/methods/POST/[^/]+/\?\$rid=)([0-9a-f]+)`)

// name puts the name in place of a new id.
func (r *rids) name(line string) string {
	return methodTopic.ReplaceAllStringFunc(line, func(topic string) string {
		r.mu.Lock()
		defer r.mu.Unlock()
		parts := methodTopic.FindStringSubmatch(topic)
		r.all = append(r.all, parts[2])
		return fmt.Sprintf("%s<%d>", parts[1], len(r.all))
	})
}

// fill puts ids in place of their names.
func (r *rids) fill(line string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, rid := range r.all {
		line = strings.ReplaceAll(line, fmt.Sprintf("<%d>", i+1), rid)
	}
	return line
}

// client is one end of a connection, with all packets that have arrived.
type client struct {
	t    *testing.T
	net  net.Conn
	rids *rids
	mu   sync.Mutex
	got  []string
	gone bool
}

// client gives the client of that name; a new connection if its last is gone.
func (s *stage) client(name string) *client {
	if c := s.clients[name]; c != nil {
		return c
	}
	nc, err := s.net.Dial()
	if err != nil {
		s.t.Fatal(err)
	}
	c := &client{t: s.t, net: nc, rids: &s.rids}
	s.clients[name] = c
	go c.read()
	return c
}

func (c *client) read() {
	r := bufio.NewReader(c.net)
	for {
		line, err := readPacket(r)
		c.mu.Lock()
		if err != nil {
			c.gone = true
			c.mu.Unlock()
			c.net.Close()
			return
		}
		c.got = append(c.got, c.rids.name(line))
		c.mu.Unlock()
	}
}

// expect looks at the next packet, or at what else a line may ask for.
func (c *client) expect(want string) error {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, kind, ok := strings.Cut(want, " "); ok {
		if n, err := strconv.Atoi(n); err == nil {
			return c.expectSome(n, kind)
		}
	}
	switch {
	case want == "nothing" || want == "end":
		if len(c.got) > 0 {
			return fmt.Errorf("there is %s", c.got[0])
		}
		if c.gone != (want == "end") {
			return fmt.Errorf("the connection has ended: %v", c.gone)
		}
		return nil
	case len(c.got) == 0:
		return fmt.Errorf("nothing has arrived; the connection has ended: %v", c.gone)
	}
	got := c.got[0]
	c.got = c.got[1:]
	if got != want {
		return fmt.Errorf("there is %s", got)
	}
	return nil
}

// expectSome takes n packets of a kind.
func (c *client) expectSome(n int, kind string) error {
	for range n {
		if len(c.got) == 0 || !strings.HasPrefix(c.got[0], kind) {
			return fmt.Errorf("there is %v", c.got)
		}
		c.got = c.got[1:]
	}
	return nil
}

// send writes what the line says.
func (c *client) send(line string) error {
	wire, err := encode(line)
	if err != nil {
		return err
	}
	if line == "drops" {
		return c.net.Close()
	}
	if strings.HasPrefix(line, "slowly ") {
		for _, b := range wire {
			if _, err := c.net.Write([]byte{b}); err != nil {
				return err
			}
			synctest.Wait()
		}
		return nil
	}
	_, err = c.net.Write(wire)
	return err
}

// encode makes packets of a client's line; " ; " stands between packets that
// are written at once.
func encode(line string) ([]byte, error) {
	line = strings.TrimPrefix(line, "slowly ")
	var wire []byte
	for one := range strings.SplitSeq(line, " ; ") {
		var err error
		if wire, err = appendLine(wire, strings.Fields(one), one); err != nil {
			return nil, err
		}
	}
	return wire, nil
}

func appendLine(dst []byte, f []string, line string) ([]byte, error) {
	number := func(i int) uint16 {
		n, err := strconv.Atoi(f[i])
		if err != nil {
			panic(err)
		}
		return uint16(n)
	}
	switch f[0] {
	case "opens", "drops":
		return dst, nil
	case "bytes":
		b, err := hex.DecodeString(strings.Join(f[1:], ""))
		return append(dst, b...), err
	case "CONNECT":
		return appendConnect(dst, f[1], f[2:])
	case "PUBLISH":
		payload := ""
		if parts := strings.SplitN(line, " ", 5); len(parts) == 5 {
			payload = expand(parts[4])
		}
		return packet.AppendPublish(dst, packet.PublishHeader(byte(number(1)), false, false), number(2), []byte(payload), expand(f[3]))
	case "SUBSCRIBE":
		var subs []packet.Subscription
		for i := 2; i < len(f); i += 2 {
			subs = append(subs, packet.Subscription{Filter: []byte(f[i]), QoS: byte(number(i + 1))})
		}
		return packet.AppendSubscribe(dst, number(1), subs...)
	case "UNSUBSCRIBE":
		var filters [][]byte
		for _, filter := range f[2:] {
			filters = append(filters, []byte(filter))
		}
		return packet.AppendUnsubscribe(dst, number(1), filters...)
	case "PINGREQ":
		return packet.AppendPingreq(dst), nil
	case "PUBACK":
		return packet.AppendPuback(dst, number(1)), nil
	case "DISCONNECT":
		return packet.AppendDisconnect(dst), nil
	}
	return nil, errors.New("a client can't do that")
}

// expand makes a long text of {n}.
func expand(s string) string {
	return regexp.MustCompile(`\{\d+\}`).ReplaceAllStringFunc(s, func(n string) string {
		count, _ := strconv.Atoi(n[1 : len(n)-1])
		return strings.Repeat("x", count)
	})
}

// appendConnect makes a CONNECT of a device, with a good token unless an option
// says otherwise.
func appendConnect(dst []byte, id string, options []string) ([]byte, error) {
	p := packet.Connect{ClientID: []byte(id)}
	user := hostName + "/" + id + "/?api-version=2021-04-12"
	ttl, key, sr := time.Hour, deviceKey, ""
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "clean":
			p.CleanSession = true
		case "keepalive":
			n, err := strconv.Atoi(value)
			if err != nil {
				return nil, err
			}
			p.KeepAlive = uint16(n)
		case "user":
			user = value
		case "id":
			p.ClientID = []byte(value)
		case "ttl":
			d, err := time.ParseDuration(value)
			if err != nil {
				return nil, err
			}
			ttl = d
		case "key":
			key = value
		case "sr":
			sr = value
		case "password":
			p.Password = []byte(value)
		case "will":
			p.HasWill, p.Will.Topic, p.Will.Payload = true, []byte(value), []byte("gone")
		default:
			return nil, fmt.Errorf("a CONNECT has no %s", name)
		}
	}
	if sr == "" {
		sr = hostName + "/devices/" + strings.Replace(id, "/", "/modules/", 1)
	}
	if user != "" {
		p.Username = []byte(user)
		if p.Password == nil {
			token, err := auth.Sign(sr, key, "", time.Now().Add(ttl))
			if err != nil {
				return nil, err
			}
			p.Password = []byte(token)
		}
	}
	return packet.AppendConnect(dst, &p)
}

// changing is what differs from run to run in an error body.
var changing = regexp.MustCompile(`"trackingId":"[0-9a-f]{32}-G2:-TimeStamp:[0-9TZ:.-]+"|"timestampUtc":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z"`)

// expiries are times in a topic, in the only form that C# reads.
var expiries = regexp.MustCompile(`(%24\.exp=)\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{7}Z`)

// readPacket reads a packet of the server and writes it as a line.
func readPacket(r *bufio.Reader) (string, error) {
	h, body, err := readRaw(r)
	if err != nil {
		return "", err
	}
	switch h.Type() {
	case packet.TypeConnack:
		if len(body) == 3 {
			return fmt.Sprintf("CONNACK5 %#x", body[1]), nil
		}
		present, code, err := packet.DecodeConnack(body)
		if present {
			return fmt.Sprintf("CONNACK %d present", code), err
		}
		return fmt.Sprintf("CONNACK %d", code), err
	case packet.TypePublish:
		p, err := packet.DecodePublish(h, body)
		line := fmt.Sprintf("PUBLISH %d %s", p.QoS, p.Topic)
		if p.QoS > 0 {
			line = fmt.Sprintf("PUBLISH %d %d %s", p.QoS, p.ID, p.Topic)
			if p.Dup {
				line = "DUP " + line
			}
		}
		line = expiries.ReplaceAllString(line, "$1…")
		if len(p.Payload) > 0 {
			line += " " + changing.ReplaceAllStringFunc(string(p.Payload), func(s string) string { return s[:strings.Index(s, ":")] + `:"…"` })
		}
		return line, err
	case packet.TypeSuback:
		id, codes, err := packet.DecodeSuback(body)
		return fmt.Sprintf("SUBACK %d %s", id, strings.Trim(fmt.Sprint(codes), "[]")), err
	case packet.TypePuback, packet.TypeUnsuback:
		id, err := packet.DecodeAck(body)
		return fmt.Sprintf("%s %d", h.Type(), id), err
	}
	return h.Type().String(), nil
}

func readRaw(r *bufio.Reader) (packet.Header, []byte, error) {
	var wire []byte
	for {
		h, body, n, err := packet.Next(wire, packet.MaxRemaining)
		if h.Type() == packet.TypeConnack && len(wire) == 5 {
			return h, wire[2:], nil // MQTT 5's, which the codec does not know
		}
		if h.Type() == packet.TypeConnack && len(wire) >= 2 && wire[1] == 3 {
			n, err = 5, packet.ErrIncomplete
		}
		if err != packet.ErrIncomplete {
			return h, body, err
		}
		for len(wire) < n {
			b, err := r.ReadByte()
			if err != nil {
				return 0, nil, err
			}
			wire = append(wire, b)
		}
	}
}

// logBuffer keeps what is logged at info and above.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// brittleStore is a store whose medium can be made to fail.
type brittleStore struct {
	store.Store
	broken flag
}

type flag struct {
	mu sync.Mutex
	on bool
}

func (f *flag) set(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
}

func (f *flag) get() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}

var errMedium = errors.New("input/output error")

func (s *brittleStore) Submit(b store.Batch, done func(store.Position, error)) {
	if s.broken.get() {
		s.Store.Submit(store.Batch{}, func(store.Position, error) { done(0, errMedium) })
		return
	}
	s.Store.Submit(b, done)
}

func (s *brittleStore) View() (store.View, error) {
	if s.broken.get() {
		return nil, errMedium
	}
	return s.Store.View()
}
