package mqtt_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubtwin/hubtwin/internal/memnet"
	"github.com/hubtwin/hubtwin/store"
)

// pausingStore holds submissions back until it is told to let them go.
type pausingStore struct {
	store.Store
	mu     sync.Mutex
	paused bool
	held   []func()
}

func (s *pausingStore) Submit(b store.Batch, done func(store.Position, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paused {
		s.held = append(s.held, func() { s.Store.Submit(b, done) })
		return
	}
	s.Store.Submit(b, done)
}

func (s *pausingStore) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = true
}

func (s *pausingStore) resume() (held int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.held {
		f()
	}
	held, s.held, s.paused = len(s.held), nil, false
	return held
}

// slowStore puts a pausingStore in place of the stage's store, which the hub reads
// while it starts.
func (s *stage) slowStore() *pausingStore {
	synctest.Wait()
	slow := &pausingStore{Store: s.store.Store}
	s.store.Store = slow
	return slow
}

// TestPipelinedPatches sends more patches at once than may be outstanding: they
// wait for one commit together, no more than the bound, and are answered in
// order.
func TestPipelinedPatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		slow := s.slowStore()
		must(t, s, "service creates dev-1", "A> CONNECT dev-1", "A< CONNACK 0", "A> SUBSCRIBE 1 $iothub/twin/res/# 0", "A< SUBACK 1 0")

		slow.pause()
		const patches = 100
		var lines []string
		for i := range patches {
			lines = append(lines, fmt.Sprintf(`PUBLISH 1 %d $iothub/twin/PATCH/properties/reported/?$rid=%d {"n":%d}`, i+1, i, i))
		}
		must(t, s, "A> "+strings.Join(lines, " ; "), "A< nothing")
		if held := slow.resume(); held != 64 {
			t.Errorf("%d patches were under way at once, not 64", held)
		}
		for i := range patches {
			must(t, s, fmt.Sprintf("A< PUBACK %d", i+1), fmt.Sprintf("A< PUBLISH 0 $iothub/twin/res/204/?$rid=%d&$version=%d", i, i+2))
		}
		must(t, s, "A< nothing")
	})
}

// TestShutdownWhileStoreHangs ends the server while a connection waits for the
// hub's answers: it must not wait for them.
func TestShutdownWhileStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		slow := s.slowStore()
		must(t, s, "service creates dev-1", "A> CONNECT dev-1", "A< CONNACK 0")
		slow.pause()
		lines := make([]string, 100)
		for i := range lines {
			lines[i] = fmt.Sprintf(`PUBLISH 0 0 $iothub/twin/PATCH/properties/reported/?$rid=%d {}`, i)
		}
		must(t, s, "A> "+strings.Join(lines, " ; "), "A< nothing")
		s.stop()
		must(t, s, "A< end")
		slow.resume()
	})
}

// TestTwinReadsInFlight bounds reads, whose answers are large, more tightly.
func TestTwinReadsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		slow := s.slowStore()
		must(t, s, "service creates dev-1", "A> CONNECT dev-1", "A< CONNACK 0", "A> SUBSCRIBE 1 $iothub/twin/res/# 0", "A< SUBACK 1 0")
		slow.pause()
		lines := []string{`PUBLISH 0 0 $iothub/twin/PATCH/properties/reported/?$rid=p {"n":1}`}
		for i := range 10 {
			lines = append(lines, fmt.Sprintf("PUBLISH 0 0 $iothub/twin/GET/?$rid=%d", i))
		}
		must(t, s, "A> "+strings.Join(lines, " ; "), "A< nothing")
		if held := slow.resume(); held != 1+3 {
			t.Errorf("%d calls were under way at once, not a patch and three reads", held)
		}
		must(t, s, "A< PUBLISH 0 $iothub/twin/res/204/?$rid=p&$version=2")
		for i := range 10 {
			must(t, s, fmt.Sprintf(`A< PUBLISH 0 $iothub/twin/res/200/?$rid=%d {"desired":{"$version":1},"reported":{"n":1,"$version":2}}`, i))
		}
	})
}

func must(t *testing.T, s *stage, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := s.do(line); err != nil {
			t.Fatalf("%.200s: %v", line, err)
		}
	}
}

// deaf connects a device that subscribes and then reads no more.
func deaf(t *testing.T, s *stage) net.Conn {
	t.Helper()
	c, err := s.net.Dial()
	if err != nil {
		t.Fatal(err)
	}
	wire, err := encode("CONNECT dev-1 ; SUBSCRIBE 1 $iothub/twin/res/# 0 $iothub/twin/PATCH/properties/desired/# 0")
	if err != nil {
		t.Fatal(err)
	}
	c.Write(wire)
	r := bufio.NewReader(c)
	for _, want := range []string{"CONNACK 0", "SUBACK 1 0 0"} {
		if got, err := readPacket(r); got != want {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	return c
}

// bigDesired is a patch of some 28 KB.
func bigDesired(n int) string {
	var b strings.Builder
	for i := range 7 {
		fmt.Fprintf(&b, `,"k%d":"%s"`, i, strings.Repeat("x", 4000))
	}
	return fmt.Sprintf(`service patches dev-1 {"properties":{"desired":{"n":%d%s}}}`, n, b.String())
}

// TestDeafClientStallsItself lets a client ask and not read: the hub soon stops
// reading from it, serves others, and closes it when a write has waited too long.
func TestDeafClientStallsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		must(t, s, "service creates dev-1", "service creates dev-2", bigDesired(1))
		c := deaf(t, s)
		defer c.Close()
		// A notification that does not fit the socket, so that from here on a
		// flusher writes, or waits, and not the goroutine that reads.
		must(t, s, bigDesired(2))
		synctest.Wait()
		get, err := encode("PUBLISH 0 0 $iothub/twin/GET/?$rid=1")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		asked := 0
		for ; ; asked++ {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(get); err != nil {
				break
			}
			if asked > 10_000 {
				t.Fatal("the hub goes on reading from a client that does not read")
			}
		}
		must(t, s, "A> CONNECT dev-2", "A< CONNACK 0", "A> PINGREQ", "A< PINGRESP")
		c.SetDeadline(time.Time{})
		time.Sleep(31*time.Second - time.Since(start))
		must(t, s, "log the device has not read", "A> PINGREQ", "A< PINGRESP")
		if _, err := c.Write(get); err == nil {
			t.Error("the connection is still open")
		}
	})
}

// TestDeafClientBehindTLS does not hold up the end: TLS would say goodbye to it,
// and wait for room.
func TestDeafClientBehindTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		must(t, s, "service creates dev-1")
		certificate, _ := selfSigned(t)
		ours, theirs := memnet.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		var serving sync.WaitGroup
		serving.Go(func() {
			s.server.ServeConn(ctx, tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{certificate}}))
		})
		defer theirs.Close()
		c := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true})
		for _, line := range []string{"CONNECT dev-1", "SUBSCRIBE 1 $iothub/twin/res/# 0"} {
			p, err := encode(line)
			if err != nil {
				t.Fatal(err)
			}
			c.Write(p)
			c.Read(make([]byte, 16))
		}
		get, err := encode("PUBLISH 0 0 $iothub/twin/GET/?$rid=" + strings.Repeat("r", 30_000))
		if err != nil {
			t.Fatal(err)
		}
		c.SetWriteDeadline(time.Now().Add(time.Second))
		for err == nil {
			_, err = c.Write(get) // until the hub does not read either
		}
		began := time.Now()
		cancel()
		serving.Wait()
		if took := time.Since(began); took > 0 {
			t.Errorf("the end took %v", took)
		}
	})
}

// TestDeafClientIsNotified lets notifications pile up, which nothing can stop but
// the end of the connection. The back end notices nothing.
func TestDeafClientIsNotified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		must(t, s, "service creates dev-1")
		c := deaf(t, s)
		defer c.Close()
		for n := range 36 {
			must(t, s, bigDesired(n))
		}
		synctest.Wait()
		if text := s.log.take(); text != "" {
			t.Fatalf("1 MB of notifications ended the connection: %s", text)
		}
		for n := range 4 {
			must(t, s, bigDesired(n))
		}
		must(t, s, "log the device does not read")
	})
}

func TestTooManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		s.stop()
		s.config.MaxConnections = 32
		s.serve()
		must(t, s, "service creates dev-1")
		for n := range 32 {
			must(t, s, fmt.Sprintf("%d> opens", n))
		}
		synctest.Wait()
		// A sixteenth more hears that it should try again later.
		must(t, s, "A> CONNECT dev-1", "A< CONNACK 3", "log code=503005", "A< end")
		must(t, s, "B> opens", "C> opens", "C< nothing", "D> opens", "D< end", "log too many")
		// A place that gets free is taken.
		must(t, s, "0> drops", "B> drops", "C> drops", "C< end", "E> CONNECT dev-1", "E< CONNACK 0")
	})
}

// TestHeldNotifications commits changes while a connection begins: they come
// after its CONNACK, whole and in order.
func TestHeldNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.close()
		must(t, s, "service creates dev-1", "A> CONNECT dev-1", "A< CONNACK 0",
			"A> SUBSCRIBE 1 $iothub/twin/PATCH/properties/desired/# 0", "A< SUBACK 1 0", "A> DISCONNECT", "A< end")
		slow := s.slowStore()
		slow.pause()
		must(t, s, "B> CONNECT dev-1", "B< nothing")
		var patches sync.WaitGroup
		patches.Go(func() { s.do(`service patches dev-1 {"properties":{"desired":{"n":2}}}`) })
		synctest.Wait()
		if held := slow.resume(); held != 2 {
			t.Fatalf("%d commits wait, not the connection's and the patch's", held)
		}
		patches.Wait()
		must(t, s, "B< CONNACK 0 present", `B< PUBLISH 0 $iothub/twin/PATCH/properties/desired/?$version=2 {"n":2,"$version":2}`, "B< nothing")
	})
}
